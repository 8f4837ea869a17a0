import SidecarProtocol
import Simulator
import Testing

/// The log when its process, its power or its bytes fail.
@Suite("The state's log in crashes")
struct StateLogCrashTests {
    /// A short life: batches of different sizes over several segments, with a snapshot.
    private static func live(_ log: inout SimulatedLog, seed: UInt64, until operations: Int) {
        var random = SeededRandom(seed: seed)
        for round in 0..<14 {
            for _ in 0...(random.next() % 4) { log.append(random.bytes(Int(random.next() % 400))) }
            log.flush()
            if round == 6 { log.takeSnapshot() }
            for _ in 0..<(random.next() % 12) where log.operations < operations { log.step() }
            if log.operations >= operations { return }
        }
        while log.operations < operations, log.step() {}
    }

    @Test(
        "killed at any operation of the disk, with or without power, it loses no durable record",
        arguments: [StateLogConfiguration.FsyncPolicy.always, .interval(.milliseconds(5)), .none])
    func everyBoundary(fsync: StateLogConfiguration.FsyncPolicy) {
        let configuration = StateLogTests.configuration(fsync)
        var whole = StateLogTests.opened(configuration)
        Self.live(&whole, seed: 3, until: .max)
        #expect(whole.snapshots.count >= 1 && whole.disk.files.contains { $0.name > "log-0000000000000001" })
        for operation in 0...whole.operations {
            for powerFails in [false, true] {
                var random = SeededRandom(seed: UInt64(operation))
                var log = StateLogTests.opened(configuration)
                Self.live(&log, seed: 3, until: operation)
                log.crash(powerFails: powerFails, random: &random)
                // The start is interrupted too, somewhere.
                for _ in 0..<(random.next() % 20) { log.step() }
                log.crash(powerFails: powerFails, random: &random)
                log.settle()
                #expect(log.violation == nil && log.refusal == nil, "killed at \(operation), \(powerFails)")
                log.append([1])
                log.flush()
                log.settle()
                log.close()
                log.settle()
                log.restart()
                log.settle()
                #expect(log.violation == nil && log.opening?.isClean == true)
            }
        }
    }

