// The durable log of a workload's state: records, snapshots that stand for them, and nothing lost.
//
// Theory of operation
//
//   Records are opaque. Each gets the next sequence, from 1, and is a frame (StateFrame.swift) in the
//   segment that is open. The owner appends what one turn of its event loop brings and calls `flush`; one
//   job writes and syncs it all, and what comes meanwhile goes with the next (group commit). Under
//   `always` the owner answers its clients when `durable` has reached their records.
//
//   Segments are files of one size, with their place on the disk before they are needed, so that a commit
//   changes no metadata. One spare is kept ready: it becomes the next segment by a header, a sync, a
//   rename and a sync of the folder. Where no spare can be made the disk counts as full: ordinary records
//   are refused, while what is left of the open segment takes those that free memory or end the process in
//   order. It is tried again every second, and by itself the log takes records again.
//
//   A snapshot begins at a sequence S and is given chunk by chunk while records go on. It may include what
//   records after S did, so to replay those once more must change nothing, as joins of CRDTs don't; an
//   owner whose records aren't idempotent gives chunks of a frozen copy. When it is durable under its name,
//   older snapshots and the segments before S go, one of which becomes the spare.
//
//   A sync that fails ends the process, always (Disk.swift). A write that finds no space is repeated.
//
//   Files: `log-NUMBER`, `snapshot-SEQUENCE`, both of 16 hexadecimal digits, `spare`, `clean`; unfinished
//   ones end in `.tmp`, and damaged ones that were given up begin with `damaged-`.

