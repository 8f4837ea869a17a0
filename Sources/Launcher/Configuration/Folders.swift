// The folders of mesh: found, made and judged.

import Glibc
import SidecarProtocol

enum Folders {
    /// The folders of an account.
    ///
    /// - Parameter overrides: variables that stand before the environment's.
    static func paths(for account: Account, overrides: [String: String] = [:]) -> MeshPaths {
        MeshPaths(
            userID: account.userID, home: environment("HOME") ?? account.home,
            environment: { overrides[$0] ?? environment($0) },
            isUsable: { isPrivate($0, owner: account.userID) })
    }

    static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// Whether a folder exists, belongs to the user, and is nobody else's to write.
    static func isPrivate(_ path: String, owner: uid_t) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR && status.st_uid == owner
            && status.st_mode & 0o022 == 0
    }

    /// Makes a folder of ours, and those above it, where it isn't there; refuses one that others can
    /// write to.
    static func make(
        _ path: String, owner: uid_t, mode: mode_t = 0o700, setting variable: String
    ) throws(LaunchFailure) {
        if !exists(path) {
            try makeParents(of: path, setting: variable)
            if mkdir(path, mode) < 0, errno != EEXIST {
                throw LaunchFailure(
                    "can't make the folder \(path): \(errorText(errno))",
                    fix: "make it, or name another in \(variable)")
            }
        }
        guard isPrivate(path, owner: owner) else {
            throw LaunchFailure(
                "the folder \(path) isn't user \(owner)'s alone",
                fix: "chown \(owner) it and chmod 700 it, or name another in \(variable)")
        }
    }

    private static func makeParents(of path: String, setting variable: String) throws(LaunchFailure) {
        var parent = ""
        for part in path.split(separator: "/").dropLast() {
            parent += "/" + part
            guard !exists(parent), mkdir(parent, 0o755) < 0, errno != EEXIST else { continue }
            throw LaunchFailure(
                "can't make the folder \(parent): \(errorText(errno))",
                fix: "make it, or name another in \(variable)")
        }
    }

    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0
    }

    /// The names in a folder; none where it can't be read.
    static func list(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a folder and everything in it, without following links; what is gone already is fine.
    static func remove(_ path: String) {
        for name in list(path) {
            let inner = path + "/" + name
            var status = stat()
            guard lstat(inner, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR { remove(inner) } else { unlink(inner) }
        }
        rmdir(path)
    }
}