    @Test(
        "every byte of log and snapshot that rots is found, or was of no consequence",
        arguments: [true, false])
    func everyByte(isClean: Bool) {
        var log = StateLogTests.opened()
        log.isObliging = false
        var random = SeededRandom(seed: 5)
        for round in 0..<12 {
            log.append(random.bytes(Int(random.next() % 250)))
            if round == 3 { log.takeSnapshot() }
            log.flush()
            log.settle()
        }
        log.append(random.bytes(3_000))
        log.flush()
        log.settle()
        if isClean { log.close() }
        log.settle()
        var found = 0
        for file in log.disk.files where file.name != "spare" {
            // Behind the frames nothing but zeros stands: a sample of them does.
            let bytes = log.disk.contents(of: file.name) ?? []
            let used = (bytes.lastIndex { $0 != 0 } ?? 0) + 16
            for byte in bytes.indices where byte < used || byte % 64 == 0 {
                var rotten = log
                rotten.disk.flip(file.name, byte: byte, mask: 1 << UInt8(random.next() % 8))
                rotten.restart()
                rotten.settle()
                if rotten.refusal != nil { found += 1 }
                // Without a marker, the last write can't be told from one that was interrupted.
                let isPrefix =
                    rotten.violation == nil
                    || !isClean && rotten.violation == .lost(recovered: 12, promised: 13)
                #expect(
                    rotten.refusal != nil || isPrefix,
                    "\(file.name) \(byte): \(rotten.violation.debugDescription)")
            }
        }
        #expect(found > 1_000)
    }

    @Test("damage is named with its file, its place and its record, and nothing is served")
    func damageIsNamed() throws {
        var log = StateLogTests.opened()
        log.isObliging = false
        for number in 0..<100 {
            log.append([UInt8](repeating: UInt8(number), count: 100))
            log.flush()
            log.settle()
        }
        // Frames of 128 bytes, from 512.
        log.disk.flip("log-0000000000000001", byte: 512 + 4 * 128 + 50, mask: 4)
        let files = log.disk.files.map { log.disk.contents(of: $0.name) }
        log.restart()
        log.settle()
        guard case .damaged(let damage) = log.refusal else { return #expect(Bool(false), "it opened") }
        #expect(damage.file == "log-0000000000000001" && damage.offset == 1_024 && damage.sequence == 5)
        #expect(log.disk.files.map { log.disk.contents(of: $0.name) } == files)

        log.configuration = StateLogTests.configuration(repair: .keepPrefix)
        log.restart()
        log.settle()
        #expect(log.opening?.last == 4 && log.opening?.damage == damage && log.opening?.isClean == false)
        log.append([1])
        log.flush()
        log.settle()
        log.configuration = StateLogTests.configuration()
        log.restart()
        log.settle()
        #expect(log.opening?.last == 5 && log.violation == nil)
        #expect(log.disk.files.contains { $0.name == "damaged-log-0000000000000002" })
    }

    @Test("a sector that can't be read is damage, in the log and in a snapshot")
    func unreadable() throws {
        var log = StateLogTests.opened()
        log.isObliging = false
        for _ in 0..<100 {
            log.append([UInt8](repeating: 1, count: 100))
            log.flush()
            log.settle()
        }
        log.disk.unreadable["log-0000000000000001"] = 1_024..<1_536
        log.restart()
        log.settle()
        guard case .damaged(let damage) = log.refusal else { return #expect(Bool(false), "it opened") }
        #expect(damage.file == "log-0000000000000001" && damage.reason.contains("input/output"))
    }

    @Test("a damaged snapshot gives way to an older one while the log still reaches back to it")
    func olderSnapshot() throws {
        var log = StateLogTests.opened()
        log.isObliging = false
        for _ in 0..<40 {
            log.append([UInt8](repeating: 1, count: 100))
            log.flush()
            log.settle()
        }
        let before = log.disk
        log.takeSnapshot()
        log.settle()
        let snapshot = try #require(log.disk.files.first { $0.name.hasPrefix("snapshot-") })
        var bytes = try #require(log.disk.contents(of: snapshot.name))
        bytes[100] ^= 1
        // The snapshot's new name had come, and nothing had been removed yet.
        log.disk = before
        log.disk.put(bytes, as: snapshot.name)
        log.restart()
        log.settle()
        #expect(log.violation == nil && log.opening?.last == 40)
        #expect(log.disk.files.contains { $0.name == "damaged-" + snapshot.name })
    }

    @Test("a full disk refuses records, keeps room for what shrinks it, and clears by itself")
    func fullDisk() {
        var random = SeededRandom(seed: 1)
        var log = StateLogTests.opened()
        log.disk.capacity = log.disk.usedBytes
        var refused = 0
        for _ in 0..<200 {
            if log.append([UInt8](repeating: 1, count: 100)) == nil { refused += 1 }
            log.flush()
            log.settle()
        }
        #expect(refused > 0 && log.isFull && log.refusal == .full)
        #expect(log.promised == log.last)
        let taken1 = log.append([1], isReserved: true)
        #expect(taken1 != nil)
        log.flush()
        log.settle()
        #expect(log.promised == log.last)
        // Full at its start, it still opens and gives what it has.
        log.crash(powerFails: true, random: &random)
        log.settle()
        #expect(log.violation == nil && log.opening != nil && log.isFull)
        let taken2 = log.append([1])
        #expect(taken2 == nil && log.refusal == .full)
        log.disk.capacity += 20_000
        log.wait(Limits.stateSpaceRetry)
        log.settle()
        let taken3 = log.append([1])
        #expect(!log.isFull && taken3 != nil)
        log.flush()
        log.settle()
        #expect(log.promised == log.last)
    }
}
