// Files that hold keys: made for their owner alone, whole or not at all.

import Glibc
import SidecarProtocol

enum KeyFiles {
    /// A folder of one's own, 0700; made where it is missing.
    static func makeFolder(_ path: String) throws(Complaint) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST, MeshPaths.isPrivateFolder(path, of: geteuid()) {
            return
        }
        throw Complaint(
            "the folder \(path) can't be used: \(errorText(errno == 0 ? EPERM : errno))",
            fix: "it must be yours, and writable by nobody else")
    }

    /// Writes a new file, 0600; one that is there is never replaced.
    static func create(_ path: String, _ bytes: [UInt8]) throws(Complaint) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else {
            throw Complaint(
                "\(path) can't be made: \(errorText(errno))",
                fix: errno == EEXIST ? "name another file, or move that one away" : "check the folder")
        }
        defer { close(file) }
        guard writeAll(file, bytes), fsync(file) == 0 else {
            let reason = errorText(errno)
            unlink(path)
            throw Complaint("\(path) can't be written: \(reason)", fix: "make room on that disk")
        }
    }

    /// Writes a file beside its place and renames it there.
    static func replace(_ path: String, _ bytes: [UInt8]) throws(Complaint) {
        let fresh = path + ".new"
        unlink(fresh)
        try create(fresh, bytes)
        guard rename(fresh, path) == 0 else {
            throw Complaint("\(path) can't be put in place: \(errorText(errno))", fix: "check the folder")
        }
    }

    /// 32 bytes that nobody else may read.
    static func key(_ path: String) throws(Complaint) -> SecretBytes {
        var bytes = try FileContent.read(path, atMost: 33)
        defer { SecretMemory.wipe(&bytes) }
        guard bytes.count == 32 else {
            throw Complaint("\(path) isn't a key of 32 bytes", fix: "restore it from a backup")
        }
        guard let status = FileStatus(path), status.permissions & 0o077 == 0 else {
            throw Complaint("\(path) can be read by others", fix: "chmod 600 \(path)")
        }
        return SecretBytes(copying: bytes)
    }

    static func random() throws(Complaint) -> SecretBytes {
        var bytes = [UInt8](repeating: 0, count: 32)
        guard getentropy(&bytes, bytes.count) == 0 else {
            throw Complaint("the kernel gives no random bytes: \(errorText(errno))", fix: "try again")
        }
        defer { SecretMemory.wipe(&bytes) }
        return SecretBytes(copying: bytes)
    }

    static func serial() throws(Complaint) -> UInt64 {
        try random().withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) >> 1 } + 1
    }

    /// To the millisecond.
    static func exactNow() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    static func now() -> WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(seconds: Int64(time.tv_sec))
    }
}

/// The offline folder of a domain's root.
struct RootFolder {
    let path: String

    var rootKeyFile: String { path + "/root.key" }
    var bundleFile: String { path + "/bundle" }
    var discoveryKeyFile: String { path + "/discovery.key" }

    func bundle() throws(Complaint) -> TrustBundle {
        let bytes = try FileContent.read(bundleFile, atMost: Limits.trustBundleBytesMaximum + 1)
        do { return try TrustBundle(canonical: bytes) } catch {
            throw Complaint("\(bundleFile) isn't a trust bundle: \(error)", fix: "restore it from a backup")
        }
    }
}
