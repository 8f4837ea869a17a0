// The records of flows, one JSON line each, on disk.

import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// Takes records on the event loop and writes them on a thread of its own, so that a slow disk never
/// slows a flow. The queue is bounded: what doesn't fit is dropped and counted.
///
/// `@unchecked Sendable`: `queue` and what follows it are touched under `lock` only; `file` belongs to
/// the thread.
final class RecordWriter: @unchecked Sendable {
    struct Counts: Sendable {
        /// Lines on disk.
        var written: UInt64 = 0
        /// Dropped because the queue was full.
        var dropped: UInt64 = 0
        /// Lost because the disk refused them.
        var failed: UInt64 = 0
    }

    private let lock = ThreadLock()
    private var queue: [FlowRecord] = []
    private var isStarted = false
    private var isClosing = false
    private var isClosed = false
    private var countsSoFar = Counts()

    private let path: String
    private let warn: @Sendable (String) -> Void

    /// - Parameters:
    ///   - path: the records file; its folder and those above it are made with mode 0700.
    ///   - warn: called on the writer's thread when the disk begins to refuse lines.
    init(path: String, warn: @escaping @Sendable (String) -> Void) {
        self.path = path
        self.warn = warn
    }

    var counts: Counts { lock.withLock { countsSoFar } }

    func append(_ record: FlowRecord) {
        lock.lock()
        defer { lock.unlock() }
        guard !isClosing, queue.count < Limits.recordQueueMaximum else {
            countsSoFar.dropped += 1
            return
        }
        queue.append(record)
        // The thread takes all there is at once; it is woken for the first.
        if queue.count == 1 { lock.notify() }
        if !isStarted {
            isStarted = true
            do {
                try startThread(named: "mesh-records") { self.run() }
            } catch {
                isClosed = true
                countsSoFar.failed += 1
            }
        }
    }

    /// Writes what is queued and ends. False when the time has passed first.
    func close(atMost span: MonotonicTime.Span) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        isClosing = true
        lock.notify()
        while isStarted, !isClosed {
            guard lock.wait(atMost: span) else { return false }
        }
        return true
    }

    private static let gathering = MonotonicTime.Span.milliseconds(10)

    // MARK: On the thread

    private func run() {
        var file = RecordFile(path: path)
        while let batch = next() {
            let outcome = file.write(batch)
            lock.withLock {
                countsSoFar.written += UInt64(outcome.written)
                countsSoFar.failed += UInt64(batch.count - outcome.written)
            }
            if let failure = outcome.newFailure {
                warn("records are lost: \(failure); free the disk or the folder's permissions")
            }
        }
        file.close()
        lock.withLock {
            isClosed = true
            lock.notify()
        }
    }

    /// Nil when the writer is closed and everything is written.
    private func next() -> [FlowRecord]? {
        lock.lock()
        defer { lock.unlock() }
        while queue.isEmpty {
            if isClosing { return nil }
            lock.wait()
        }
        // What follows closely is written with it: a wake-up a record would cost more than the record.
        if !isClosing { _ = lock.wait(atMost: RecordWriter.gathering) }
        defer { queue.removeAll(keepingCapacity: queue.capacity <= 64) }
        return queue
    }
}

/// One instance's records file, with its chain of hashes and its older files.
///
/// Each line ends in `chain`, the BLAKE2b-256 of the line up to that member, keyed with the line before's
/// `chain` (32 zero bytes for the first): a line that is changed, or taken out, breaks every one after it.
struct RecordFile {
    private let path: String
    private var descriptor: Int32 = -1
    private var size = 0
    private var chain = [UInt8](repeating: 0, count: 32)
    private var isFailing = false

    init(path: String) { self.path = path }

    /// - Returns: how many of the records, from the first on, are in the file; and why the rest isn't,
    ///   unless the writes before failed too.
    mutating func write(_ records: [FlowRecord]) -> (written: Int, newFailure: SystemError?) {
        var written = 0
        do {
            while written < records.count {
                try openIfNeeded()
                let count = try writeBatch(records[written...])
                written += count
            }
            isFailing = false
            return (written, nil)
        } catch {
            defer { isFailing = true }
            return (written, isFailing ? nil : error)
        }
    }

