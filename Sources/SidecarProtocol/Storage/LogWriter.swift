/// Writes records into segments, one job at a time: what comes while a job runs goes with the next one.
struct LogWriter {
    private let configuration: StateLogConfiguration
    /// The last one is written to, unless `end` is nil.
    private(set) var segments: [StateSegment]
    /// Where the next frame goes; nil: no segment is open.
    private(set) var end: Int?
    /// The last record that was appended, and the last that is durable.
    private(set) var last: UInt64
    private(set) var durable: UInt64
    /// Since the last snapshot.
    var bytesSinceSnapshot = 0
    private(set) var unwrittenBytes = 0
    private(set) var syncs: UInt64 = 0
    /// A file with a segment's place on the disk stands under the name `spare`.
    var isSpareReady = false
    /// A write has found no space, and waits for some.
    private(set) var isStuck = false
    private var isRetrying = false
    /// All that was appended is made durable soon, whatever the policy.
    var isSyncWanted = false

    private var highestNumber: UInt64
    private var pending: [(type: UInt8, payload: [UInt8])] = []
    private var given: UInt64
    private var flight: Flight?
    private var unsyncedSince: MonotonicTime?

    /// The job that runs.
    private struct Flight {
        var operations: [DiskOperation] = []
        var through: UInt64
        var syncs = false
        /// What an older segment's sync makes durable.
        var closed: UInt64 = 0
        var frameBytes = 0
        var segment: StateSegment?
        var end: Int?
    }

    init(configuration: StateLogConfiguration, recovered: StateRecovery.Recovered) {
        self.configuration = configuration
        segments = recovered.segments
        end = recovered.end
        last = recovered.next - 1
        durable = last
        given = last
        highestNumber = recovered.highestNumber
    }

    /// A job runs that makes records durable.
    var isSyncing: Bool { !isStuck && flight?.syncs == true }
    /// A job runs that only writes, and nothing waits for its end.
    var isOnlyWriting: Bool {
        guard let flight, pending.isEmpty, !isStuck else { return false }
        return !flight.syncs && flight.segment == nil
    }
    var isIdle: Bool { flight == nil && pending.isEmpty }
    /// All that was appended survives a crash.
    var isSettled: Bool { isIdle && durable == last && end != nil }

    mutating func append(_ payload: [UInt8], type: UInt8) -> UInt64 {
        pending.append((type, payload))
        unwrittenBytes += StateFrame.encodedBytes(payload: payload.count)
        last += 1
        return last
    }

    /// When a sync is due that nothing else causes.
    var syncDeadline: MonotonicTime? {
        guard case .interval(let span) = configuration.fsync, flight == nil else { return nil }
        return unsyncedSince.map { $0 + span }
    }

    // MARK: Jobs

    /// Nil where nothing is to be done, or a job runs, or there is no room.
    mutating func nextJob(at now: MonotonicTime) -> [DiskOperation]? {
        guard flight == nil else { return nil }
        var flight = Flight(through: given)
        let needed = pending.first.map { StateFrame.encodedBytes(payload: $0.payload.count) } ?? 0
        if needsSegment(for: needed) {
            guard isSpareReady else { return nil }
            beginSegment(for: needed, &flight)
        }
        writeFrames(&flight)
        if given > durable || !flight.operations.isEmpty, syncIsDue(at: now), let file = openFile(flight) {
            flight.operations.append(.sync(file: file))
            flight.syncs = true
            isSyncWanted = false
        }
        guard !flight.operations.isEmpty else { return nil }
        self.flight = flight
        return flight.operations
    }

    private func needsSegment(for bytes: Int) -> Bool {
        guard let end, let segment = segments.last else { return true }
        return bytes > segment.size - end
    }

    private func openFile(_ flight: Flight) -> String? {
        flight.segment?.file ?? (end == nil ? nil : segments.last?.file)
    }

    private func syncIsDue(at now: MonotonicTime) -> Bool {
        if isSyncWanted { return true }
        switch configuration.fsync {
        case .always: return true
        case .interval(let span): return unsyncedSince.map { $0 + span <= now } ?? false
        case .none: return false
        }
    }

