// The node's runtime folder, its lock and its listening sockets.

import Glibc
import SidecarProtocol

/// What makes this process the one node of its user: it holds the lock as long as it lives.
struct RuntimeFolder {
    let paths: MeshPaths
    /// Root's node also serves the sidecars of other users; who they are, the kernel says.
    var isSystem: Bool { geteuid() == 0 }

    enum Outcome {
        case claimed(RuntimeFolder)
        /// Another node lives and answers.
        case alreadyRunning
    }

    /// Makes the folders and takes the lock. A node that holds it but doesn't answer is about to end;
    /// that is waited for, so that whoever started this one finds a node.
    static func claim(_ paths: MeshPaths) throws(FileError) -> Outcome {
        let folder = RuntimeFolder(paths: paths)
        try OwnFiles.makeFolder(paths.runtime, mode: folder.isSystem ? 0o755 : 0o700)
        try OwnFiles.makeFolder(paths.nodeFolder, mode: folder.isSystem ? 0o711 : 0o700)
        let lock = open(paths.nodeLock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw FileError(paths.nodeLock, call: "open") }
        // The descriptor is kept open, and so the lock held, until the process ends.
        for _ in 0..<claimAttemptsMaximum {
            if flock(lock, LOCK_EX | LOCK_NB) == 0 { return .claimed(folder) }
            guard errno == EWOULDBLOCK || errno == EINTR else {
                throw FileError(paths.nodeLock, call: "flock")
            }
            if answers(paths.topicsSocket) { return .alreadyRunning }
            usleep(claimIntervalMicroseconds)
        }
        throw FileError(
            paths.nodeLock, "held by a node that doesn't answer on \(paths.topicsSocket)",
            fix: "end that process (`mesh node stop`, or kill it)")
    }

    /// Binds a socket in place of what an earlier node left, and listens.
    func listen(at path: String) throws(FileError) -> Int32 {
        guard var address = RuntimeFolder.address(path) else {
            throw FileError(
                path,
                "too long for a socket's name by \(path.utf8.count - Limits.socketPathBytesMaximum) bytes",
                fix: "name a shorter folder by MESH_RUNTIME_DIR")
        }
        let listener = socket(AF_UNIX, RuntimeFolder.streamType, 0)
        guard listener >= 0 else { throw FileError(path, call: "socket") }
        unlink(path)
        // bind(2) gives the name the mode of the socket itself, less the umask: nobody can connect between
        // bind and a later chmod who may not afterwards.
        guard fchmod(listener, isSystem ? 0o666 : 0o600) == 0 else {
            throw FileError(path, call: "fchmod")
        }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0 else { throw FileError(path, call: "bind") }
        // The umask may have taken what other users' sidecars need.
        if isSystem, chmod(path, 0o666) != 0 { throw FileError(path, call: "chmod") }
        guard Glibc.listen(listener, listenBacklog) == 0 else { throw FileError(path, call: "listen") }
        return listener
    }

    /// Takes the sockets' names away, unless somebody has connected in the meantime. Whoever finds no
    /// socket afterwards starts a node of their own; nobody is left in a queue that nobody serves.
    ///
    /// - Returns: false where a connection waits; the names are back then.
    func retire(listeners: [(path: String, descriptor: Int32)]) -> Bool {
        for (path, _) in listeners { rename(path, path + ".retired") }
        let isAwaited = listeners.contains { RuntimeFolder.hasConnection($0.descriptor) }
        for (path, _) in listeners {
            if isAwaited { rename(path + ".retired", path) } else { unlink(path + ".retired") }
        }
        return !isAwaited
    }

    private static func hasConnection(_ listener: Int32) -> Bool {
        var poll = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&poll, 1, 0) > 0
    }

    /// Whether somebody accepts connections at `path`.
    private static func answers(_ path: String) -> Bool {
        guard var address = address(path) else { return false }
        let probe = socket(AF_UNIX, streamType, 0)
        guard probe >= 0 else { return false }
        defer { close(probe) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    private static func address(_ path: String) -> sockaddr_un? {
        let bytes = Array(path.utf8)
        guard bytes.count <= Limits.socketPathBytesMaximum else { return nil }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return address
    }

    private static let streamType =
        Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
}

/// 2 s for a node that is about to end.
private let claimAttemptsMaximum = 400
private let claimIntervalMicroseconds: UInt32 = 5000
private let listenBacklog: Int32 = 1024
