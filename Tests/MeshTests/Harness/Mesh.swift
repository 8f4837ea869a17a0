// One mesh: folders, a node and workloads that nobody else sees, and their end.

import Foundation
import Glibc
import Synchronization
import Testing

/// A mesh in a folder of its own. Everything that a test starts is started through it, and ended by it.
final class Mesh: Sendable {
    /// Short, since it begins the paths of sockets.
    let folder: String
    let person: Person
    let datapath: Datapath
    /// Processes that may have to be ended.
    private let children = Mutex<[ChildProcess]>([])
    private let numbers = Atomic<Int>(0)
    /// Network namespaces that were seen; none may outlive the mesh.
    private let networks = Mutex<Set<String>>([])

    var bin: String { folder + "/bin" }
    var runtime: String { folder + "/run" }
    var state: String { folder + "/state" }
    /// Files of workloads; theirs to write.
    var work: String { folder + "/work" }

    /// Runs a test in a mesh of its own, skipped loudly where `setting` can't be had, and checks that
    /// nothing of it is left.
    static func with(_ setting: Setting, _ body: (Mesh) async throws -> Void) async throws {
        let person = try await setting.orSkip()
        await Slots.shared.enter()
        do {
            let mesh = try Mesh(person: person, datapath: setting.datapath)
            do {
                try await body(mesh)
            } catch {
                mesh.tell()
                await mesh.close()
                throw error
            }
            await mesh.close()
        } catch {
            await Slots.shared.leave()
            throw error
        }
        await Slots.shared.leave()
    }

    static let folderPrefix = "/tmp/mt."

    init(person: Person, datapath: Datapath) throws {
        var template = Array((Mesh.folderPrefix + "XXXXXX").utf8CString)
        guard let made = mkdtemp(&template) else { throw HarnessError("mkdtemp: errno \(errno)") }
        folder = String(cString: made)
        self.person = person
        self.datapath = datapath
        // Others may pass through, since a workload's server may become somebody else.
        chmod(folder, 0o711)
        for path in [bin, work, folder + "/home", folder + "/log"] {
            mkdir(path, 0o755)
            chown(path, person.uid, person.gid)
        }
        chown(folder, person.uid, person.gid)
        do {
            try Executables.link(into: bin)
        } catch {
            try? FileManager.default.removeItem(atPath: folder)
            throw error
        }
    }

    /// What its processes find in their environment: nothing of the tester's own.
    var environment: [String: String] {
        [
            "PATH": "\(bin):\(Installed.searchPath)", "HOME": folder + "/home", "USER": person.name,
            "LOGNAME": person.name, "LANG": "C.UTF-8", "TERM": "xterm", "SHELL": "/bin/bash",
            "MESH_RUNTIME_DIR": runtime, "MESH_STATE_DIR": state, "MESH_CONFIG_DIR": folder + "/config",
            "MESH_TEST_MARK": folder,
        ]
    }

    // MARK: Starting

    /// Starts any program as this mesh's person; its process id stays the one returned.
    func start(
        _ words: [String], as name: String, environment extra: [String: String] = [:],
        terminal: String? = nil,
        input: Int32? = nil
    ) throws -> Running {
        let number = numbers.add(1, ordering: .relaxed).newValue
        let log = "\(folder)/log/\(number)-\(name.replacingOccurrences(of: "/", with: "."))"
        var words = words
        if person.uid != geteuid() {
            words = ["setpriv", "--reuid", person.name, "--regid", "\(person.gid)", "--init-groups"] + words
        }
        let streams = ChildProcess.Streams(
            output: log + ".out", error: log + ".err", terminal: terminal, inputDescriptor: input)
        let process = try ChildProcess(
            words, environment: environment.merging(extra) { $1 }, folder: work, streams: streams)
        children.withLock { $0.append(process) }
        return Running(mesh: self, name: name, process: process, log: log)
    }

    /// Starts `command` behind a sidecar of its own.
    func launch(
        _ name: String? = nil, serves: [String] = [], accepts: [String] = [], calls: [String] = [],
        options: [String] = [], environment: [String: String] = [:], terminal: String? = nil,
        input: Int32? = nil, command: [String]
    ) throws -> Running {
        var words = ["mesh-launch", "--datapath", datapath.rawValue]
        if let name { words += ["--name", name] }
        for serve in serves { words += ["--serve", serve] }
        for accept in accepts { words += ["--accept", accept] }
        for call in calls { words += ["--call", call] }
        words += options + ["--"] + command
        return try start(
            words, as: name ?? "unnamed", environment: environment, terminal: terminal, input: input)
    }

