import SidecarProtocol

// What must be so after every event, and at the end.

extension ReplicaWorld {
    func violate(_ what: String) {
        if violation == nil { violation = what }
    }

    /// After a turn.
    func check(_ machine: SimulatedMachine) {
        guard machine.isReady else { return }
        let statistics = machine.replica.statistics
        let changes = statistics.commits &+ statistics.joins &+ statistics.reconciliations
        guard changes != machine.changes else { return }
        machine.changes = changes
        let version = machine.replica.version
        trace.mix(UInt64(version.entries.count))
        for entry in version.entries { trace.mix(entry.counter) }
        checkProgress(machine, to: version)
        (machine.version, machine.stateHash) = (version, nil)
        for other in machines where other !== machine && other.isReady && other.version == version {
            compare(machine, other)
        }
        if changes % 64 == 0 { inspect(machine) }
    }

    /// A version never goes back, but for replicas that ended and are forgotten.
    private func checkProgress(_ machine: SimulatedMachine, to version: VersionVector) {
        for entry in machine.version.entries where version[entry.replica] < entry.counter {
            let isRunning = machines.contains { $0.isReady && $0.replica.name == entry.replica }
            guard version[entry.replica] > 0 || isRunning else { continue }
            violate(
                "went back: replica \(machine.index) from \(entry.counter) to \(version[entry.replica]) of "
                    + "\(entry.replica)")
        }
    }

    private func compare(_ one: SimulatedMachine, _ other: SimulatedMachine) {
        counts.equalities += 1
        guard stateHash(of: one) != stateHash(of: other) else { return }
        let (left, right) = (one.replica.shown, other.replica.shown)
        let differs = zip(left, right).first { $0 != $1 }.map { "\($0) and \($1)" }
        violate(
            "unequal: replicas \(one.index) and \(other.index), though they have seen the same, show "
                + "\(left.count) and \(right.count) things, first \(differs ?? "the same")")
    }

    private func stateHash(of machine: SimulatedMachine) -> UInt64 {
        if let known = machine.stateHash { return known }
        let hash = machine.replica.stateHash
        machine.stateHash = hash
        trace.mix(hash)
        return hash
    }

    /// The replica serves, for the first time in its life.
    func serve(_ machine: SimulatedMachine) {
        machine.hasServed = true
        let name = machine.replica.name
        if !epochs.insert(name).inserted { violate("begun twice: epoch \(name)") }
        machine.clients = (0..<ReplicaWorld.clientCount).map { _ in
            ReplicaClient(id: machine.replica.connect())
        }
        inspect(machine)
    }

    /// What clients see is what the store has for them, and nothing of what was said is otherwise.
    func inspect(_ machine: SimulatedMachine) {
        let shown = machine.replica.shown
        var copy = StateServer(
            configuration: machine.replica.settings.server, seed: 1, now: machine.replica.now)
        copy.apply(shown, now: machine.replica.now)
        if copy.keyspace.digest() != machine.replica.keyspaceDigest {
            violate("shown wrong: replica \(machine.index) has something else for its clients than its store")
        }
        if let mistake = ledger.mistake(ReplicaLedger.View(shown), of: machine.index) { violate(mistake) }
    }

    // MARK: The end

    /// Where a replica runs when the faults end, nothing of it is lost any more.
    func noteSurvivors(_ machine: SimulatedMachine) {
        guard machine.isReady, !machine.isDiskSuspect, machine.stop == nil else { return }
        survivors.formUnion(ReplicaLedger.View(machine.replica.shown).ledger)
    }

    private var present: [SimulatedMachine] { machines.filter { !$0.hasLeft } }

    var isEqual: Bool {
        guard present.allSatisfy({ $0.isReady }), let first = present.first else { return false }
        let version = first.replica.version
        // What ended is forgotten, once everybody is there who knows of it; where one left, and nobody has said
        // so, some may have forgotten an epoch of which others wait to hear from it.
        let isKnown = machines.allSatisfy { !$0.hasLeft || $0.isForgotten }
        if isKnown, version.entries.count > present.count { return false }
        let areVersionsEqual = present.allSatisfy { machine in
            let other = machine.replica.version
            return isKnown ? other == version : isSame(other, version)
        }
        guard areVersionsEqual else { return false }
        let (digest, hash) = (first.replica.keyspaceDigest, first.replica.stateHash)
        return present.allSatisfy { $0.replica.keyspaceDigest == digest && $0.replica.stateHash == hash }
    }

    /// But for what one of them has forgotten.
    private func isSame(_ one: VersionVector, _ other: VersionVector) -> Bool {
        let running = Set(present.map(\.replica.name))
        return (one.entries + other.entries).allSatisfy { entry in
            let (left, right) = (one[entry.replica], other[entry.replica])
            return left == right || !running.contains(entry.replica) && (left == 0 || right == 0)
        }
    }

    /// Why they aren't equal.
    var unequal: String {
        present.map { machine in
            let version = machine.replica.version.entries.map { "\($0.replica):\($0.counter)" }
            let said = machine.replica.logged.suffix(2)
            return "replica \(machine.index) \(machine.isReady ? "" : "isn't ready ")\(version) \(said)"
        }.joined(separator: "; ")
    }

    /// All replicas are equal: what was acknowledged anywhere is everywhere.
    func checkEnd() {
        for machine in present { machine.stateHash = nil }
        for (one, other) in zip(present, present.dropFirst()) { compare(one, other) }
        for machine in present { inspect(machine) }
        guard let first = present.first else { return }
        let view = ReplicaLedger.View(first.replica.shown)
        trace.mix(UInt64(view.total))
        for machine in machines where !machine.hasLeft {
            if let mistake = ledger.mistake(view, of: machine.index) { violate("at the end \(mistake)") }
        }
        if let lost = survivors.subtracting(view.ledger).min() {
            violate("lost: \(lost), which a replica had when the faults ended")
        }
    }
}