    /// The old segment is durable before the new one's header tells that it ended there.
    private mutating func beginSegment(for bytes: Int, _ flight: inout Flight) {
        if end != nil, let old = segments.last {
            flight.operations.append(.sync(file: old.file))
            flight.closed = given
        }
        let sector = StateSegment.sectorBytes
        let needed = (sector + bytes + sector - 1) / sector * sector
        let size = max(configuration.segmentBytes, needed)
        let spare = StateFile.spare.name
        if size > configuration.segmentBytes {
            flight.operations.append(.preallocate(file: spare, size: size))
        }
        highestNumber += 1
        let header = StateHeader(
            kind: .segment, size: UInt64(size), group: configuration.group, number: highestNumber,
            sequence: given + 1)
        let segment = StateSegment(header: header)
        let rest = [UInt8](repeating: 0, count: sector - StateHeader.bytes)
        flight.operations += [
            .write(file: spare, offset: 0, header.encoded() + rest), .sync(file: spare),
            .rename(from: spare, to: segment.file), .syncFolder,
        ]
        flight.segment = segment
        flight.end = sector
        isSpareReady = false
    }

    /// As many as the segment and one batch have room for, with one write.
    private mutating func writeFrames(_ flight: inout Flight) {
        guard let segment = flight.segment ?? segments.last, let start = flight.end ?? end else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(
            max(0, min(unwrittenBytes, segment.size - start, Limits.stateBatchBytesMaximum)))
        var count = 0
        for record in pending {
            let needed = StateFrame.encodedBytes(payload: record.payload.count)
            guard start + bytes.count + needed <= segment.size else { break }
            guard count == 0 || bytes.count + needed <= Limits.stateBatchBytesMaximum else { break }
            given += 1
            count += 1
            let frame = StateFrame(
                sequence: given, lag: UInt32(clamping: given - durable), type: record.type,
                payload: record.payload)
            frame.append(to: &bytes, seed: segment.seed)
        }
        guard count > 0 else { return }
        pending.removeFirst(count)
        flight.operations.append(.write(file: segment.file, offset: start, bytes))
        flight.frameBytes = bytes.count
        flight.through = given
        flight.end = start + bytes.count
    }

    // MARK: Outcomes

    /// - Returns: what is to be done again later, when there is space; or why the process must end.
    mutating func finish(_ outcome: DiskOutcome, at now: MonotonicTime) -> DiskFailure? {
        guard var flight else { return nil }
        if let failure = outcome.failure {
            let failed = flight.operations.dropFirst(outcome.answers.count).first
            if case .sync? = failed { return DiskFailure(.failed, detail: failure.detail) }
            guard failure.kind == .noSpace else { return failure }
            // Until the segment has its name, all is done again: the spare may be another file by then.
            let done = flight.operations[..<outcome.answers.count]
            if flight.segment == nil || done.contains(where: \.isRename) {
                flight.operations.removeFirst(done.count)
            }
            self.flight = flight
            isStuck = true
            isRetrying = false
            return failure
        }
        self.flight = nil
        if let segment = flight.segment {
            segments.append(segment)
            if isRetrying { isSpareReady = false }
        }
        isStuck = false
        isRetrying = false
        if let end = flight.end { self.end = end }
        unwrittenBytes -= flight.frameBytes
        bytesSinceSnapshot += flight.frameBytes
        durable = max(durable, flight.closed)
        if flight.syncs {
            syncs += 1
            durable = flight.through
            unsyncedSince = nil
        } else if unsyncedSince == nil, durable < flight.through {
            unsyncedSince = now
        }
        return nil
    }

    /// The rest of the job that found no space.
    mutating func retry() -> [DiskOperation]? {
        guard isStuck, !isRetrying, let flight else { return nil }
        isRetrying = true
        return flight.operations
    }

    // MARK: Compaction

    /// Forgets the segments that hold no record after `sequence`, oldest first.
    ///
    /// - Parameter recycles: one of them may become the spare.
    /// - Returns: what removes them, and whether one becomes the spare.
    mutating func compact(through sequence: UInt64, recycles: Bool) -> ([DiskOperation], Bool) {
        var operations: [DiskOperation] = []
        var isRecycled = !recycles
        while segments.count > 1, segments[1].first <= sequence &+ 1 {
            let segment = segments.removeFirst()
            if !isRecycled, segment.size == configuration.segmentBytes {
                isRecycled = true
                operations.append(.rename(from: segment.file, to: StateFile.spare.name))
            } else {
                operations.append(.remove(file: segment.file))
            }
        }
        return (operations, recycles && isRecycled)
    }
}

extension DiskOperation {
    fileprivate var isRename: Bool {
        if case .rename = self { true } else { false }
    }
}
