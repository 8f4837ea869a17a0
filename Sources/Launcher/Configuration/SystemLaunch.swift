// Root launches for a Unix user: `user: NAME`.
//
// Such an instance has its folders in mesh's own places, since a service's home is often nowhere, and belongs
// to root's node. That node's issuer gives the name to the user because root's launcher asks it to.

import Glibc
import SidecarProtocol

enum SystemLaunch {
    /// - Parameters:
    ///   - system: root's folders.
    ///   - isDry: nothing is made, and nobody told.
    /// - Returns: the user, and its folders.
    static func become(
        _ name: String, workload: WorkloadName, executable: GrantedExecutable?, system: MeshPaths,
        isDry: Bool
    ) throws(LaunchFailure) -> (Account, MeshPaths) {
        let account = try Account.named(name)
        guard account.userID != 0 else { return (account, system) }
        let runtime = "\(system.runtime)/user/\(account.userID)"
        let state = "\(system.state)/user/\(account.userID)"
        if !isDry {
            try give(account, below: system.runtime, "MESH_RUNTIME_DIR")
            try give(account, below: system.state, "MESH_STATE_DIR")
            try join(
                system, runtime,
                IssuerGrant(userID: account.userID, workload: workload, executable: executable))
        }
        try account.become()
        let paths = Folders.paths(
            for: account, overrides: ["MESH_RUNTIME_DIR": runtime, "MESH_STATE_DIR": state])
        return (account, paths)
    }

    /// Makes root's node the user's, for this workload.
    private static func join(
        _ system: MeshPaths, _ runtime: String, _ grant: IssuerGrant
    ) throws(LaunchFailure) {
        let node = runtime + "/node"
        if symlink(system.nodeFolder, node) < 0, errno != EEXIST {
            throw LaunchFailure("can't make the link \(node): \(errorText(errno))", fix: "")
        }
        // Only the system's node serves other users.
        guard system.runtime == "/run/mesh" else { return }
        try IssuerConnection.register(grant, at: system.issuerSocket)
    }

    /// A folder `user/UID` of the account's own, below one of root's that it can pass through.
    private static func give(
        _ account: Account, below top: String, _ variable: String
    ) throws(LaunchFailure) {
        if !mayBePassed(top) { try checked(chmod(top, 0o711), "can't open \(top) for \(account.name)") }
        try Folders.make(top + "/user", owner: 0, mode: 0o711, setting: variable)
        let own = "\(top)/user/\(account.userID)"
        guard !Folders.exists(own) else { return }
        // Under another name first, so that a launch beside this one finds none, or one that is the account's.
        let new = "\(own).\(getpid())"
        try checked(mkdir(new, 0o700), "can't make \(new)")
        if chown(new, account.userID, account.groupID) == 0, rename(new, own) == 0 { return }
        let code = errno
        rmdir(new)
        guard code == EEXIST || code == ENOTEMPTY else {
            throw LaunchFailure("can't give \(own) to \(account.name): \(errorText(code))", fix: "")
        }
    }

    private static func mayBePassed(_ folder: String) -> Bool {
        var status = stat()
        return stat(folder, &status) == 0 && status.st_mode & 0o011 == 0o011
    }
}

/// One question to the issuer, by a process without an event loop.
enum IssuerConnection {
    /// For how long an issuer that is only just starting is asked again, in milliseconds.
    private static let patienceMilliseconds = 5_000

    /// Says which user may be which workload, for as long as this process lives.
    static func register(_ grant: IssuerGrant, at path: String) throws(LaunchFailure) {
        let socket = try connect(path)
        defer { close(socket) }
        let body = grant.encoded()
        let frame = (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body
        guard Packet.send(frame, to: socket), let answer = frameBody(from: socket) else {
            throw LaunchFailure("the issuer at \(path) doesn't answer", fix: "read its node's log")
        }
        guard answer != IssuerGrant.taken else { return }
        let reason =
            if case .refused(let reason)? = try? IssuerAnswer(canonical: answer) { reason } else {
                "an answer that isn't known"
            }
        throw LaunchFailure(
            "the issuer refuses \(grant.workload) to user \(grant.userID): \(reason)",
            fix: "see `mesh status`")
    }

    private static func connect(_ path: String) throws(LaunchFailure) -> Int32 {
        guard let address = UnixAddress(path) else {
            throw LaunchFailure(
                "the path \(path) is too long for a socket", fix: "name a shorter MESH_RUNTIME_DIR")
        }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let socket = try checked(Glibc.socket(AF_UNIX, type, 0), "can't make a socket")
        var patience = timeval(tv_sec: patienceMilliseconds / 1000, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        for _ in 0..<patienceMilliseconds / 2 {
            if address.connect(socket) == 0 { return socket }
            guard errno == ENOENT || errno == ECONNREFUSED else { break }
            usleep(2_000)
        }
        let failure = LaunchFailure(
            "can't reach the issuer at \(path): \(errorText(errno))", fix: "read its node's log")
        close(socket)
        throw failure
    }

    private static func frameBody(from socket: Int32) -> [UInt8]? {
        guard let head = bytes(4, from: socket) else { return nil }
        let count = head.reduce(0) { $0 << 8 | Int($1) }
        return count <= Limits.nodeFrameBytesMaximum ? bytes(count, from: socket) : nil
    }

    private static func bytes(_ count: Int, from socket: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        guard count == 0 || recv(socket, &bytes, count, Int32(MSG_WAITALL)) == count else {
            return nil
        }
        return bytes
    }
}