package struct StateLog {
    package let configuration: StateLogConfiguration

    enum Phase {
        case new
        case opening(StateRecovery)
        case open
        case closing
        case ended
    }

    private enum Purpose {
        case recover, commit, spare, snapshot, discardSnapshot, close
        case compact(recycles: Bool)
    }

    private var phase = Phase.new
    private var lastJob: UInt64 = 0
    /// The disk answers in the order in which it was asked.
    private var outstanding: [(id: DiskJobID, purpose: Purpose)] = []
    private var writer: LogWriter
    private var snapshot: SnapshotWriter?
    private var snapshotSequence: UInt64 = 0
    private var snapshotBytes = 0
    private var wasRoomRefused = false
    private var isSnapshotAsked = false
    private var bytesAtSnapshot = 0
    private var snapshotRetryAt: MonotonicTime?
    private var isFull = false
    private var isSpareAsked = false
    private var isMarkerWritten = false
    private var retryAt: MonotonicTime?

    package init(configuration: StateLogConfiguration) {
        self.configuration = configuration
        writer = LogWriter(configuration: configuration, recovered: StateRecovery.Recovered())
    }

    // MARK: Inputs

    package mutating func open(effects: inout [StateLogEffect]) {
        guard case .new = phase else { return }
        var recovery = StateRecovery(configuration: configuration)
        let operations = recovery.begin()
        phase = .opening(recovery)
        perform(operations, .recover, &effects)
    }

    /// Takes a record into the next `flush`.
    ///
    /// - Parameters:
    ///   - type: 1 to 127, the owner's own.
    ///   - isReserved: it has happened already, so that it waits for a full or a slow disk and isn't
    ///     refused: whoever gives it sees to it that there is an end to such records.
    /// - Returns: its sequence.
    package mutating func append(
        _ payload: [UInt8], type: UInt8, isReserved: Bool = false
    ) throws(StateLogRefusal) -> UInt64 {
        precondition(1...127 ~= type)
        if let refusal = refusal(of: payload.count, isReserved: isReserved) { throw refusal }
        return writer.append(payload, type: type)
    }

    /// Whether a record would be refused, so that a command can be before it changes anything.
    package func refusal(of payloadBytes: Int, isReserved: Bool = false) -> StateLogRefusal? {
        guard case .open = phase else { return .notOpen }
        guard payloadBytes <= Limits.statePayloadBytesMaximum else { return .tooLarge(bytes: payloadBytes) }
        if isReserved { return nil }
        if isFull { return .full }
        let bytes = StateFrame.encodedBytes(payload: payloadBytes)
        // One record of any size is taken where nothing waits.
        let waiting = writer.unwrittenBytes == 0 ? 0 : writer.unwrittenBytes + bytes
        return waiting > Limits.stateUnwrittenBytesMaximum ? .backlog(bytes: writer.unwrittenBytes) : nil
    }

    /// What was appended and isn't written yet.
    package var unwrittenBytes: Int { writer.unwrittenBytes }

    /// A job runs that makes records durable.
    package var isSyncing: Bool { writer.isSyncing }

    /// Whether something waits for the outcome of a job. A write that nothing follows has time.
    package var wantsOutcomes: Bool {
        guard case .open = phase, outstanding.count == 1, case .commit = outstanding[0].purpose else {
            return true
        }
        return !writer.isOnlyWriting
    }

    /// Everything of this turn was appended.
    package mutating func flush(at now: MonotonicTime, effects: inout [StateLogEffect]) {
        pump(at: now, &effects)
    }

    /// The next `flush` makes all that was appended durable, whatever the policy.
    package mutating func sync() { writer.isSyncWanted = writer.durable < writer.last }

    package mutating func handle(
        _ outcome: DiskOutcome, at now: MonotonicTime, effects: inout [StateLogEffect]
    ) {
        // A disk that takes jobs in another order than they were given would lose what it was to keep.
        precondition(outstanding.first?.id == outcome.job, "outcomes come in the order of the jobs")
        let first = outstanding.removeFirst()
        if case .ended = phase { return }
        switch first.purpose {
        case .recover: recover(outcome, &effects)
        case .commit: finishCommit(outcome, at: now, &effects)
        case .spare: finishSpare(outcome, at: now, &effects)
        case .snapshot: finishSnapshot(outcome, at: now, &effects)
        case .discardSnapshot: break
        case .compact(let recycles): finishCompaction(outcome, recycles: recycles, at: now, &effects)
        case .close:
            phase = .ended
            effects.append(.closed)
        }
        pump(at: now, &effects)
    }

    /// When `handleDeadline` is wanted.
    package var nextDeadline: MonotonicTime? {
        .earlier(.earlier(writer.syncDeadline, retryAt), snapshotRetryAt)
    }

    package mutating func handleDeadline(at now: MonotonicTime, effects: inout [StateLogEffect]) {
        if let retryAt, retryAt <= now {
            self.retryAt = nil
            if let operations = writer.retry() { perform(operations, .commit, &effects) }
        }
        if let snapshotRetryAt, snapshotRetryAt <= now { self.snapshotRetryAt = nil }
        pump(at: now, &effects)
    }

    /// Writes what waits, and that the log ended in order; then `closed`.
    package mutating func close(at now: MonotonicTime, effects: inout [StateLogEffect]) {
        guard case .open = phase else { return }
        phase = .closing
        snapshot = nil
        pump(at: now, &effects)
    }

    // MARK: Snapshots

    /// - Returns: the sequence that it stands for; nil while another is written, or the log isn't open.
    package mutating func beginSnapshot() -> UInt64? {
        guard case .open = phase, snapshot == nil else { return nil }
        let isBusy = outstanding.contains {
            switch $0.purpose {
            case .snapshot, .discardSnapshot: true
            case .recover, .commit, .spare, .close, .compact: false
            }
        }
        guard !isBusy else { return nil }
        snapshot = SnapshotWriter(group: configuration.group, through: writer.last)
        isSnapshotAsked = false
        bytesAtSnapshot = writer.bytesSinceSnapshot
        return writer.last
    }

    package var isSnapshotRunning: Bool { snapshot != nil }

    /// False: not now; `snapshotRoom` tells when, unless the snapshot failed meanwhile.
    ///
    /// - Parameter chunk: at most `Limits.stateChunkBytesMaximum`.
    package mutating func appendSnapshot(_ chunk: [UInt8]) -> Bool {
        precondition(chunk.count <= Limits.stateChunkBytesMaximum)
        guard snapshot?.hasRoom == true else {
            wasRoomRefused = true
            return false
        }
        snapshot?.append(chunk)
        return true
    }

    package mutating func endSnapshot() {
        snapshot?.end(after: writer.last)
        writer.isSyncWanted = true
    }

    package var status: StateLogStatus {
        StateLogStatus(
            last: writer.last, durable: writer.durable, segments: writer.segments.count,
            bytes: writer.segments.reduce(snapshotBytes) { $0 + $1.size }, snapshotSequence: snapshotSequence,
            snapshotBytes: snapshotBytes, isSnapshotRunning: snapshot != nil, isFull: isFull,
            syncs: writer.syncs, unwrittenBytes: writer.unwrittenBytes)
    }
}