    /// Starts `command` behind a sidecar, and waits for its end.
    func run(
        _ name: String? = nil, serves: [String] = [], accepts: [String] = [], calls: [String] = [],
        options: [String] = [], environment: [String: String] = [:], input: Int32? = nil,
        within limit: Duration = .seconds(60), command: [String]
    ) async throws -> Outcome {
        try await launch(
            name, serves: serves, accepts: accepts, calls: calls, options: options,
            environment: environment, input: input, command: command
        ).outcome(within: limit)
    }

    /// Runs one of the mesh's own programs, or any other, outside of any sidecar.
    @discardableResult
    func host(
        _ words: String..., environment: [String: String] = [:], within limit: Duration = .seconds(60)
    ) async throws -> Outcome {
        try await start(
            words, as: words[0].split(separator: "/").last.map(String.init) ?? "host",
            environment: environment
        )
        .outcome(within: limit)
    }

    /// Writes a file for workloads, with its folder, and gives it to this mesh's person.
    @discardableResult
    func write(_ text: String, to name: String, mode: mode_t = 0o644) throws -> String {
        let path = name.hasPrefix("/") ? name : "\(work)/\(name)"
        let parent = (path as NSString).deletingLastPathComponent
        if !FileManager.default.fileExists(atPath: parent) {
            try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
            chown(parent, person.uid, person.gid)
        }
        try Data(text.utf8).write(to: URL(filePath: path))
        chmod(path, mode)
        chown(path, person.uid, person.gid)
        return path
    }

    func makeFolder(_ name: String, mode: mode_t = 0o755) -> String {
        let path = "\(work)/\(name)"
        mkdir(path, mode)
        chmod(path, mode)
        chown(path, person.uid, person.gid)
        return path
    }

    /// A Python program of the test's own, for what no ordinary tool does.
    func python(_ name: String, _ source: String, _ arguments: String...) throws -> [String] {
        ["/usr/bin/python3", "-u", try write(source, to: name + ".py")] + arguments
    }

    /// Words that make a root workload become an ordinary Unix user inside; nothing for others.
    var asServer: [String] {
        guard person.uid == 0 else { return [] }
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    }

    func note(network: String) { _ = networks.withLock { $0.insert(network) } }

    // MARK: The end

    /// Ends everything that was started, and checks that nothing is left of it.
    func close() async {
        for child in children.withLock({ $0 }) { await end(child) }
        _ = try? await host("mesh", "node", "stop")
        await leftovers.check()
        try? FileManager.default.removeItem(atPath: folder)
    }

    var leftovers: Leftovers { Leftovers(of: self, networks: networks.withLock { $0 }) }

    private func end(_ child: ChildProcess) async {
        for signal in [SIGTERM, SIGKILL] where child.ended == nil {
            child.signal(signal)
            // A stopped job would not notice otherwise.
            child.signal(SIGCONT)
            let deadline = ContinuousClock.now + .seconds(5)
            while child.ended == nil, ContinuousClock.now < deadline {
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    /// What its programs and sidecars said, for a test that fails.
    func tell() {
        var text = "---- what \(folder) was told\n"
        let logs = (try? FileManager.default.contentsOfDirectory(atPath: folder + "/log")) ?? []
        for name in logs.sorted() {
            let content = (try? String(contentsOfFile: "\(folder)/log/\(name)", encoding: .utf8)) ?? ""
            if !content.isEmpty { text += "-- \(name)\n\(content.suffix(1500))\n" }
        }
        for instance in instanceFolders {
            for name in ["sidecar.log", "stack.log"] {
                let content = (try? String(contentsOfFile: "\(instance)/\(name)", encoding: .utf8)) ?? ""
                if !content.isEmpty { text += "-- \(instance)/\(name)\n\(content.suffix(1500))\n" }
            }
        }
        FileHandle.standardError.write(Data(text.utf8))
    }

    /// Of all that run.
    var sidecarLogs: String {
        instanceFolders.map {
            (try? String(contentsOfFile: $0 + "/sidecar.log", encoding: .utf8)) ?? ""
        }.joined()
    }

    var instanceFolders: [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: runtime + "/instances")
        return (names ?? []).sorted().map { "\(runtime)/instances/\($0)" }
    }
}
