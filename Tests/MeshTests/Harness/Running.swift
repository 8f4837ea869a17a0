// A program that was started, and what can be seen of it from outside.

import Foundation
import Glibc
import Testing

/// What a program left: how it ended and what it wrote.
struct Outcome: CustomStringConvertible {
    let ending: Ending
    let output: String
    let error: String

    var isSuccess: Bool { ending == .exited(0) }
    /// The output without the newline at its end.
    var line: String { output.trimmingCharacters(in: .newlines) }
    var description: String { "\(ending), output: \(output.suffix(2000)), error: \(error.suffix(2000))" }
}

struct Running: Sendable {
    let mesh: Mesh
    let name: String
    let process: ChildProcess
    /// Its output's path without its suffix.
    let log: String

    var output: String { (try? String(contentsOfFile: log + ".out", encoding: .utf8)) ?? "" }
    var error: String { (try? String(contentsOfFile: log + ".err", encoding: .utf8)) ?? "" }

    func outcome(within limit: Duration = .seconds(60)) async throws -> Outcome {
        let ending = try await awaited("the end of \(name), which said \(error)\(output)", within: limit) {
            process.ended
        }
        return Outcome(ending: ending, output: output, error: error)
    }

    /// Ends it as an operator would, and waits.
    @discardableResult
    func end(_ signal: Int32 = SIGTERM) async throws -> Outcome {
        process.signal(signal)
        return try await outcome()
    }

    /// Waits until its output has this text.
    func says(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await eventually(
            "'\(text)' from \(name), which said: \(output)\(error)", sourceLocation: sourceLocation
        ) {
            try mustRun { output.contains(text) || error.contains(text) }
        }
    }

    private func mustRun(_ condition: () throws -> Bool) throws -> Bool {
        if try condition() { return true }
        if let ending = process.ended, try !condition() {
            throw HarnessError("\(name) ended with \(ending); it said: \(output)\(error)")
        }
        return false
    }

    // MARK: Its sidecar

    /// The instance's folder: the one whose sidecar names this launcher.
    func instanceFolder() async throws -> String {
        try await awaited("an instance of \(name), which said: \(error)") {
            for folder in mesh.instanceFolders
            where try AdminSocket.get("/status", of: folder)?["launcher_pid"].number == Int(process.pid) {
                return folder
            }
            _ = try mustRun { false }
            return nil
        }
    }

    /// `GET` of its sidecar's admin socket, as JSON.
    func admin(_ path: String) async throws -> JSON {
        let folder = try await instanceFolder()
        return try await awaited("an answer of \(name) to \(path)") {
            try AdminSocket.get(path, of: folder)
        }
    }

    func status() async throws -> JSON { try await admin("/status") }

    /// Waits until the sidecar says that the program may run, and that it does.
    func isReady() async throws {
        try await eventually("\(name) to be ready") {
            let status = try await status()
            return status["ready"].isTrue && status["workload_pid"].number != nil
        }
        if let workload = try await status()["workload_pid"].number,
            let network = Link.target(of: "/proc/\(workload)/ns/net")
        {
            mesh.note(network: network)
        }
    }

    /// Waits until the program listens on a TCP port, as its own network's tables show.
    func listens(on port: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await isReady()
        let workload = try await status()["workload_pid"].number ?? 0
        try await eventually(
            "\(name) to listen on \(port): \(error)\(output)", sourceLocation: sourceLocation
        ) {
            try mustRun { Running.ports(of: workload, state: "0A", in: ["tcp", "tcp6"]).contains(port) }
        }
    }

    /// Waits until the program has a UDP port.
    func receives(on port: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await isReady()
        let workload = try await status()["workload_pid"].number ?? 0
        try await eventually(
            "\(name) to receive on \(port): \(error)\(output)", sourceLocation: sourceLocation
        ) {
            try mustRun { Running.ports(of: workload, state: "07", in: ["udp", "udp6"]).contains(port) }
        }
    }

    /// Local ports in a state of the kernel's socket tables (net/tcp in proc(5)).
    private static func ports(of process: Int, state: String, in tables: [String]) -> [Int] {
        tables.flatMap { table -> [Int] in
            ProcessFile.read("/proc/\(process)/net/\(table)").split(separator: "\n").dropFirst().compactMap {
                line in
                let fields = line.split(separator: " ")
                guard fields.count > 3, fields[3] == state else { return nil }
                return fields[1].split(separator: ":").last.flatMap { Int($0, radix: 16) }
            }
        }
    }
}
