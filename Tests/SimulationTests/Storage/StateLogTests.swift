import SidecarProtocol
import Simulator
import Testing

@Suite("The state's log")
struct StateLogTests {
    static let group = StateGroup([UInt8](repeating: 7, count: 16))!

    static func configuration(
        _ fsync: StateLogConfiguration.FsyncPolicy = .always, repair: StateLogConfiguration.Repair = .refuse
    ) -> StateLogConfiguration {
        StateLogConfiguration(group: group, segmentBytes: 4_096, fsync: fsync, repair: repair)
    }

    /// A log that is open.
    static func opened(_ configuration: StateLogConfiguration = configuration()) -> SimulatedLog {
        var log = SimulatedLog(configuration)
        log.settle()
        return log
    }

    private func write(_ count: Int, _ log: inout SimulatedLog, bytes: Int = 100) {
        for number in 0..<count {
            log.append([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: bytes))
            log.flush()
            log.settle()
        }
    }

    @Test("a new folder is a new state, which is clean after it was closed in order")
    func cleanShutdown() throws {
        var log = Self.opened()
        #expect(log.opening == StateLogOpening(isNew: true, isClean: false, last: 0, tornBytes: 0))
        write(200, &log)
        #expect(log.promised == 200 && log.snapshots.count > 2)
        log.close()
        log.settle()
        #expect(log.isClosed)
        for _ in 0..<3 {
            log.restart()
            log.settle()
            #expect(log.violation == nil)
            #expect(log.opening == StateLogOpening(isNew: false, isClean: true, last: log.last, tornBytes: 0))
            write(3, &log)
            log.close()
            log.settle()
        }
        log.restart()
        log.settle()
        log.restart()
        log.settle()
        #expect(log.opening?.isClean == false && log.last == 209)
    }

    @Test("what comes while the disk works goes with the next sync, all of it")
    func groupCommit() {
        var log = Self.opened(
            StateLogConfiguration(group: Self.group, segmentBytes: 1 << 20))
        let before = log.log.status.syncs
        for _ in 0..<100 {
            log.append([1, 2, 3])
            log.flush()
        }
        log.settle()
        #expect(log.promised == 100 && log.log.status.syncs == before + 2)
    }

    @Test(
        "nobody waits for a write's end that nothing follows; a sync's end is waited for, and a write's before another",
        arguments: [.none, .always] as [StateLogConfiguration.FsyncPolicy])
    func outcomesThatAreWanted(fsync: StateLogConfiguration.FsyncPolicy) {
        var log = Self.opened(
            StateLogConfiguration(group: Self.group, segmentBytes: 1 << 20, fsync: fsync))
        write(1, &log)
        log.append([1])
        log.flush()
        #expect(log.log.isSyncing == (fsync == .always))
        #expect(log.log.wantsOutcomes == (fsync == .always))
        log.append([2])
        log.flush()
        #expect(log.log.wantsOutcomes)
        log.settle()
        #expect(!log.log.isSyncing)
    }

    @Test("a record isn't durable before its sync, and under `interval` is within it")
    func policies() {
        var log = Self.opened(Self.configuration(.interval(.milliseconds(100))))
        write(2, &log)
        #expect(log.promised == 0)
        log.wait(.milliseconds(100))
        log.settle()
        #expect(log.promised == 2)
        log = Self.opened(Self.configuration(.none))
        write(20, &log)
        log.wait(.seconds(100))
        log.settle()
        #expect(log.promised == 0)
        write(200, &log)
        #expect(log.promised > 150)
        log.close()
        log.settle()
        #expect(log.isClosed && log.promised == 220)
    }

    @Test("a snapshot stands for what it includes, and its segments are used again")
    func compaction() throws {
        var log = Self.opened()
        write(2_000, &log)
        #expect(log.snapshots.count > 10)
        let used = log.disk.usedBytes
        write(2_000, &log)
        #expect(log.disk.usedBytes <= used + 4_096)
        #expect(log.disk.files.count < 6)
        log.restart()
        log.settle()
        #expect(log.violation == nil && log.opening?.last == 4_000)
    }

    @Test("a record larger than a segment has one of its own; one past the limit is refused")
    func largeRecords() {
        var log = Self.opened()
        write(1, &log, bytes: 20_000)
        write(3, &log)
        write(1, &log, bytes: Limits.statePayloadBytesMaximum)
        #expect(log.last == 5 && log.promised == 5)
        let taken1 = log.append([UInt8](repeating: 0, count: Limits.statePayloadBytesMaximum + 1))
        #expect(taken1 == nil)
        #expect(log.refusal == .tooLarge(bytes: Limits.statePayloadBytesMaximum + 1))
        log.restart()
        log.settle()
        #expect(log.violation == nil && log.opening?.last == 5)
    }