    mutating func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Writes as many records as belong into the file that is open, with one call.
    private mutating func writeBatch(_ records: ArraySlice<FlowRecord>) throws(SystemError) -> Int {
        var lines = JSONWriter(capacity: records.count * RecordFile.expectedLineBytes)
        var next = chain
        var count = 0
        for record in records {
            guard size + lines.bytes.count < Limits.recordFileBytesMaximum else { break }
            RecordFile.write(record, chain: &next, to: &lines)
            count += 1
        }
        let bytes = lines.bytes
        let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard written == bytes.count else {
            let failure = SystemError("write(\(path))", code: written < 0 ? errno : ENOSPC)
            // Half a line would spoil the file for its readers.
            ftruncate(descriptor, off_t(size))
            throw failure
        }
        size += written
        chain = next
        if size >= Limits.recordFileBytesMaximum { rotate() }
        return count
    }

    static func line(_ record: FlowRecord, chain: inout [UInt8]) -> [UInt8] {
        var lines = JSONWriter()
        write(record, chain: &chain, to: &lines)
        return lines.bytes
    }

    private static func write(_ record: FlowRecord, chain: inout [UInt8], to lines: inout JSONWriter) {
        let start = lines.bytes.count
        lines.object { object in
            record.write(to: &object)
            chain = object.bytes.withUnsafeBytes {
                BLAKE2b.hash(UnsafeRawBufferPointer(rebasing: $0[start...]), key: chain)
            }
            object.member("chain", hex: chain)
        }
        lines.endLine()
    }

    private static let expectedLineBytes = 1024

    // MARK: Files

    private mutating func openIfNeeded() throws(SystemError) {
        guard descriptor < 0 else { return }
        try RecordFile.makeFolder(of: path)
        let file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SystemError("open(\(path))") }
        descriptor = file
        size = max(0, Int(lseek(file, 0, SEEK_END)))
        if size == 0 {
            chain = RecordFile.chain(ofOlder: path + ".1") ?? chain
        } else {
            let end = RecordFile.end(of: file, size: size)
            chain = end.chain ?? chain
            // What is torn stays, as a line of its own, and the chain goes on from the line before it.
            if end.isTorn, Glibc.write(file, "\n", 1) == 1 { size += 1 }
        }
    }

    /// `PATH` becomes `PATH.1`, and so on; the oldest goes.
    private mutating func rotate() {
        close()
        for number in stride(from: Limits.recordFilesMaximum - 1, to: 0, by: -1) {
            let older = "\(path).\(number)"
            rename(number == 1 ? path : "\(path).\(number - 1)", older)
        }
    }

    private static func makeFolder(of path: String) throws(SystemError) {
        let folder = path.split(separator: "/").dropLast()
        var prefix = ""
        for part in folder {
            prefix += "/" + part
            guard mkdir(prefix, 0o700) == 0 || errno == EEXIST || errno == EACCES || errno == EROFS else {
                throw SystemError("mkdir(\(prefix))")
            }
        }
    }

    /// Where an earlier incarnation of the sidecar left off, when the full file was just rotated.
    private static func chain(ofOlder path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { Glibc.close(file) }
        return end(of: file, size: max(0, Int(lseek(file, 0, SEEK_END)))).chain
    }

    /// The chain of the last line that is whole, and whether a part of one follows it, as after a machine
    /// that lost its power.
    private static func end(of file: Int32, size: Int) -> (chain: [UInt8]?, isTorn: Bool) {
        let wanted = min(size, tailBytes)
        var bytes = [UInt8](repeating: 0, count: wanted)
        guard wanted > 0, pread(file, &bytes, wanted, off_t(size - wanted)) == wanted else {
            return (nil, false)
        }
        let isTorn = bytes.last != UInt8(ascii: "\n")
        guard let newline = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return (nil, isTorn) }
        let line = bytes[..<newline]
        guard line.suffix(2).elementsEqual("\"}".utf8) else { return (nil, isTorn) }
        let chain = [UInt8](hex: String(decoding: line.dropLast(2).suffix(64), as: UTF8.self))
        return (chain?.count == 32 ? chain : nil, isTorn)
    }

    /// More than two lines have.
    private static let tailBytes = 65_536
}