// MARK: - Jobs

extension StateLog {
    private mutating func perform(
        _ operations: [DiskOperation], _ purpose: Purpose, _ effects: inout [StateLogEffect]
    ) {
        lastJob += 1
        let id = DiskJobID(number: lastJob)
        outstanding.append((id, purpose))
        effects.append(.perform(DiskJob(id: id, operations: operations)))
    }

    /// Gives the disk what there is to do.
    private mutating func pump(at now: MonotonicTime, _ effects: inout [StateLogEffect]) {
        switch phase {
        case .new, .opening, .ended: return
        case .open: break
        case .closing: writer.isSyncWanted = writer.durable < writer.last
        }
        if let operations = writer.nextJob(at: now) { perform(operations, .commit, &effects) }
        if !writer.isSpareReady, !isSpareAsked, retryAt == nil, !isMarkerWritten {
            isSpareAsked = true
            let file = StateFile.spare.name
            perform([.preallocate(file: file, size: configuration.segmentBytes)], .spare, &effects)
        }
        if case .closing = phase { return writeMarker(&effects) }
        let durable = writer.end == nil ? nil : writer.durable
        if let operations = snapshot?.nextJob(durable: durable) {
            perform(operations, .snapshot, &effects)
        }
        if snapshot == nil, !isSnapshotAsked, snapshotRetryAt == nil,
            writer.bytesSinceSnapshot >= max(configuration.segmentBytes, snapshotBytes)
        {
            isSnapshotAsked = true
            effects.append(.snapshotWanted)
        }
    }

    private mutating func recover(_ outcome: DiskOutcome, _ effects: inout [StateLogEffect]) {
        guard case .opening(var recovery) = phase else { return }
        switch recovery.advance(outcome, &effects) {
        case .perform(let operations):
            phase = .opening(recovery)
            perform(operations, .recover, &effects)
        case .refused(let refusal):
            phase = .ended
            effects.append(.refused(refusal))
        case .opened(let recovered, let opening):
            phase = .open
            writer = LogWriter(configuration: configuration, recovered: recovered)
            snapshotSequence = recovered.snapshot
            snapshotBytes = recovered.snapshotBytes
            writer.bytesSinceSnapshot = recovered.segments.dropLast().reduce(recovered.end ?? 0) {
                $0 + $1.size
            }
            effects.append(.opened(opening))
            compact(older: recovered.olderSnapshots, &effects)
        }
    }

    private mutating func crash(_ failure: DiskFailure, _ effects: inout [StateLogEffect]) {
        phase = .ended
        effects.append(.crash("\(failure.detail); nothing more may be believed of this disk"))
    }

    private mutating func finishCommit(
        _ outcome: DiskOutcome, at now: MonotonicTime, _ effects: inout [StateLogEffect]
    ) {
        let durable = writer.durable
        if let failure = writer.finish(outcome, at: now) {
            guard failure.kind == .noSpace else { return crash(failure, &effects) }
            return becomeFull(at: now, &effects)
        }
        if writer.durable > durable { effects.append(.durable(through: writer.durable)) }
        checkSpace(&effects)
    }

