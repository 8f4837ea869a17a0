// What other replicas say and isn't taken, for the log and for INFO.

extension StateReplica {
    mutating func noteRefusal(_ refusal: GossipRefusal, of peer: InstanceID, at now: Now) {
        if case .join(.clock(.ahead(let milliseconds, _), let origin)) = refusal {
            clockRefusals[origin] = ClockRefusal(
                counter: store.counter(of: origin), milliseconds: milliseconds)
        }
        guard let more = refusals.note(refusal, of: peer, at: now.monotonic) else { return }
        let times = more > 0 ? " (\(more) more times since this was said last)" : ""
        effects.append(.log(.warning, "what replica \(peer) said is refused: \(refusal.description)\(times)"))
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
        let name = Name(peer: peer, kind: refusal.kind)
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
