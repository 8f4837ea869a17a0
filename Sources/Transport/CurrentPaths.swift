// The folders of the user that this process runs as.

import Glibc
import SidecarProtocol

extension MeshPaths {
    /// From the effective user id and this process's environment. A process inside a user namespace,
    /// such as a sidecar, must be told its folders instead: its ids are not the host's.
    package static func current() -> MeshPaths {
        MeshPaths(
            userID: geteuid(), home: ownHome(),
            environment: { name in
                guard let value = getenv(name), value.pointee != 0 else { return nil }
                return String(cString: value)
            },
            isUsable: isUsable)
    }

    /// Whether the folder exists, is this user's, and is nobody else's to write.
    private static func isUsable(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
            && status.st_uid == geteuid() && status.st_mode & (S_IWGRP | S_IWOTH) == 0
    }

    /// HOME where it is this user's own (after `sudo` or `su` it may be another's), else the home of
    /// the user database.
    private static func ownHome() -> String? {
        if let value = getenv("HOME"), value.pointee == UInt8(ascii: "/") {
            let home = String(cString: value)
            if isOwn(home) { return home }
        }
        guard let entry = getpwuid(geteuid()), let folder = entry.pointee.pw_dir else { return nil }
        let home = String(cString: folder)
        return isOwn(home) ? home : nil
    }

    private static func isOwn(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_uid == geteuid()
    }
}
