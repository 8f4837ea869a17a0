import Foundation
import Glibc
import SidecarProtocol
import StateFiles
import Testing
import Transport

@testable import Sidecar

/// The log on real files.
@Suite("The state's folder on a disk")
struct StateDiskTests {
    private static let group = StateGroup([UInt8](repeating: 7, count: 16))!

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = "/tmp/mesh-state-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder + "/ns/name")
    }

    @Test("folder and files are their owner's alone, and one process owns them")
    func ownership() throws {
        try withFolder { path in
            var first: StateFolder? = try StateFolder(path: path)
            _ = try first?.perform(.write(file: "log-1", offset: 0, [1, 2, 3]))
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o700)
            #expect(stat(path + "/log-1", &status) == 0 && status.st_mode & 0o777 == 0o600)
            #expect(throws: StateFolderError.self) { try StateFolder(path: path) }
            first = nil
            #expect(throws: Never.self) { try StateFolder(path: path) }
            // What others may read is closed to them before anything is written.
            chmod(path, 0o755)
            _ = try StateFolder(path: path)
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o700)
        }
    }

    @Test("a relative path is made below the working folder, not below the root")
    func relative() throws {
        let up = FileManager.default.currentDirectoryPath.split(separator: "/").map { _ in "../" }.joined()
        try withFolder { path in
            _ = try StateFolder(path: up + path.dropFirst())
            var status = stat()
            #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o700)
        }
    }

    @Test("a replica's name stays with its folder, also where that is moved; a copy gets another")
    func name() throws {
        try withFolder { path in
            func name(_ path: String) throws -> [UInt8] { try StateFolder(path: path).replicaName() }
            let first = try name(path)
            #expect(try first.count == 16 && name(path) == first)
            try FileManager.default.copyItem(atPath: path, toPath: path + "-copy")
            let copied = try name(path + "-copy")
            #expect(try copied != first && name(path + "-copy") == copied && name(path) == first)
            try FileManager.default.moveItem(atPath: path, toPath: path + "-moved")
            #expect(try name(path + "-moved") == first)
            // Cut short, as by a power failure: no name that could be another's.
            #expect(truncate(path + "-moved/replica", 16) == 0)
            #expect(try name(path + "-moved") != first)
        }
    }

    @Test("every operation does what the seam says, and a symbolic link is no file")
    func operations() throws {
        try withFolder { path in
            let folder = try StateFolder(path: path)
            #expect(try folder.perform(.read(file: "a", offset: 0, count: 9)) == .bytes([]))
            #expect(try folder.perform(.write(file: "a", offset: 4, [5, 6])) == .done)
            #expect(try folder.perform(.read(file: "a", offset: 0, count: 9)) == .bytes([0, 0, 0, 0, 5, 6]))
            #expect(try folder.perform(.read(file: "a", offset: 6, count: 9)) == .bytes([]))
            #expect(try folder.perform(.preallocate(file: "b", size: 10_000)) == .done)
            #expect(try folder.perform(.preallocate(file: "b", size: 5_000)) == .done)
            let files = [DiskFile(name: "a", size: 6), DiskFile(name: "b", size: 10_000)]
            #expect(try folder.perform(.list) == .files(files))
            #expect(try folder.perform(.sync(file: "a")) == .done)
            #expect(throws: DiskFailure.self) { try folder.perform(.sync(file: "c")) }
            #expect(try folder.perform(.rename(from: "a", to: "b")) == .done)
            #expect(try folder.perform(.write(file: "b", offset: 0, [9])) == .done)
            #expect(try folder.perform(.read(file: "b", offset: 0, count: 9)) == .bytes([9, 0, 0, 0, 5, 6]))
            #expect(try folder.perform(.syncFolder) == .done)
            #expect(try folder.perform(.remove(file: "b")) == .done)
            #expect(try folder.perform(.remove(file: "b")) == .done)
            symlink("/etc/passwd", path + "/l")
            #expect(try folder.perform(.list) == .files([]))
            #expect(throws: DiskFailure.self) { try folder.perform(.read(file: "l", offset: 0, count: 1)) }
            // More files than are kept open.
            for number in 0..<20 {
                _ = try folder.perform(.write(file: "f\(number)", offset: 0, [UInt8(number)]))
            }
            for number in 0..<20 {
                let read = try folder.perform(.read(file: "f\(number)", offset: 0, count: 2))
                #expect(read == .bytes([UInt8(number)]))
            }
        }
    }

    @Test("a log on the disk's thread is found again, whole, by the next process")
    func log() throws {
        try withFolder { path in
            var owner = try DiskOwner(path: path, segmentBytes: 65_536)
            owner.run { $0.open(effects: &$1) }
            owner.settle()
            #expect(owner.opening?.isNew == true)
            for number in 0..<2_000 { owner.append([UInt8](repeating: UInt8(number & 255), count: 100)) }
            owner.settle()
            #expect(owner.durable == 2_000)
            owner.run { $0.close(at: DiskOwner.now, effects: &$1) }
            owner.settle()
            #expect(owner.disk.close(atMost: .seconds(30)))
            owner = try DiskOwner(path: path, segmentBytes: 65_536)
            owner.run { $0.open(effects: &$1) }
            owner.settle()
            #expect(owner.opening?.isClean == true && owner.opening?.last == 2_000)
            #expect(owner.records == 2_000)
            #expect(owner.disk.close(atMost: .seconds(30)))
        }
    }

    @Test(
        "a full file system refuses records, loses none that was durable, and clears by itself",
        .enabled(if: geteuid() == 0, "mounting a small file system needs root"))
    func fullDisk() throws {
        try withFolder { path in
            _ = try StateFolder(path: path)
            let mounted = mount("mesh-test", path, "tmpfs", 0, "size=4m,mode=0700")
            try #require(mounted == 0, "mount: \(errno)")
            defer { umount2(path, Int32(MNT_DETACH)) }
            var owner = try DiskOwner(path: path, segmentBytes: 1 << 20)
            owner.run { $0.open(effects: &$1) }
            owner.settle()
            let filler = Glibc.open(path + "/filler", O_WRONLY | O_CREAT, 0o600)
            let chunk = [UInt8](repeating: 1, count: 65_536)
            while write(filler, chunk, chunk.count) > 0 {}
            close(filler)
            var taken: UInt64 = 0
            while taken < 10_000, owner.append(chunk) {
                owner.settle()
                taken += 1
            }
            #expect(owner.isFull && taken > 0 && owner.durable == taken)
            #expect(owner.log.refusal(of: 1) == .full && owner.log.refusal(of: 1, isReserved: true) == nil)
            let isTaken = owner.append([1])
            #expect(!isTaken)
            unlink(path + "/filler")
            let later = DiskOwner.now + Limits.stateSpaceRetry
            owner.run { $0.handleDeadline(at: later, effects: &$1) }
            owner.settle()
            let isTakenThen = owner.append(chunk)
            #expect(!owner.isFull && isTakenThen)
            owner.settle()
            #expect(owner.durable == taken + 1)
            #expect(owner.disk.close(atMost: .seconds(30)))
            owner = try DiskOwner(path: path, segmentBytes: 1 << 20)
            owner.run { $0.open(effects: &$1) }
            owner.settle()
            #expect(owner.opening?.isClean == false && owner.records == taken + 1)
            #expect(owner.disk.close(atMost: .seconds(30)))
        }
    }
}

