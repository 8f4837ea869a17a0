// Several whole replicas on virtual time: another shell over the core that the sidecar runs.
//
// Theory of operation
//
//   Each machine has a disk, clocks and, most of the time, a running `StateReplica` with clients that speak
//   RESP. One queue of events, ordered by time and then by number, moves everything: a client's request, one
//   operation of a disk, a message's arrival, a deadline, a fault. After each event the replica that it was
//   for ends its turn; what it wants done becomes new events, and what it did is checked at once
//   (ReplicaWorld+Checks.swift). A crash may fall between any two effects of a turn and any two operations
//   of a disk.
//
//   Sessions between replicas are what the mesh gives: either end is told when one begins and ends, not at
//   the same time, and nothing of an ended session arrives. Inside one, messages may be late, lost and
//   doubled, which is worse than what the mesh does.
//
//   When the scenario is over, all faults end, and in bounded time all replicas have to become equal.

import SidecarProtocol

package final class ReplicaWorld {
    enum Event {
        case step(Int)
        case start(Int)
        case wake(Int, life: UInt64)
        case disk(Int, life: UInt64)
        case message(from: Int, to: Int, session: UInt64, [UInt8])
        case connect(Int, Int)
        case up(Int, Int, session: UInt64, life: UInt64)
        case down(Int, Int, session: UInt64)
        /// Two that can't reach each other notice.
        case timeout(Int, Int, session: UInt64)
        case open(SimulatedNetwork.Route)
        case free(Int)
        case kill(Int, life: UInt64)
    }

    package struct Counts: Equatable, Sendable {
        package var events = 0
        package var requests = 0
        package var acknowledged = 0
        package var refused = 0
        package var starts = 0
        package var crashes = 0
        package var messages = 0
        package var equalities = 0
        package var reconciliations = 0
        package var snapshots = 0
        package var clockRefusals = 0

        package static func += (sum: inout Counts, one: Counts) {
            for path in [
                \Counts.events, \.requests, \.acknowledged, \.refused, \.starts, \.crashes, \.messages,
                \.equalities, \.reconciliations, \.snapshots, \.clockRefusals,
            ] { sum[keyPath: path] += one[keyPath: path] }
        }

        package init() {}
    }

    let scenario: ReplicaScenario
    let defect: SimulatedDefect?
    let machines: [SimulatedMachine]
    var now = MonotonicTime(nanoseconds: 1_000_000_000)
    var queue = EventQueue<Event>()
    var network = SimulatedNetwork()
    /// One for each route, so that a message more or less on one doesn't change the others.
    var routes: [SeededRandom]
    var blockedUntil: [SimulatedNetwork.Route: MonotonicTime] = [:]
    var fullUntil: [MonotonicTime]
    var sessions: UInt64 = 0
    /// The newest of each pair.
    var pairs: [UInt64]
    var ledger: ReplicaLedger
    var dots = ReplicaDots()
    var trace = Trace(keepsLines: false)
    var counts = Counts()
    var violation: String?
    var isHealing = false
    /// The latest that any wall clock has shown.
    var latestWall = WallTime(milliseconds: 0)
    var laterRandom: SeededRandom
    /// Under which replicas have served.
    var epochs: Set<ReplicaID> = []
    /// Elements of the ledger that running replicas had when the faults ended.
    var survivors: Set<String> = []

    static let start = MonotonicTime(nanoseconds: 1_000_000_000)
    static let clientCount = 3

    package init(_ scenario: ReplicaScenario, _ defect: SimulatedDefect? = nil) {
        self.scenario = scenario
        self.defect = defect
        let count = scenario.machines.count
        let group = StateGroup([UInt8](repeating: 7, count: 16))!
        machines = scenario.machines.enumerated().map { SimulatedMachine($0, $1, of: count, group: group) }
        routes = (0..<count * count).map { SeededRandom(seed: scenario.seed &* 1_000 &+ UInt64($0)) }
        laterRandom = SeededRandom(seed: scenario.seed ^ 0x5EED)
        pairs = Array(repeating: 0, count: count * count)
        fullUntil = Array(repeating: now, count: count)
        ledger = ReplicaLedger(count: count)
        network.lossPerMille = scenario.lost
        network.duplicatesPerMille = scenario.doubled
        network.latePerMille = scenario.late
        for machine in machines { prepare(machine) }
    }

    private func prepare(_ machine: SimulatedMachine) {
        if defect == .answersEarly { machine.replica.settings.fsync = .none }
        if defect == .lyingDisk { machine.replica.disk.ignoresSyncs = true }
        if case .core(let mutant)? = defect { machine.replica.mutant = mutant }
        queue.add(.start(machine.index), at: after(machine.setting.starts))
    }

    func after(_ milliseconds: UInt64) -> MonotonicTime { now + .milliseconds(milliseconds) }

    // MARK: Running

    package func run() -> ReplicaScenario.Outcome {
        for (index, timed) in scenario.steps.enumerated() { queue.add(.step(index), at: after(timed.at)) }
        run(until: after(scenario.milliseconds))
        let healed = now
        var healing = MonotonicTime.Span(nanoseconds: 0)
        if violation == nil {
            heal()
            healing = awaitEquality(since: healed)
        }
        for machine in machines where machine.isRunning {
            counts.reconciliations += Int(clamping: machine.replica.statistics.reconciliations)
            counts.clockRefusals += Int(clamping: machine.replica.statistics.refused)
            counts.snapshots += machine.replica.disk.files.count { $0.name.hasPrefix("snapshot-") }
        }
        return ReplicaScenario.Outcome(
            violation: violation, hash: trace.word, simulated: now - ReplicaWorld.start, healing: healing,
            counts: counts)
    }

    func run(until end: MonotonicTime) {
        while violation == nil, let next = queue.next, next <= end, let (time, event) = queue.popFirst() {
            now = max(now, time)
            counts.events += 1
            handle(event, due: time)
        }
        now = max(now, end)
    }

    private func handle(_ event: Event, due time: MonotonicTime) {
        if let machine = subject(event), now < machine.pausedUntil {
            if case .wake = event { machine.wakesAt = machine.pausedUntil }
            return queue.add(event, at: machine.pausedUntil)
        }
        trace.mix(now.nanoseconds)
        switch event {
        case .step(let index): perform(scenario.steps[index].step)
        case .start(let index): start(index)
        case .wake(let index, let life):
            // One that was overtaken by an earlier one is for nobody.
            guard machines[index].life == life, machines[index].wakesAt == time else { return }
            machines[index].wakesAt = nil
            touch(index) { $0.wake() }
        case .disk(let index, let life):
            guard machines[index].life == life else { return }
            machines[index].isDiskBusy = false
            touch(index) { $0.step() }
        case .message(let from, let to, let session, let bytes): deliver(from, to, session, bytes)
        case .connect(let one, let other): connect(one, other)
        case .up(let index, let other, let session, let life): up(index, other, session, life)
        case .down(let index, let other, let session): down(index, other, session)
        case .timeout(let one, let other, let session): timeout(one, other, session)
        case .open(let route): if blockedUntil[route].map({ $0 <= now }) ?? true { network.open(route) }
        case .free(let index):
            if fullUntil[index] <= now { machines[index].replica.disk.capacity = .max }
        case .kill(let index, let life): if machines[index].life == life { end(machines[index]) }
        }
    }

    /// Whose pause holds it up.
    private func subject(_ event: Event) -> SimulatedMachine? {
        switch event {
        case .wake(let index, _), .disk(let index, _), .message(_, let index, _, _),
            .up(let index, _, _, _), .down(let index, _, _):
            machines[index]
        case .step(let index):
            switch scenario.steps[index].step {
            case .request(let index, _), .ledger(let index, _), .add(let index, _), .remove(let index, _),
                .hangUp(let index), .forget(_, let index):
                machines[index]
            default: nil
            }
        case .start, .connect, .timeout, .open, .free, .kill: nil
        }
    }

    // MARK: Turns

    /// Something happens at a machine whose process runs, and everything that follows at once.
    func touch(_ index: Int, _ action: (SimulatedReplica) -> Void) {
        let machine = machines[index]
        guard machine.isRunning else { return }
        machine.replica.now = machine.clock.now(at: now)
        action(machine.replica)
        machine.turns += 1
        carryMessages(of: machine)
        takeAnswers(of: machine)
        if machine.replica.isDead { return end(machine) }
        if let failure = machine.replica.failure { return fail(machine, failure) }
        if machine.replica.isClosed { return finishStop(machine) }
        check(machine)
        if machine.isReady, !machine.hasServed { serve(machine) }
        schedule(machine)
    }

    /// Its disk works, and its deadline comes.
    private func schedule(_ machine: SimulatedMachine) {
        if !machine.isDiskBusy, !machine.replica.isDiskIdle {
            machine.isDiskBusy = true
            let span = ReplicaWorld.span(of: machine.replica.nextOperation)
            queue.add(.disk(machine.index, life: machine.life), at: now + span)
        }
        guard defect != .noTimers, let deadline = machine.replica.nextDeadline else { return }
        let soonest = now + MonotonicTime.Span(nanoseconds: 100_000)
        let time = max(machine.clock.time(of: deadline, after: now), soonest)
        if let wakesAt = machine.wakesAt, wakesAt <= time { return }
        machine.wakesAt = time
        queue.add(.wake(machine.index, life: machine.life), at: time)
    }

    /// As an SSD takes it, about.
    private static func span(of operation: DiskOperation?) -> MonotonicTime.Span {
        switch operation {
        case nil: MonotonicTime.Span(nanoseconds: 1_000)
        case .list, .read, .rename, .remove: MonotonicTime.Span(nanoseconds: 20_000)
        case .write, .preallocate: MonotonicTime.Span(nanoseconds: 50_000)
        case .sync, .syncFolder: .milliseconds(1)
        }
    }
}
