// Which mesh the command speaks of: the caller's own, or the one whose folders are named.

import ArgumentParser
import Glibc
import SidecarProtocol

struct PlaceOptions: ParsableArguments {
    @Option(
        name: .customLong("runtime-dir"),
        help: "The runtime folder to look into, such as /run/user/1000/mesh; the caller's own without it.")
    var runtimeFolder: String?

    @Option(
        name: .customLong("state-dir"),
        help: "The state folder to look into; the caller's own without it.")
    var stateFolder: String?

    var paths: MeshPaths {
        let own = MeshPaths.current()
        return MeshPaths(
            runtime: runtimeFolder ?? own.runtime, state: stateFolder ?? own.state, config: own.config,
            cache: own.cache)
    }
}

extension MeshPaths {
    /// The folders of the user who runs this process.
    static func current() -> MeshPaths {
        let userID = geteuid()
        return MeshPaths(
            userID: userID, home: home(of: userID), environment: variable,
            isUsable: { isPrivateFolder($0, of: userID) })
    }

    private static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// $HOME where it is the user's own, else what the user database says.
    private static func home(of userID: UInt32) -> String? {
        if let home = variable("HOME"), FileStatus(home)?.owner == userID { return home }
        guard let entry = getpwuid(userID), let folder = entry.pointee.pw_dir else { return nil }
        let home = String(cString: folder)
        return FileStatus(home)?.owner == userID ? home : nil
    }

    /// Whether a folder exists, belongs to the user, and is nobody else's to write.
    static func isPrivateFolder(_ path: String, of userID: UInt32) -> Bool {
        guard let status = FileStatus(path, followsLink: false) else { return false }
        return status.isFolder && status.owner == userID && status.permissions & 0o022 == 0
    }
}

/// What stat(2) says of a path.
struct FileStatus {
    let owner: UInt32
    let size: Int
    let modified: Int
    private let mode: mode_t

    /// Nil where it can't be asked for, mostly because there is no such path.
    init?(_ path: String, followsLink: Bool = true) {
        var status = stat()
        guard (followsLink ? stat(path, &status) : lstat(path, &status)) == 0 else { return nil }
        owner = status.st_uid
        size = Int(status.st_size)
        modified = Int(status.st_mtim.tv_sec)
        mode = status.st_mode
    }

    var permissions: UInt32 { mode & 0o7777 }
    var isFolder: Bool { mode & S_IFMT == S_IFDIR }
    var isCharacterDevice: Bool { mode & S_IFMT == S_IFCHR }
}

/// The names in a folder, sorted; empty where it can't be read.
func entries(of folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}
