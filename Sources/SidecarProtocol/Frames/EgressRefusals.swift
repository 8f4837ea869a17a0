/// Refused attempts, so counted that a program which tries without end fills no log: the first of a kind is
/// reported at once, those that follow within a second together.
struct EgressRefusals: Sendable {
    private struct Kind: Hashable {
        var refusal: EgressReport.Refusal
        var flowProtocol: FlowProtocol
        var destination: IPv4Endpoint
    }

    private struct Entry {
        var tuple: FourTuple
        var attempts: UInt32 = 0
        var since: MonotonicTime
    }

    enum Outcome: Equatable {
        case now(EgressReport)
        case later
        /// No room to remember this kind.
        case never
    }

    private var entries: [Kind: Entry] = [:]

    var isEmpty: Bool { entries.isEmpty }

    mutating func add(
        _ refusal: EgressReport.Refusal, _ flow: StackFlow, _ tuple: FourTuple, at now: MonotonicTime
    ) -> Outcome {
        let kind = Kind(
            refusal: refusal, flowProtocol: flow.flowProtocol, destination: flow.destination)
        if let entry = entries[kind] {
            entries[kind]?.tuple = tuple
            entries[kind]?.attempts = entry.attempts < .max ? entry.attempts + 1 : .max
            return .later
        }
        guard entries.count < Limits.stackRefusalsMaximum else { return .never }
        entries[kind] = Entry(tuple: tuple, since: now)
        return .now(EgressReport(flow.flowProtocol, tuple, .refused(refusal, attempts: 1)))
    }

    /// What has been counted for a second. A kind that wasn't tried again is forgotten.
    mutating func due(at now: MonotonicTime) -> [EgressReport] {
        var reports: [EgressReport] = []
        for (kind, entry) in entries where now - entry.since >= Limits.stackRefusalTime {
            if entry.attempts == 0 {
                entries[kind] = nil
            } else {
                reports.append(
                    EgressReport(
                        kind.flowProtocol, entry.tuple, .refused(kind.refusal, attempts: entry.attempts)))
                entries[kind] = Entry(tuple: entry.tuple, since: now)
            }
        }
        return reports
    }
}
