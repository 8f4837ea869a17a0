// A place to launch from: its own folders, the built mesh-launch, and stand-ins for the programs that it
// starts. Nothing outside it is written.

import Foundation
import SidecarProtocol
import Testing

/// On whose behalf a test launches.
enum Caller: String, CaseIterable, CustomTestStringConvertible {
    case root
    case user

    var testDescription: String { rawValue }

    /// Whether the tests can launch so, on this machine.
    var isPossible: Bool { self == .user || geteuid() == 0 }

    /// Those that this machine allows; the others are named in the output.
    static let possible: [Caller] = allCases.filter { caller in
        if !caller.isPossible { print("SKIPPED: launches as \(caller) need root") }
        return caller.isPossible
    }

    /// An ordinary user's, for tests that root runs: of nobody that the host knows.
    private static let strangerID: uid_t = 61_234

    /// What stands before a command so that it runs as this caller.
    var prefix: [String] {
        guard self == .user, geteuid() == 0 else { return [] }
        return ["/usr/bin/setpriv", "--reuid=\(userID)", "--regid=\(userID)", "--clear-groups"]
    }

    /// Of the user that launches.
    var userID: uid_t { self == .user && geteuid() == 0 ? Caller.strangerID : geteuid() }

    var groupID: gid_t { self == .user && geteuid() == 0 ? Caller.strangerID : getegid() }
}

final class Bench {
    let caller: Caller
    let folder: URL
    /// Added to the launcher's environment.
    var environment: [String: String] = [:]

