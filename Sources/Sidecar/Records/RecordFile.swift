// One instance's records file: its lines, their chain and signatures, and its older files.

import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// One instance's records file, with its chain of hashes and its older files.
///
/// Each line ends in `chain`, the BLAKE2b-256 of the line up to that member, keyed with the line before's
/// `chain` (32 zero bytes for the first): a line that is changed, or taken out, breaks every one after it.
struct RecordFile {
    /// What became of a write.
    struct Outcome {
        /// Records, from the first on, that are in the file.
        var written = 0
        /// Lines that were written: signatures and gaps too.
        var lines = 0
        var signatures = 0
        var isGapWritten = false
        /// Why the rest isn't there.
        var failure: SystemError?
    }

    private let path: String
    private var descriptor: Int32 = -1
    private var size = 0
    private var chain = [UInt8](repeating: 0, count: 32)

    init(path: String) { self.path = path }

    /// Writes the records, then the gap, and the signatures that are due between and after them.
    ///
    /// - Parameter isLast: whether the sidecar ends, which the last signature says.
    mutating func write(
        _ records: [FlowRecord], gap: RecordGap? = nil, signer: inout RecordSigner, isLast: Bool = false,
        at now: Now
    ) -> Outcome {
        var outcome = Outcome()
        do throws(SystemError) {
            repeat {
                try openIfNeeded()
                try writeBatch(
                    records[outcome.written...], gap, &signer, isLast: isLast, at: now, &outcome)
            } while outcome.written < records.count || gap != nil && !outcome.isGapWritten
        } catch { outcome.failure = error }
        return outcome
    }

    mutating func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    /// Writes as many records as belong into the file that is open, with one call.
    private mutating func writeBatch(
        _ records: ArraySlice<FlowRecord>, _ gap: RecordGap?, _ signer: inout RecordSigner, isLast: Bool,
        at now: Now, _ outcome: inout Outcome
    ) throws(SystemError) {
        var lines = RecordLines(
            chain: chain, signer: signer, now: now,
            capacity: (records.count + 1) * RecordFile.expectedLineBytes)
        var batch = Outcome()
        for record in records {
            guard size + lines.bytes.count < Limits.recordFileBytesMaximum else { break }
            lines.add(record)
            batch.written += 1
        }
        let isAll = batch.written == records.count
        if isAll, let gap {
            lines.add(gap)
            batch.isGapWritten = true
        }
        let isFull = size + lines.bytes.count >= Limits.recordFileBytesMaximum
        lines.sign(isLast: isLast && isAll, isFull: isFull)
        if lines.count > 0 {
            try append(lines.bytes)
            (chain, signer) = (lines.chain, lines.signer)
        }
        outcome.written += batch.written
        outcome.isGapWritten = batch.isGapWritten
        outcome.lines += lines.count
        outcome.signatures += lines.signatures
        if size >= Limits.recordFileBytesMaximum { rotate() }
    }

    private mutating func append(_ bytes: [UInt8]) throws(SystemError) {
        let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard written == bytes.count else {
            let failure = SystemError("write(\(path))", code: written < 0 ? errno : ENOSPC)
            // Half a line would spoil the file for its readers.
            ftruncate(descriptor, off_t(size))
            throw failure
        }
        size += written
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
