// NodeTestClient processes: sidecars without a workload.

import Glibc

final class TestClient {
    private let process: Subprocess
    private let output: LineReader

    /// - Parameter arguments: the workload's name, and what NodeTestClient's main says.
    init(_ node: NodeProcess, _ arguments: String...) throws {
        process = try Subprocess(
            NodeProcess.executable("NodeTestClient"), arguments, environment: node.processEnvironment)
        output = LineReader(process.output)
    }

    /// The same as another user.
    init(_ node: NodeProcess, as userID: UInt32, _ arguments: String...) throws {
        process = try Subprocess(
            "/usr/bin/setpriv",
            ["--reuid", "\(userID)", "--clear-groups", NodeProcess.executable("NodeTestClient")] + arguments,
            environment: node.processEnvironment)
        output = LineReader(process.output)
    }

    /// The next line that begins so, skipping others; nil after 20 s without one.
    func line(_ beginning: String) -> String? {
        while let line = output.next() {
            if line.hasPrefix(beginning) { return line }
        }
        return nil
    }

    func say(_ line: String) { process.say(line) }

    /// As a crash does it.
    func kill9() { process.end(SIGKILL) }
}