    @Test("records that wait for a slow disk are refused past the limit, and taken again after it")
    func backlog() {
        var log = Self.opened()
        let payload = [UInt8](repeating: 1, count: (4 << 20) - StateFrame.headBytes)
        let count = Limits.stateUnwrittenBytesMaximum / (4 << 20)
        for _ in 0..<count {
            let sequence = log.append(payload)
            #expect(sequence != nil)
        }
        let taken2 = log.append([])
        #expect(taken2 == nil)
        #expect(log.refusal == .backlog(bytes: Limits.stateUnwrittenBytesMaximum))
        log.flush()
        log.settle()
        let taken3 = log.append([])
        #expect(taken3 != nil)
    }

    @Test(
        "segments have the size that is asked for, within their limits",
        arguments: [
            (Limits.stateSegmentBytesMinimum - 1, Limits.stateSegmentBytesMinimum),
            (Limits.stateSegmentBytesMinimum, Limits.stateSegmentBytesMinimum),
            (Limits.stateSegmentBytesMaximum, Limits.stateSegmentBytesMaximum),
            (Limits.stateSegmentBytesMaximum + 1, Limits.stateSegmentBytesMaximum),
            (Limits.stateSegmentBytes, 8 << 20),
        ])
    func segmentSizes(asked: Int, given: Int) {
        #expect(StateLogConfiguration(group: Self.group, segmentBytes: asked).segmentBytes == given)
    }

    @Test("chunks of a snapshot wait for the disk up to a limit, and one has its largest size")
    func snapshotRoom() throws {
        var log = StateLog(configuration: Self.configuration())
        var disk = SimulatedDisk()
        try drive(&log, &disk) { $0.open(effects: &$1) }
        let begun = [log.beginSnapshot(), log.beginSnapshot()]
        #expect(begun == [0, nil])
        let chunk = [UInt8](repeating: 1, count: Limits.stateChunkBytesMaximum)
        let frames = Limits.stateSnapshotUnwrittenBytesMaximum / StateFrame.encodedBytes(payload: chunk.count)
        for _ in 0...frames {
            let isTaken = log.appendSnapshot(chunk)
            #expect(isTaken)
        }
        let isTaken = log.appendSnapshot(chunk)
        #expect(!isTaken)
        let effects = try drive(&log, &disk) { $0.flush(at: MonotonicTime(nanoseconds: 0), effects: &$1) }
        let isTakenThen = log.appendSnapshot(chunk)
        #expect(effects.contains(.snapshotRoom) && isTakenThen)
    }

    @Test("a folder of another group is refused")
    func foreignGroup() {
        var log = Self.opened()
        write(1, &log)
        let other = StateGroup([UInt8](repeating: 8, count: 16))!
        log.configuration = StateLogConfiguration(group: other)
        log.restart()
        log.settle()
        #expect(log.refusal == .foreignGroup(file: "log-0000000000000001", Self.group))
        let taken4 = log.append([1])
        #expect(taken4 == nil && log.refusal == .notOpen)
    }

    @Test("a failed sync ends the process, and the next start trusts no page that it left")
    func failedSync() throws {
        var random = SeededRandom(seed: 1)
        var log = Self.opened()
        write(10, &log)
        log.append([9])
        log.disk.failingSyncs = 1
        log.flush()
        log.settle()
        #expect(log.crashReason?.contains("input/output error") == true && log.promised == 10)
        // The kernel shows the record, and the platter never had it.
        log.restart()
        log.settle()
        #expect(log.opening?.last == 11 && log.promised == 11)
        log.crash(powerFails: true, random: &random)
        log.settle()
        #expect(log.violation == nil && log.opening?.last == 11)
    }

    /// Drives a log until the disk has nothing to do.
    @discardableResult
    private func drive(
        _ log: inout StateLog, _ disk: inout SimulatedDisk,
        _ input: (inout StateLog, inout [StateLogEffect]) -> Void
    ) throws -> [StateLogEffect] {
        var all: [StateLogEffect] = []
        var effects: [StateLogEffect] = []
        input(&log, &effects)
        while !effects.isEmpty {
            all += effects
            var next: [StateLogEffect] = []
            for case .perform(let job) in effects {
                var answers: [DiskAnswer] = []
                for operation in job.operations { answers.append(try disk.perform(operation)) }
                log.handle(
                    DiskOutcome(job: job.id, answers: answers), at: MonotonicTime(nanoseconds: 0),
                    effects: &next)
            }
            effects = next
        }
        return all
    }
}
