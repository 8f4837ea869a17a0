import SidecarProtocol

// Steps, and how processes start and end.

extension ReplicaWorld {
    func perform(_ step: ReplicaScenario.Step) {
        switch step {
        case .request(let index, let salt): request(index, salt)
        case .ledger(let index, let salt): addToLedger(index, salt)
        case .add(let index, let salt): addToBag(index, salt)
        case .remove(let index, let salt): removeFromBag(index, salt)
        case .hangUp(let index): hangUp(index)
        case .crash(let index, let effects, let power, let down): crash(index, effects, power, down)
        case .stop(let index, let down): stop(index, down)
        case .pause(let index, let milliseconds): machines[index].pausedUntil = after(milliseconds)
        case .block(let from, let to, let milliseconds): block(from, to, milliseconds)
        case .slow(let from, let to, let milliseconds):
            let route = SimulatedNetwork.Route(from: from, to: to)
            network.slowDown(route)
            queue.add(.open(route), at: after(milliseconds))
        case .clock(let index, let milliseconds): stepClock(machines[index], by: milliseconds)
        case .drift(let index, let drift): machines[index].clock.setDrift(drift, at: now)
        case .full(let index, let bytes, let milliseconds):
            let machine = machines[index]
            machine.replica.disk.capacity = machine.replica.disk.usedBytes + bytes
            machine.isDiskSuspect = true
            fullUntil[index] = after(milliseconds)
            queue.add(.free(index), at: fullUntil[index])
        case .failSync(let index):
            machines[index].replica.disk.failingSyncs = 1
            machines[index].isDiskSuspect = true
        case .forget(let index, let other): forget(index, by: other)
        case .leave(let index):
            machines[index].hasLeft = true
            if machines[index].isRunning { end(machines[index]) }
        }
    }

    // MARK: Processes

    func start(_ index: Int) {
        let machine = machines[index]
        guard !machine.isRunning, !machine.hasLeft else { return }
        machine.life += 1
        machine.starts += 1
        counts.starts += 1
        machine.isRunning = true
        machine.hasServed = false
        (machine.crash, machine.stop, machine.wakesAt, machine.isDiskBusy) = (nil, nil, nil, false)
        (machine.changes, machine.version, machine.stateHash) = (0, VersionVector(), nil)
        let disk = machine.replica.disk
        machine.isDiskSuspect = disk.failingSyncs > 0 || disk.capacity < .max
        if defect == .oldDisk { machine.oldDisk = disk }
        var random = SeededRandom(seed: scenario.seed &+ UInt64(index) << 32 &+ machine.starts)
        machine.replica.settings.seed = random.next()
        let id = machine.setting.isReplaced ? InstanceID(random.bytes(16)) : nil
        touch(index) { $0.restart(as: id) }
        for other in machines.indices where other != index {
            queue.add(.connect(min(index, other), max(index, other)), at: after(1 + random.next() % 20))
        }
    }

    /// The process ends at once.
    func end(_ machine: SimulatedMachine) {
        machine.isRunning = false
        machine.life += 1
        machine.clients = []
        machine.pausedUntil = now
        machine.replica.kill()
        counts.crashes += 1
        let crash = machine.crash ?? (nil, 100)
        if let salt = crash.power {
            var random = SeededRandom(seed: salt)
            machine.replica.disk.losePower(random: &random)
        }
        spoilDisk(machine)
        for other in machines where other !== machine && other.sessions[machine.index] > 0 {
            let session = other.sessions[machine.index]
            let span = 1 + (scenario.seed &+ session) % 2_000
            queue.add(.down(other.index, machine.index, session: session), at: after(span))
        }
        for other in machines.indices { machine.sessions[other] = 0 }
        if !machine.hasLeft { queue.add(.start(machine.index), at: after(crash.down)) }
    }

    private func spoilDisk(_ machine: SimulatedMachine) {
        if defect == .oldDisk, let old = machine.oldDisk { machine.replica.disk = old }
        guard defect == .lostTail,
            let last = machine.replica.disk.files.last(where: { $0.name.hasPrefix("log-") }),
            var bytes = machine.replica.disk.contents(of: last.name)
        else { return }
        let end = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
        for place in max(end - 200, min(end, 512))..<end { bytes[place] = 0 }
        machine.replica.disk.put(bytes, as: last.name)
    }

    private func crash(_ index: Int, _ effects: Int, _ power: UInt64?, _ down: UInt64) {
        guard machines[index].isRunning else { return }
        machines[index].crash = (power, down)
        machines[index].replica.effectsLeft = effects
        if effects == 0 { end(machines[index]) }
    }

    func fail(_ machine: SimulatedMachine, _ failure: String) {
        guard machine.isDiskSuspect else {
            return violate("ended without cause: replica \(machine.index): \(failure)")
        }
        machine.crash = (machine.crash?.power, machine.crash?.down ?? 1_000)
        end(machine)
    }

    private func stop(_ index: Int, _ down: UInt64) {
        guard machines[index].isReady, machines[index].stop == nil else { return }
        machines[index].stop = down
        touch(index) { $0.close() }
        // A full disk keeps it from closing, and nobody waits for ever.
        queue.add(.kill(index, life: machines[index].life), at: after(5_000))
    }

    func finishStop(_ machine: SimulatedMachine) {
        machine.crash = (nil, machine.stop ?? 100)
        end(machine)
    }

    // MARK: Clocks

    private func stepClock(_ machine: SimulatedMachine, by milliseconds: Int64) {
        noteWall(machine)
        machine.clock.step(by: milliseconds)
        noteWall(machine)
        touch(machine.index) { $0.wake() }
    }

    private func noteWall(_ machine: SimulatedMachine) {
        latestWall = max(latestWall, machine.clock.now(at: now).wall)
    }

    // MARK: Healing

    /// All faults end. Clocks that were wrong are put right, and none goes back behind what others believed.
    func heal() {
        isHealing = true
        network.heal()
        (network.lossPerMille, network.duplicatesPerMille, network.latePerMille) = (0, 0, 0)
        for machine in machines { noteWall(machine) }
        for machine in machines where !machine.hasLeft {
            noteSurvivors(machine)
            machine.replica.disk.capacity = .max
            machine.replica.disk.failingSyncs = 0
            (machine.pausedUntil, machine.crash, machine.replica.effectsLeft) = (now, nil, nil)
            machine.clock.step(
                by: latestWall.milliseconds - machine.clock.now(at: now).wall.milliseconds)
            queue.add(.start(machine.index), at: now)
        }
    }

    func awaitEquality(since healed: MonotonicTime) -> MonotonicTime.Span {
        while violation == nil, now - healed < ReplicaWorld.healingMaximum {
            if isEqual {
                checkEnd()
                return now - healed
            }
            run(until: now + .seconds(1))
        }
        violate(
            "not equal: \(ReplicaWorld.healingMaximum.milliseconds / 1_000) seconds after the last fault: \(unequal)"
        )
        return now - healed
    }

    static let healingMaximum = MonotonicTime.Span.seconds(180)
}
