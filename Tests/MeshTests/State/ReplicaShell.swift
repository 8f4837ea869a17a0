// A replica that a test asks, one command after the other.

import Foundation
import Testing

/// A shell behind a sidecar with state; it runs redis-cli for each question.
final class ReplicaShell {
    let running: Running
    private let input: FileHandle
    private var asked = 0

    /// - Parameter start: gives it the words that launch it, and its input.
    private init(_ start: (_ input: Int32) throws -> Running) throws {
        let pipe = Pipe()
        running = try start(pipe.fileHandleForReading.fileDescriptor)
        try pipe.fileHandleForReading.close()
        input = pipe.fileHandleForWriting
    }

    /// A replica of `app` in this mesh, its sidecar behind a clock of the test's, where there is one.
    convenience init(_ mesh: Mesh, clock: FakeClock? = nil) throws {
        let words =
            ["mesh-launch", "--datapath", mesh.datapath.rawValue] + ReplicaShell.options
            + ["--", "env", "-u", "LD_PRELOAD", "sh"]
        try self.init { try mesh.start(clock?.behind(words) ?? words, as: "app", input: $0) }
    }

    convenience init(_ host: Host) throws {
        let words =
            ["ip", "netns", "exec", host.network, "mesh-launch"] + ReplicaShell.options + ["--", "sh"]
        try self.init { try host.mesh.start(words, as: "app", input: $0) }
    }

    private static let options = ["--name", "app", "--consistency", "eventual", "--join"]

    /// What redis-cli answers.
    func ask(_ command: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> String {
        let before = "--\(asked)--\n"
        asked += 1
        let after = "--\(asked)--\n"
        try input.write(
            contentsOf: Data("redis-cli -h state.mesh \(command) 2>&1; printf -- '\(after)'\n".utf8))
        return try await awaited(
            "an answer to \(command), of \(running.output)\(running.error)", sourceLocation: sourceLocation
        ) {
            if let ending = running.process.ended {
                throw HarnessError("a replica ended with \(ending): \(running.error)")
            }
            let output = running.output
            guard let end = output.range(of: after) else { return nil }
            let start = output.range(of: before)?.upperBound ?? output.startIndex
            return output[start..<end.lowerBound].replacingOccurrences(of: "\r", with: "")
                .trimmingCharacters(in: .newlines)
        }
    }

    /// Waits until it answers so.
    func comes(
        _ command: String, to answer: String, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        var last = ""
        try await eventually(
            "\(command) to be \(answer) and not \(last)", sourceLocation: sourceLocation
        ) {
            last = try await ask(command)
            return last == answer
        }
    }

    /// A field of INFO's section `crdt`.
    func fact(_ name: String) async throws -> String {
        let lines = try await ask("info crdt").split(separator: "\n")
        let line = try #require(lines.first { $0.hasPrefix(name + ":") }, "\(name) in \(lines)")
        return String(line.dropFirst(name.count + 1))
    }

    /// What its sidecar has logged in this life. Its launcher may be a child of `faketime`.
    func log() throws -> String {
        let ours = Set([Int(running.process.pid)] + Processes.descendants(of: Int(running.process.pid)))
        for folder in running.mesh.instanceFolders {
            guard let launcher = try AdminSocket.get("/status", of: folder)?["launcher_pid"].number,
                ours.contains(launcher)
            else { continue }
            return (try? String(contentsOfFile: folder + "/sidecar.log", encoding: .utf8)) ?? ""
        }
        return ""
    }

    /// Ends in order. One behind a clock needs it: `faketime` passes no signal on.
    func end() async throws {
        try input.write(contentsOf: Data("exit\n".utf8))
        _ = try await running.outcome()
    }
}