    // MARK: Space

    private mutating func finishSpare(
        _ outcome: DiskOutcome, at now: MonotonicTime, _ effects: inout [StateLogEffect]
    ) {
        isSpareAsked = false
        if let failure = outcome.failure {
            guard failure.kind == .noSpace else { return crash(failure, &effects) }
            return becomeFull(at: now, &effects)
        }
        writer.isSpareReady = true
        checkSpace(&effects)
    }

    private mutating func becomeFull(at now: MonotonicTime, _ effects: inout [StateLogEffect]) {
        retryAt = now + Limits.stateSpaceRetry
        guard !isFull else { return }
        isFull = true
        effects.append(.full)
    }

    private mutating func checkSpace(_ effects: inout [StateLogEffect]) {
        guard isFull, writer.isSpareReady, !writer.isStuck else { return }
        isFull = false
        effects.append(.spaceReturned)
    }

    // MARK: Snapshots and what they replace

    private mutating func finishSnapshot(
        _ outcome: DiskOutcome, at now: MonotonicTime, _ effects: inout [StateLogEffect]
    ) {
        // Closed meanwhile: the file is removed at the next start.
        guard let result = snapshot?.finish(outcome) else { return }
        switch result {
        case .goesOn:
            if wasRoomRefused, snapshot?.hasRoom == true {
                wasRoomRefused = false
                effects.append(.snapshotRoom)
            }
        case .done(let through, let bytes):
            let older = snapshotSequence
            snapshot = nil
            let hadOlder = snapshotBytes > 0 && older != through
            (snapshotSequence, snapshotBytes) = (through, bytes)
            writer.bytesSinceSnapshot -= bytesAtSnapshot
            effects.append(.snapshotDone(through: through))
            compact(older: hadOlder ? [older] : [], &effects)
        case .failed(let failure):
            snapshot = nil
            snapshotRetryAt = now + Limits.stateSpaceRetry * 10
            effects.append(.snapshotFailed(failure.detail))
            perform([.remove(file: StateFile.unfinishedSnapshot.name)], .discardSnapshot, &effects)
        case .crash(let failure): crash(failure, &effects)
        }
    }

    private mutating func compact(older: [UInt64], _ effects: inout [StateLogEffect]) {
        let isSpareMissing = !writer.isSpareReady && !isSpareAsked
        let (segments, recycles) = writer.compact(through: snapshotSequence, recycles: isSpareMissing)
        let operations = older.map { .remove(file: StateFile.snapshot($0).name) } + segments
        guard !operations.isEmpty else { return }
        if recycles { isSpareAsked = true }
        perform(operations + [.syncFolder], .compact(recycles: recycles), &effects)
    }

    private mutating func finishCompaction(
        _ outcome: DiskOutcome, recycles: Bool, at now: MonotonicTime, _ effects: inout [StateLogEffect]
    ) {
        if recycles { isSpareAsked = false }
        if let failure = outcome.failure {
            // What stays is passed over at the next start.
            if failure.kind != .noSpace { crash(failure, &effects) }
            return
        }
        if recycles {
            writer.isSpareReady = true
            retryAt = writer.isStuck ? now : nil
        }
        checkSpace(&effects)
    }

    // MARK: The end

    private mutating func writeMarker(_ effects: inout [StateLogEffect]) {
        guard writer.isSettled, outstanding.isEmpty, !isMarkerWritten, let segment = writer.segments.last,
            let end = writer.end
        else { return }
        isMarkerWritten = true
        let header = StateHeader(
            kind: .clean, size: UInt64(end), group: configuration.group, number: segment.number,
            sequence: writer.last)
        let file = StateFile.unfinishedClean.name
        perform(
            [
                .write(file: file, offset: 0, header.encoded()), .sync(file: file),
                .rename(from: file, to: StateFile.clean.name), .syncFolder,
            ], .close, &effects)
    }
}
