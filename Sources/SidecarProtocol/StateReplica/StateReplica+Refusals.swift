// What other replicas say and isn't taken, for the log and for INFO.

extension StateReplica {
    mutating func noteRefusal(_ refusal: GossipRefusal, of peer: InstanceID, at now: Now) {
        facts.refusals &+= 1
        if case .join(.clock(.ahead(let milliseconds, _), let origin)) = refusal {
            clockRefusals[origin] = ClockRefusal(
                counter: store.counter(of: origin), milliseconds: milliseconds)
        }
        guard let more = refusals.note(refusal, of: peer, at: now.monotonic) else { return }
        let times = more > 0 ? " (\(more) more times since this was said last)" : ""
        effects.append(.log(.warning, "what replica \(peer) said is refused: \(refusal.description)\(times)"))
    }

    /// Under `conditional: warn` each command that decides by what is there is named once.
    mutating func noteConditionals() {
        for name in server.takeWarnings() {
            let text = "\(name.uppercased()) is atomic on this replica only, and others may decide otherwise"
            effects.append(.log(.warning, text + " (conditional: warn)"))
        }
    }

    /// Another takes nothing of what is written here.
    mutating func noteRefusal(isForGood: Bool, by peer: InstanceID, at now: Now) {
        guard let more = refusals.note(.refusedBy, of: peer, at: now.monotonic) else { return }
        let times = more > 0 ? " (said \(more) more times)" : ""
        let way =
            isForGood
            ? "mesh state export, and mesh state import --anew where the folder was, write again what is shown here"
            : "its log says why; the next start of this workload begins a new epoch"
        effects.append(
            .log(
                .error,
                "replica \(peer) refuses this one, \(store.replica), as given up or not known to it: what is written "
                    + "here stays here; if that goes on: \(way)\(times)"))
    }

    /// Those whose changes have come meanwhile, or who are forgotten, are told of no more.
    mutating func noteClocks() {
        guard !clockRefusals.isEmpty || !facts.clocksAhead.isEmpty else { return }
        clockRefusals = clockRefusals.filter { origin, refusal in
            store.replicas.place(of: origin) != nil && store.counter(of: origin) == refusal.counter
        }
        facts.clocksAhead = clockRefusals.map { ($0.key, $0.value.milliseconds) }.sorted { $0.0 < $1.0 }
    }
}

/// A replica whose changes aren't taken, since their time lies too far ahead.
struct ClockRefusal: Sendable {
    /// What was seen of it then.
    var counter: UInt64
    var milliseconds: Int64
}

/// What is refused comes again every second, and is said once a minute.
package struct RefusalNotes: Sendable {
    private struct Name: Hashable {
        let peer: InstanceID
        let kind: GossipRefusal.Kind
    }

    private struct Note {
        var time: MonotonicTime
        var more: UInt64 = 0
    }

    private var notes: [Name: Note] = [:]

    package init() {}

    /// - Returns: How often it wasn't said since it was said last; nil: it isn't said now either.
    package mutating func note(_ refusal: GossipRefusal, of peer: InstanceID, at time: MonotonicTime)
        -> UInt64?
    {
        note(refusal.kind, of: peer, at: time)
    }

    mutating func note(_ kind: GossipRefusal.Kind, of peer: InstanceID, at time: MonotonicTime) -> UInt64? {
        let name = Name(peer: peer, kind: kind)
        if let last = notes[name]?.time, time - last < Limits.refusalLogInterval {
            notes[name]?.more &+= 1
            return nil
        }
        let more = notes[name]?.more ?? 0
        // Of peers and origins that went, nothing piles up.
        notes = notes.filter { time - $0.value.time < Limits.refusalLogInterval * 2 }
        notes[name] = Note(time: time)
        return more
    }
}

extension GossipRefusal {
    enum Kind: Hashable {
        case malformed
        case clock(ReplicaID)
        case join
        case unknownPeer
        case tooManyPeers
        case otherGroup
        /// It isn't what the peer said that is refused, but what was said to it.
        case refusedBy
    }

    var kind: Kind {
        switch self {
        case .malformed: .malformed
        case .join(.clock(_, let origin)): .clock(origin)
        case .join: .join
        case .unknownPeer: .unknownPeer
        case .tooManyPeers: .tooManyPeers
        case .otherGroup: .otherGroup
        }
    }
}
