// The host's mesh-node, started where it doesn't run. Nobody waits for it: the sidecar tries again until it
// answers.

import Glibc
import SidecarProtocol

enum NodeStart {
    static func ensure(_ paths: MeshPaths, programs: Programs) throws(LaunchFailure) {
        guard !answers(paths.topicsSocket) else { return }
        try Spawn.detach([try programs.own("mesh-node")])
    }

    private static func answers(_ path: String) -> Bool {
        guard let address = UnixAddress(path) else { return false }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let socket = socket(AF_UNIX, type, 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        // EAGAIN: it listens, and its queue is full.
        return address.connect(socket) == 0 || errno == EAGAIN
    }
}
