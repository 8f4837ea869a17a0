import Glibc
import SidecarProtocol

/// The file of an export: new, for its owner's eyes, and on disk when it is said to be written.
enum StateExportFile {
    static func write(_ bytes: [UInt8], to path: String) throws(Complaint) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw Complaint("\(path) can't be made: \(errorText(errno))", fix: "name a new file")
        }
        defer { close(file) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(file, $0.baseAddress! + written, $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let code = errno
                unlink(path)
                throw Complaint("\(path) can't be written: \(errorText(code))", fix: "make room on the disk")
            }
            written += count
        }
        guard fsync(file) == 0 else {
            throw Complaint("\(path) can't be made durable: \(errorText(errno))", fix: "check the disk")
        }
    }

    static func read(_ path: String) throws(Complaint) -> StateContents {
        let bytes = try FileContent.read(path, atMost: .max)
        var reader = StateExportReader()
        var contents: StateContents?
        reader.add(bytes)
        do {
            while let item = try reader.next() {
                switch item {
                case .group(let group): contents = StateContents(group: group)
                case .chunk(let chunk): contents?.chunks.append(chunk)
                case .record(let type, let payload):
                    contents?.records.append(.init(sequence: 0, type: type, payload: payload))
                case .end: break
                }
            }
            try reader.finish()
        } catch {
            throw Complaint("\(path): \(error)", fix: "take another export", exitCode: 2)
        }
        guard let contents else {
            throw Complaint("\(path) is empty", fix: "take another export", exitCode: 2)
        }
        return contents
    }
}