    init(_ caller: Caller) throws {
        self.caller = caller
        // Short, for the sockets' paths.
        let name = "mlt-\(UInt32.random(in: 0...UInt32.max))"
        folder = URL(fileURLWithPath: "/tmp/\(name)")
        let parts = ["", "bin", "run", "state", "state/trust", "config", "cache"]
        for part in parts {
            try FileManager.default.createDirectory(
                at: folder.appending(path: part), withIntermediateDirectories: true)
            chown(path(part), caller.userID, caller.groupID)
            chmod(path(part), part == "" || part == "bin" ? 0o755 : 0o700)
        }
        let programs = ["mesh-sidecar", "mesh-node", "mesh"].map { Bench.fixtures.appending(path: $0) }
        try Bench.copy(programs + [Bench.launcher] + Bench.runtime, to: folder.appending(path: "bin"))
        try Data(Bench.trustBundle).write(to: folder.appending(path: "state/trust/bundle"))
        chown(path("state/trust/bundle"), caller.userID, caller.groupID)
        // A sidecar of another user, whom root launches for, writes there as well.
        try write("", to: "bin/sidecar.jsonl", mode: 0o666)
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    /// By another process: a program that this one has open for writing can't be executed, and neither can
    /// one that a process just forked from this one has.
    private static func copy(_ files: [URL], to folder: URL) throws {
        let copying = Process()
        copying.executableURL = URL(fileURLWithPath: "/bin/cp")
        copying.arguments =
            files.map { $0.path(percentEncoded: false) } + [folder.path(percentEncoded: false)]
        try copying.run()
        copying.waitUntilExit()
        try #require(copying.terminationStatus == 0)
    }

    func bin(_ name: String) -> URL { folder.appending(path: "bin/\(name)") }

    func path(_ name: String) -> String { folder.appending(path: name).path(percentEncoded: false) }

    /// Makes the sidecar behave as its fixture describes.
    func setMode(_ mode: String) throws { try write(mode, to: "bin/mode") }

    func write(_ text: String, to name: String, mode: mode_t = 0o644) throws {
        try Data(text.utf8).write(to: folder.appending(path: name))
        chown(path(name), caller.userID, gid_t.max)
        chmod(path(name), mode)
    }

    /// What the sidecars wrote.
    func notes() -> [[String: Any]] {
        let text = (try? String(contentsOf: bin("sidecar.jsonl"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap {
            try? JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }

    /// The messages that sidecars got: kind first.
    func messages(_ kind: Int) -> [[Any]] {
        notes().compactMap { $0["message"] as? [Any] }.filter { $0.first as? Int == kind }
    }

    // MARK: Running

    /// - Parameters:
    ///   - words: the launcher's command line.
    ///   - wrapper: a command that starts it, after the caller's own prefix.
    func start(
        _ words: [String], from workingFolder: String = "/tmp", wrapper: [String] = []
    ) throws -> Running {
        try Running(
            caller.prefix + wrapper + [bin("mesh-launch").path(percentEncoded: false)] + words,
            environment: variables, folder: workingFolder)
    }

    /// Plays a scenario of the fixture `terminal`, as the caller.
    func atTerminal(_ scenario: String) throws -> Running {
        let fixture = Bench.fixtures.appending(path: "terminal").path(percentEncoded: false)
        return try Running(
            ["/usr/bin/python3", fixture, scenario, bin("mesh-launch").path(percentEncoded: false)]
                + caller.prefix, environment: variables, folder: "/tmp")
    }

    private var variables: [String: String] {
        var variables = [
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": path(""),
            "MESH_RUNTIME_DIR": path("run"), "MESH_STATE_DIR": path("state"),
            "MESH_CONFIG_DIR": path("config"), "MESH_CACHE_DIR": path("cache"),
        ]
        variables["LD_LIBRARY_PATH"] = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"]
        return variables.merging(environment) { _, added in added }
    }

    /// Runs to the end.
    func run(_ words: [String], from workingFolder: String = "/tmp") throws -> Finished {
        try start(words, from: workingFolder).finish()
    }

    /// Runs a shell script as the workload.
    func script(_ text: String, options: [String] = []) throws -> Finished {
        try run(options + ["--", "/bin/sh", "-c", text])
    }

    // MARK: Leftovers

    /// What is still there of the launches from here, in words; empty when all is gone.
    func leftovers() -> [String] {
        var found: [String] = []
        for process in Host.processes() {
            let home = path("")
            if Host.commandLine(process).contains(home) {
                found.append("process \(process): \(Host.commandLine(process))")
            }
        }
        let instances = path("run/instances")
        for name in (try? FileManager.default.contentsOfDirectory(atPath: instances)) ?? [] {
            found.append("folder \(instances)/\(name)")
        }
        return found
    }

    /// Waits until nothing is left.
    func expectNoLeftovers(_ comment: Comment? = nil, location: SourceLocation = #_sourceLocation) {
        var left: [String] = []
        let gone = Deadline.poll {
            left = leftovers()
            return left.isEmpty
        }
        #expect(
            gone, "left over: \(left.joined(separator: "; ")) \(comment?.rawValue ?? "")",
            sourceLocation: location)
    }

    /// A domain for the workloads' addresses; the stand-in for the node doesn't make one.
    private static let trustBundle: [UInt8] = {
        let rootKey = SigningKeyPair(seed: [UInt8](repeating: 7, count: 32))
        let bundle = try? IssuerDomain.localBundle(rootKey: rootKey, at: WallTime(seconds: 1_700_000_000))
        return bundle?.encoded ?? []
    }()

    /// The Swift libraries, where an ordinary user can't read the toolchain's: a toolchain may lie in root's
    /// home. The executables look beside themselves.
    private static let runtime: [URL] = {
        guard geteuid() == 0 else { return [] }
        let listing = Pipe()
        let listed = Process()
        listed.executableURL = URL(fileURLWithPath: "/usr/bin/ldd")
        listed.arguments = [launcher.path(percentEncoded: false)]
        listed.standardOutput = listing
        guard (try? listed.run()) != nil else { return [] }
        let text = String(decoding: listing.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        return text.split(separator: "\n").compactMap { line in
            guard let arrow = line.range(of: " => "), line.contains("swift") else { return nil }
            let path = line[arrow.upperBound...].prefix { $0 != " " }
            return path.hasPrefix("/root/") ? URL(fileURLWithPath: String(path)) : nil
        }
    }()

    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Fixtures")

    /// The tests' executable lies beside the products.
    private static let launcher: URL = {
        let own = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        let beside = own.deletingLastPathComponent().appending(path: "mesh-launch")
        if FileManager.default.fileExists(atPath: beside.path(percentEncoded: false)) { return beside }
        return URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            .appending(path: "mesh-launch")
    }()
}

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

    /// Waits until the workload's output holds this text.
    func awaitOutput(_ text: String, location: SourceLocation = #_sourceLocation) {
        let came = Deadline.poll { output.contains(text) }
        #expect(came, "no \"\(text)\" in: \(output) \(errors)", sourceLocation: location)
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
