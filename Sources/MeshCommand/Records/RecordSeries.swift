// The records files of one instance: the one that its sidecar writes, and the older ones beside it.

import Glibc
import SidecarProtocol

struct RecordSeries {
    /// Of the file that is written: `…/INSTANCE.jsonl`. It may be missing.
    let base: String
    /// `namespace/name`, as the folders say it.
    let workload: String
    let instance: String
    /// The files that exist, the oldest first.
    let paths: [String]

    /// The series of all files, each once.
    static func all(of files: [RecordFile]) -> [RecordSeries] {
        var seen: Set<String> = []
        return files.compactMap { file in
            let base = base(of: file.path)
            guard seen.insert(base).inserted else { return nil }
            return RecordSeries(base: base, workload: file.workload, instance: file.instance)
        }.sorted { ($0.workload, $0.base) < ($1.workload, $1.base) }
    }

    /// - Parameter path: of any file of the series.
    init(holding path: String) {
        let base = RecordSeries.base(of: path)
        let parts = base.split(separator: "/").map(String.init)
        self.init(
            base: base, workload: parts.suffix(3).dropLast().joined(separator: "/"),
            instance: parts.last.map { String($0.prefix { $0 != "." }) } ?? base)
    }

    private init(base: String, workload: String, instance: String) {
        self.base = base
        self.workload = workload
        self.instance = instance
        let numbers = stride(from: RecordSeries.numbersMaximum, to: 0, by: -1)
        paths = (numbers.map { "\(base).\($0)" } + [base]).filter { FileStatus($0) != nil }
    }

    /// More than a sidecar leaves, for files that were kept by hand.
    private static let numbersMaximum = 64

    /// `x.jsonl` of `x.jsonl.3`.
    private static func base(of path: String) -> String {
        guard let dot = path.lastIndex(of: "."), Int(path[path.index(after: dot)...]) != nil else {
            return path
        }
        return String(path[..<dot])
    }

    /// Whether its oldest file is one after which a sidecar drops files.
    var mayLackBeginning: Bool {
        paths.contains { $0 == "\(base).\(Limits.recordFilesMaximum - 1)" }
    }

    /// Eight digits, as people read them.
    var label: String { String(instance.prefix(8)) }
}

/// All files of a series, opened at one moment.
final class OpenSeries {
    let series: RecordSeries
    private let descriptors: [Int32]

    /// Fails where a file can't be read. A series that is rotated meanwhile is opened again.
    init(_ base: String) throws(Complaint) {
        for _ in 0..<8 {
            let series = RecordSeries(holding: base)
            let opened = series.paths.map { open($0, O_RDONLY | O_CLOEXEC) }
            let code = errno
            let identities = opened.map(FileIdentity.init(descriptor:))
            // A rotation in between shows as a name that is another file by now.
            let isStill = zip(series.paths, identities).allSatisfy { FileIdentity(path: $0) == $1 }
            if isStill, !opened.contains(-1), RecordSeries(holding: base).paths == series.paths {
                self.series = series
                descriptors = opened
                return
            }
            for descriptor in opened where descriptor >= 0 { close(descriptor) }
            if let failed = zip(series.paths, opened).first(where: { $0.1 < 0 && access($0.0, F_OK) == 0 }) {
                throw Complaint(
                    "\(failed.0) can't be read: \(errorText(code))",
                    fix: "run this as the user whose records they are", exitCode: 2)
            }
        }
        throw Complaint("\(base) is rotated faster than it can be read", fix: "try again", exitCode: 2)
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// Calls `body` with each line, with its file's place and its number from 1 on, the oldest first.
    func readLines(_ body: (UnsafeRawBufferPointer, LineScan.End, Int, Int) -> Void) throws(Complaint) {
        for (file, descriptor) in descriptors.enumerated() {
            if file == descriptors.count - 1 { OpenSeries.awaitWholeLine(descriptor) }
            lseek(descriptor, 0, SEEK_SET)
            var number = 0
            let code = LineScan.forEach(in: descriptor) { line, end in
                number += 1
                body(line, end, file, number)
            }
            guard code == 0 else {
                throw Complaint(
                    "\(series.paths[file]) can't be read: \(errorText(code))", fix: "check the disk",
                    exitCode: 2)
            }
        }
    }

    /// A line that is just being written is whole a moment later.
    private static func awaitWholeLine(_ descriptor: Int32) {
        for _ in 0..<5 {
            let size = lseek(descriptor, 0, SEEK_END)
            var last: UInt8 = 10
            guard size > 0, pread(descriptor, &last, 1, size - 1) == 1, last != 10 else { return }
            usleep(10_000)
        }
    }
}

/// What tells two files apart, whatever they are called.
struct FileIdentity: Hashable {
    let device: UInt
    let number: UInt

    init?(descriptor: Int32) {
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0 else { return nil }
        self.init(status)
    }

    init?(path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        device = UInt(status.st_dev)
        number = UInt(status.st_ino)
    }
}
