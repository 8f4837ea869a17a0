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
    static let trustBundle = localBundle(1_700_000_000)
    /// Of another domain.
    static let otherTrustBundle = localBundle(1_600_000_000)

    private static func localBundle(_ seconds: Int64) -> [UInt8] {
        let rootKey = SigningKeyPair(seed: [UInt8](repeating: 7, count: 32))
        let bundle = try? IssuerDomain.localBundle(rootKey: rootKey, at: WallTime(seconds: seconds))
        return bundle?.encoded ?? []
    }

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
            return isEverybodys(String(path)) ? nil : URL(fileURLWithPath: String(path))
        }
    }()

    /// Whether everybody may pass each folder on the way to a file.
    private static func isEverybodys(_ path: String) -> Bool {
        var folder = URL(fileURLWithPath: path).deletingLastPathComponent()
        while folder.path(percentEncoded: false) != "/" {
            var status = stat()
            guard stat(folder.path(percentEncoded: false), &status) == 0, status.st_mode & 0o001 != 0 else {
                return false
            }
            folder = folder.deletingLastPathComponent()
        }
        return true
    }

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
