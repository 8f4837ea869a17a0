import SidecarProtocol

// Sessions and messages between replicas.

extension ReplicaWorld {
    private func pair(_ one: Int, _ other: Int) -> Int { min(one, other) * machines.count + max(one, other) }
    private func route(_ from: Int, _ to: Int) -> SimulatedNetwork.Route { .init(from: from, to: to) }

    private func isOpen(_ one: Int, _ other: Int) -> Bool {
        network.isOpen(route(one, other)) && network.isOpen(route(other, one))
    }

    private func delay(_ from: Int, _ to: Int) -> MonotonicTime.Span {
        network.delay(&routes[from * machines.count + to])
    }

    /// Both have to be there, and to reach each other; else it is tried again.
    func connect(_ one: Int, _ other: Int) {
        guard machines[one].isRunning, machines[other].isRunning,
            defect != .lonely || machines[one].starts < 2
        else { return }
        let current = pairs[pair(one, other)]
        if current > 0, machines[one].sessions[other] == current, machines[other].sessions[one] == current {
            return
        }
        guard isOpen(one, other) else {
            return queue.add(.connect(one, other), at: after(1_000 + current % 500))
        }
        sessions += 1
        pairs[pair(one, other)] = sessions
        for (index, peer) in [(one, other), (other, one)] {
            let event = Event.up(index, peer, session: sessions, life: machines[index].life)
            queue.add(event, at: now + delay(peer, index))
        }
    }

    func up(_ index: Int, _ other: Int, _ session: UInt64, _ life: UInt64) {
        let machine = machines[index]
        guard pairs[pair(index, other)] == session, machines[other].isRunning else { return }
        part(index, other)
        guard machine.isRunning, machine.life == life else { return }
        let name = machines[other].replica.id
        machine.sessions[other] = session
        machine.names[other] = name
        touch(index) { $0.meet(name) }
    }

    func down(_ index: Int, _ other: Int, _ session: UInt64) {
        guard machines[index].sessions[other] == session else { return }
        part(index, other)
    }

    private func part(_ index: Int, _ other: Int) {
        guard machines[index].sessions[other] > 0, let name = machines[index].names[other] else { return }
        machines[index].sessions[other] = 0
        touch(index) { $0.part(name) }
    }

    func timeout(_ one: Int, _ other: Int, _ session: UInt64) {
        guard pairs[pair(one, other)] == session, !isOpen(one, other) else { return }
        part(one, other)
        part(other, one)
        queue.add(.connect(min(one, other), max(one, other)), at: after(100))
    }

    func block(_ from: Int, _ to: Int, _ milliseconds: UInt64) {
        let route = route(from, to)
        network.block(route)
        let end = after(milliseconds)
        blockedUntil[route] = max(blockedUntil[route] ?? end, end)
        queue.add(.open(route), at: end)
        guard scenario.timeout > 0 else { return }
        queue.add(.timeout(from, to, session: pairs[pair(from, to)]), at: after(scenario.timeout))
    }

    // MARK: Messages

    func carryMessages(of machine: SimulatedMachine) {
        guard !machine.replica.outbox.isEmpty else { return }
        let messages = machine.replica.outbox
        machine.replica.outbox = []
        for (name, bytes) in messages {
            guard let to = machines.indices.first(where: { machine.names[$0] == name }) else { continue }
            trace.mix(UInt64(bytes.count))
            if let mistake = dots.note(bytes) { violate(mistake) }
            send(bytes, from: machine, to: to)
            if machine.setting.isLater, counts.messages % 3 == 0 {
                send(ofLaterVersion(bytes), from: machine, to: to)
            }
        }
    }

    private func send(_ bytes: [UInt8], from machine: SimulatedMachine, to: Int) {
        counts.messages += 1
        let session = machine.sessions[to]
        let route = route(machine.index, to)
        let spans = network.deliveries(route, &routes[machine.index * machines.count + to])
        for span in spans {
            let bytes = defect == .alteredDelta ? altered(bytes) : bytes
            queue.add(.message(from: machine.index, to: to, session: session, bytes), at: now + span)
        }
    }

    func deliver(_ from: Int, _ to: Int, _ session: UInt64, _ bytes: [UInt8]) {
        let machine = machines[to]
        guard machine.sessions[from] == session, let name = machine.names[from] else { return }
        touch(to) { $0.receive(bytes, from: name) }
    }

    /// A kind of message, or of gossip, or a version of it, or more fields, that nobody knows yet.
    private func ofLaterVersion(_ bytes: [UInt8]) -> [UInt8] {
        switch laterRandom.next() % 4 {
        case 0: [UInt8(3 + laterRandom.next() % 250)] + laterRandom.bytes(20)
        case 1: [1, 2] + bytes.dropFirst(2)
        case 2: [1, 1, UInt8(11 + laterRandom.next() % 200)] + laterRandom.bytes(20)
        // Kinds that end with bytes of any number can't get more fields.
        default: bytes.starts(with: [1, 1, 1]) ? bytes + [1] : [1, 1, 200]
        }
    }

    private func altered(_ bytes: [UInt8]) -> [UInt8] {
        guard ReplicaDots.isDeltas(bytes), laterRandom.chance(perMille: 30) else { return bytes }
        var bytes = bytes
        bytes[bytes.count - 1] ^= 1
        return bytes
    }
}

/// Which change each dot is that was ever sent.
struct ReplicaDots {
    private var changes: [ReplicaID: [UInt64]] = [:]
    private var known: Set<UInt64> = []

    /// The state's messages of kind 1 are gossip, in version 1, and of those kind 2 are deltas, each behind its length.
    static func isDeltas(_ message: [UInt8]) -> Bool { message.starts(with: [1, 1, 2]) }

    /// - Returns: what is wrong.
    mutating func note(_ message: [UInt8]) -> String? {
        guard ReplicaDots.isDeltas(message) else { return nil }
        var place = 3
        while place < message.count {
            var (length, shift) = (0, 0)
            repeat {
                length |= Int(message[place] & 0x7F) << shift
                shift += 7
                place += 1
            } while message[place - 1] & 0x80 != 0
            if let mistake = note(delta: message[place..<place + length]) { return mistake }
            place += length
        }
        return nil
    }

    private mutating func note(delta bytes: ArraySlice<UInt8>) -> String? {
        var trace = Trace(keepsLines: false)
        for byte in bytes { trace.mix(UInt64(byte)) }
        guard known.insert(trace.word).inserted else { return nil }
        guard let delta = try? Delta(encoded: Array(bytes)) else { return "sent: a delta that can't be read" }
        var all = changes.removeValue(forKey: delta.origin) ?? []
        defer { changes[delta.origin] = all }
        for counter in delta.from...delta.to {
            let place = Int(counter - 1)
            while all.count <= place { all.append(0) }
            if all[place] != 0, all[place] != trace.word {
                return "used twice: dot \(counter) of \(delta.origin)"
            }
            all[place] = trace.word
        }
        return nil
    }
}
