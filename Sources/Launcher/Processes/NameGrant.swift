// Root gives a workload's name to the user that it starts it as, at root's issuer.

import Glibc
import SidecarProtocol

enum NameGrant {
    /// How long the issuer may take to come up and answer.
    private static let attemptsMaximum = 1_000
    private static let attemptMicroseconds: UInt32 = 5_000

    /// Holds as long as this process lives.
    static func give(
        _ workload: WorkloadName, to userID: UInt32, in paths: MeshPaths
    ) throws(LaunchFailure) {
        let socket = try connect(paths.issuerSocket)
        defer { close(socket) }
        let body = IssuerGrant(userID: userID, workload: workload).encoded()
        let frame = withUnsafeBytes(of: UInt32(truncatingIfNeeded: body.count).bigEndian, Array.init) + body
        guard send(socket, frame, frame.count, Int32(MSG_NOSIGNAL)) == frame.count,
            let answer = receive(socket)
        else {
            throw LaunchFailure(
                "the issuer at \(paths.issuerSocket) closed its line", fix: "read \(paths.nodeLog)")
        }
        guard answer != IssuerGrant.taken else { return }
        var reason = "it answered what this version doesn't know"
        if case .refused(let text)? = try? IssuerAnswer(canonical: answer) { reason = text }
        throw LaunchFailure("the issuer doesn't let user \(userID) be \(workload): \(reason)", fix: "")
    }

    private static func connect(_ path: String) throws(LaunchFailure) -> Int32 {
        guard let address = UnixAddress(path) else {
            throw LaunchFailure("\(path) is too long for a socket", fix: "shorten MESH_RUNTIME_DIR")
        }
        for _ in 0..<attemptsMaximum {
            let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            let socket = try checked(socket(AF_UNIX, type, 0), "socket")
            if address.connect(socket) == 0 {
                var limit = timeval(tv_sec: 5, tv_usec: 0)
                setsockopt(
                    socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
                return socket
            }
            close(socket)
            usleep(attemptMicroseconds)
        }
        throw LaunchFailure("no issuer answers at \(path)", fix: "see whether mesh-node starts: mesh check")
    }

    private static func receive(_ socket: Int32) -> [UInt8]? {
        guard let head = receive(socket, count: 4) else { return nil }
        let count = head.reduce(0) { $0 << 8 | Int($1) }
        guard count <= Limits.nodeFrameBytesMaximum else { return nil }
        return receive(socket, count: count)
    }

    private static func receive(_ socket: Int32, count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = recv(socket, &bytes, count, Int32(MSG_WAITALL))
        return got == count ? bytes : nil
    }
}
