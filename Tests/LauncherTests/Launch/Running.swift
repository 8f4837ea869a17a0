// Launches under way, and the host's processes.

import Foundation
import Testing

/// A launch under way. Its signals are as a shell would leave them, whatever the tests' threads block.
final class Running {
    let pid: pid_t
    private let files: [URL]
    private var status: Int32?

    init(_ words: [String], environment: [String: String], folder: String) throws {
        let stem = "/tmp/mlt-output-\(UInt32.random(in: 0...UInt32.max))"
        files = ["\(stem).out", "\(stem).err"].map { URL(fileURLWithPath: $0) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        for (stream, file) in zip(Int32(1)..., files) {
            posix_spawn_file_actions_addopen(
                &actions, stream, file.path(percentEncoded: false), O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        // A group of its own, as a shell gives each job.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        let words = ["/usr/bin/env", "--chdir=\(folder)"] + words
        let arguments = words.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var child: pid_t = 0
        let failure = posix_spawn(&child, words[0], &actions, &attributes, arguments, variables)
        guard failure == 0 else { throw POSIXError(POSIXErrorCode(rawValue: failure) ?? .EINVAL) }
        pid = child
    }

    deinit {
        if status == nil {
            kill(pid, SIGKILL)
            var ignored: Int32 = 0
            waitpid(pid, &ignored, 0)
        }
        for file in files { try? FileManager.default.removeItem(at: file) }
    }

    var output: String { (try? String(contentsOf: files[0], encoding: .utf8)) ?? "" }
    var errors: String { (try? String(contentsOf: files[1], encoding: .utf8)) ?? "" }

    var isRunning: Bool {
        guard status == nil else { return false }
        var found: Int32 = 0
        if waitpid(pid, &found, WNOHANG) == pid { status = found }
        return status == nil
    }

    /// Waits until the workload's output holds this text. False, and an issue, where it doesn't come.
    @discardableResult
    func awaitOutput(_ text: String, location: SourceLocation = #_sourceLocation) -> Bool {
        _ = Deadline.poll { output.contains(text) || !isRunning }
        let came = output.contains(text)
        #expect(
            came,
            "no \"\(text)\" in: \(output) \(errors), \(status.map { "ended with status \($0)" } ?? "runs")",
            sourceLocation: location)
        return came
    }

    func send(_ signal: Int32) { kill(pid, signal) }

    /// Waits for the end; ends the launcher by force after the deadline.
    func finish(location: SourceLocation = #_sourceLocation) -> Finished {
        if !Deadline.poll({ !isRunning }) {
            Issue.record("still running: \(output) \(errors)", sourceLocation: location)
            kill(pid, SIGKILL)
            Deadline.poll { !isRunning }
        }
        let status = status ?? 0
        let end: Finished.End =
            status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .killed(status & 0x7F)
        return Finished(end: end, output: output, errors: errors)
    }
}

struct Finished {
    enum End: Equatable {
        case exited(Int32)
        case killed(Int32)
    }

    var end: End
    var output: String
    var errors: String

    var lines: [String] { output.split(separator: "\n").map(String.init) }
}

enum Deadline {
    /// Asks again and again until `condition` holds, for 20 s at most.
    @discardableResult
    static func poll(_ condition: () -> Bool) -> Bool {
        let end = ContinuousClock.now + .seconds(20)
        while !condition() {
            guard ContinuousClock.now < end else { return false }
            usleep(5000)
        }
        return true
    }
}

/// The host's processes, as /proc shows them.
enum Host {
    static func processes() -> [pid_t] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { pid_t($0) }
    }

    static func commandLine(_ process: pid_t) -> String {
        let bytes = (try? Data(contentsOf: URL(fileURLWithPath: "/proc/\(process)/cmdline"))) ?? Data()
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }.joined(separator: " ")
    }

    static func children(_ process: pid_t) -> [pid_t] {
        let text = try? String(contentsOfFile: "/proc/\(process)/task/\(process)/children", encoding: .utf8)
        return (text ?? "").split(separator: " ").compactMap { pid_t($0) }
    }

    static func link(_ path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }

    static func descriptorsAndNamespaces(_ process: pid_t) -> [String] {
        let folder = "/proc/\(process)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return (names.map { folder + "/" + $0 } + ["/proc/\(process)/ns/net"]).compactMap(link)
    }
}
