import Glibc
import SidecarProtocol

/// Keeps the issuer from reading the domain's files while they are being changed.
enum TrustLock {
    static func hold<T>(_ paths: MeshPaths, _ body: () throws(Complaint) -> T) throws(Complaint) -> T {
        let path = paths.state + "/trust.lock"
        let lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else {
            throw Complaint("\(path) can't be opened: \(errorText(errno))", fix: "check the folder")
        }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 {
            guard errno == EINTR else {
                throw Complaint("\(path) can't be locked: \(errorText(errno))", fix: "check the folder")
            }
        }
        return try body()
    }
}
