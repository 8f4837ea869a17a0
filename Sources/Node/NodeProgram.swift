// mesh-node: one per user and host, started on demand, gone when nobody needs it.

import Glibc

package enum NodeProgram {
    /// Exit code of mesh's own failure (DESIGN.md, section 8).
    static let failure: Int32 = 125

    package static func run(_ arguments: [String]) -> Never { exit(status(arguments)) }

    /// The exit code, where there is nothing to serve, or no more.
    private static func status(_ arguments: [String]) -> Int32 {
        switch Array(arguments.dropFirst()) {
        case []: return Daemon.run(isForeground: false)
        case ["--foreground"]: return Daemon.run(isForeground: true)
        case ["issuer"]: return IssuerProgram.run()
        case ["--help"], ["-h"]:
            print(usage)
            return 0
        case let other:
            complain("unknown arguments: \(other.joined(separator: " "))\n\(usage)")
            return failure
        }
    }

    /// One message to whoever started this process, as long as there is somebody.
    static func complain(_ text: String) { say("mesh-node: \(text)") }

    /// A line on standard error, which is the node's log for its issuer.
    static func say(_ text: String) {
        let line = Array("\(text)\n".utf8)
        _ = write(STDERR_FILENO, line, line.count)
    }

    private static let usage = """
        usage: mesh-node [--foreground]

        The node of this user: topics and certificates for the workloads of this host. mesh-launch starts
        it when it is needed, and it ends by itself 10 s after it isn't. A second one ends at once.

          --foreground   log to standard error too

        Environment: MESH_RUNTIME_DIR, MESH_STATE_DIR (see `mesh check`);
        MESH_LEAF_SECONDS shortens the certificates' hour, for tests.
        """
}
