// The records that sidecars leave: `records/NAMESPACE/NAME/INSTANCE.jsonl`, a JSON object a line.

import Glibc
import SidecarProtocol

struct RecordFile {
    let path: String
    /// `namespace/name`.
    let workload: String
    let instance: String

    /// Every records file, the last written first.
    static func all(in paths: MeshPaths) -> [RecordFile] { all(under: paths.state + "/records") }

    /// - Parameter root: a folder of namespaces.
    static func all(under root: String) -> [RecordFile] {
        var files: [(modified: Int, file: RecordFile)] = []
        for namespace in entries(of: root) {
            for name in entries(of: "\(root)/\(namespace)") {
                for entry in entries(of: "\(root)/\(namespace)/\(name)") {
                    // A rotated file is `INSTANCE.jsonl.1` and so on.
                    guard let dot = entry.firstIndex(of: "."), entry[dot...].hasPrefix(".jsonl") else {
                        continue
                    }
                    let path = "\(root)/\(namespace)/\(name)/\(entry)"
                    guard let status = FileStatus(path) else { continue }
                    files.append(
                        (
                            status.modified,
                            RecordFile(
                                path: path, workload: "\(namespace)/\(name)", instance: String(entry[..<dot]))
                        ))
                }
            }
        }
        return files.sorted { ($0.modified, $0.file.path) > ($1.modified, $1.file.path) }.map(\.file)
    }

    var isRotated: Bool { !path.hasSuffix(".jsonl") }

    func isCalled(_ name: String) -> Bool {
        workload == name || workload.hasSuffix("/" + name)
            || (name.count >= 4 && instance.hasPrefix(name.lowercased()))
    }

    /// The whole lines between `offset` and the end, at most `limit` bytes of them, and where they end.
    /// Begins anew where the file has become shorter: it was rotated.
    func lines(from offset: Int, atMost limit: Int) -> (flows: [Flow], end: Int) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return ([], offset) }
        defer { close(descriptor) }
        let size = Int(lseek(descriptor, 0, SEEK_END))
        let start = size < offset ? 0 : offset
        lseek(descriptor, off_t(start), SEEK_SET)
        guard let bytes = try? FileContent.read(descriptor, named: path, atMost: limit),
            let last = bytes.lastIndex(of: UInt8(ascii: "\n"))
        else { return ([], start) }
        let flows = bytes[..<last].split(separator: UInt8(ascii: "\n")).compactMap { line in
            JSON(parsing: Array(line)).map(Flow.init)
        }.filter { $0.event != "signature" }
        return (flows, start + last + 1)
    }

    /// The last records, from at most `bytes` of the file's end.
    func tail(bytes: Int) -> [Flow] {
        guard let size = FileStatus(path)?.size else { return [] }
        // Where the tail begins inside a line, that line isn't JSON and is passed over.
        return lines(from: max(0, size - bytes), atMost: bytes).flows
    }
}
