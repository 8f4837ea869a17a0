/// Writes one snapshot under a name of its own, and gives it its right name when all of it is durable.
struct SnapshotWriter {
    enum Outcome: Equatable {
        case goesOn
        case done(through: UInt64, bytes: Int)
        /// What was written is to be removed.
        case failed(DiskFailure)
        case crash(DiskFailure)
    }

    let through: UInt64
    private let seed: UInt32
    private var unwritten: [UInt8]
    private var offset = 0
    private var chunks: UInt64 = 0
    private var unsyncedBytes = 0
    private var flight: [DiskOperation] = []
    private var flightBytes = 0
    /// All chunks have come; records up to here must be durable before the snapshot is, since it may
    /// include what they did.
    private(set) var barrier: UInt64?
    private var isLast = false

    init(group: StateGroup, through: UInt64) {
        self.through = through
        let header = StateHeader(kind: .snapshot, group: group, sequence: through)
        seed = header.seed
        unwritten = header.encoded()
    }

    var hasRoom: Bool {
        barrier == nil && unwritten.count + flightBytes < Limits.stateSnapshotUnwrittenBytesMaximum
    }

    mutating func append(_ chunk: [UInt8]) {
        StateFrame(sequence: chunks, type: StateFrame.chunkType, payload: chunk)
            .append(to: &unwritten, seed: seed)
        chunks += 1
    }

    mutating func end(after last: UInt64) { barrier = last }

    /// - Parameter durable: the log's last durable record, nil where it has no segment.
    mutating func nextJob(durable: UInt64?) -> [DiskOperation]? {
        guard flight.isEmpty else { return nil }
        let file = StateFile.unfinishedSnapshot.name
        if unwritten.isEmpty {
            guard let barrier, let durable, durable >= barrier else { return nil }
            isLast = true
            StateFrame(sequence: chunks, type: StateFrame.endType, payload: [])
                .append(to: &unwritten, seed: seed)
        }
        if offset == 0 { flight.append(.remove(file: file)) }
        flight.append(.write(file: file, offset: offset, unwritten))
        flightBytes = unwritten.count
        unsyncedBytes += flightBytes
        unwritten = []
        // Small syncs, so that the log's own never waits behind a large one.
        if isLast || unsyncedBytes >= Limits.stateSnapshotUnwrittenBytesMaximum {
            flight.append(.sync(file: file))
            unsyncedBytes = 0
        }
        if isLast {
            flight += [.rename(from: file, to: StateFile.snapshot(through).name), .syncFolder]
        }
        return flight
    }

    mutating func finish(_ outcome: DiskOutcome) -> Outcome {
        defer {
            flight = []
            flightBytes = 0
        }
        guard let failure = outcome.failure else {
            offset += flightBytes
            return isLast ? .done(through: through, bytes: offset) : .goesOn
        }
        switch flight.dropFirst(outcome.answers.count).first {
        // Whether the new name stands is unknown then; the next start finds out.
        case .syncFolder?: return .crash(failure)
        case .list?, .read?, .write?, .preallocate?, .sync?, .rename?, .remove?, nil:
            return failure.kind == .noSpace ? .failed(failure) : .crash(failure)
        }
    }
}
