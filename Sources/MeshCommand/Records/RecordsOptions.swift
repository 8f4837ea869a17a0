import ArgumentParser
import Glibc
import SidecarProtocol

/// Which records files a verb reads.
struct RecordsOptions: ParsableArguments {
    @Option(
        name: .customLong("records"),
        help: ArgumentHelp(
            "Another folder of records to read too, such as another user's or one copied from another host; "
                + "may be repeated.", valueName: "folder"),
        completion: .directory)
    var folders: [String] = []

    /// All of the mesh's, and those that are named, each file once.
    func files(_ paths: MeshPaths) -> [RecordFile] {
        var seen: Set<String> = []
        return ([paths.state + "/records"] + folders).flatMap(RecordFile.all(under:)).filter {
            seen.insert($0.path).inserted
        }
    }
}

extension [RecordFile] {
    /// Calls `body` with each whole line of each file, and returns the paths of those that can't be read.
    /// A file that is rotated meanwhile, and so met under two names, is read once.
    func forEachLine(_ body: (RecordFile, UnsafeRawBufferPointer) -> Void) -> [String] {
        var unread: [String] = []
        var read: Set<FileIdentity> = []
        for file in self {
            let descriptor = open(file.path, O_RDONLY | O_CLOEXEC)
            guard let identity = FileIdentity(descriptor: descriptor) else {
                // One that is gone was dropped in due course.
                if errno != ENOENT { unread.append(file.path) }
                continue
            }
            defer { close(descriptor) }
            guard read.insert(identity).inserted else { continue }
            let code = LineScan.forEach(in: descriptor) { line, end in
                if end == .newline { body(file, line) }
            }
            if code != 0 { unread.append(file.path) }
        }
        return unread
    }
}