/// What the event loop is in the sidecar.
private struct DiskOwner {
    static let now = MonotonicTime(nanoseconds: 1_000_000_000)

    /// Outcomes on their way from the disk's thread.
    final class Mailbox: @unchecked Sendable {
        private let lock = NSCondition()
        private var outcomes: [DiskOutcome] = []

        func put(_ outcome: DiskOutcome) {
            lock.lock()
            outcomes.append(outcome)
            lock.signal()
            lock.unlock()
        }

        func take() -> DiskOutcome? {
            lock.lock()
            defer { lock.unlock() }
            let deadline = Date(timeIntervalSinceNow: 60)
            while outcomes.isEmpty { if !lock.wait(until: deadline) { return nil } }
            return outcomes.removeFirst()
        }
    }

    let disk: StateDisk
    let mailbox = Mailbox()
    var log: StateLog
    var waiting = 0
    var opening: StateLogOpening?
    var records: UInt64 = 0
    var durable: UInt64 = 0
    var isFull = false

    init(path: String, segmentBytes: Int) throws {
        let mailbox = mailbox
        disk = try StateDisk(folder: StateFolder(path: path)) { mailbox.put($0) }
        let group = StateGroup([UInt8](repeating: 7, count: 16))!
        log = StateLog(configuration: StateLogConfiguration(group: group, segmentBytes: segmentBytes))
    }

    @discardableResult
    mutating func append(_ payload: [UInt8]) -> Bool {
        guard (try? log.append(payload, type: 1)) != nil else { return false }
        run { $0.flush(at: DiskOwner.now, effects: &$1) }
        return true
    }

    mutating func settle() {
        while waiting > 0, let outcome = mailbox.take() {
            waiting -= 1
            run { $0.handle(outcome, at: DiskOwner.now, effects: &$1) }
        }
    }

    mutating func run(_ input: (inout StateLog, inout [StateLogEffect]) -> Void) {
        var effects: [StateLogEffect] = []
        input(&log, &effects)
        for effect in effects {
            switch effect {
            case .perform(let job):
                waiting += 1
                disk.perform(job)
            case .opened(let opening): self.opening = opening
            case .record: records += 1
            case .durable(let through): durable = through
            case .full: isFull = true
            case .spaceReturned: isFull = false
            case .crash(let reason): Issue.record("\(reason)")
            case .refused(let refusal): Issue.record("\(refusal)")
            case .chunk, .forget, .snapshotWanted, .snapshotRoom, .snapshotDone, .snapshotFailed, .closed:
                break
            }
        }
    }
}
