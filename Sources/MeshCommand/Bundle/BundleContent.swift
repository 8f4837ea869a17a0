// What a bundle holds: each file is named here, and nothing else is read.

import ArgumentParser
import Glibc
import SidecarProtocol

struct BundleContent {
    private let place: PlaceOptions
    private var paths: MeshPaths { place.paths }
    private(set) var files: [(name: String, text: String)] = []
    private(set) var redacted = 0

    /// The end of a log.
    private static let logBytes = 256 << 10
    /// Records of ended flows.
    private static let endedFlows = 500

    init(_ place: PlaceOptions) { self.place = place }

    mutating func gather() throws {
        add("versions.txt", BundleContent.versions)
        addAnswer("check.txt", of: Check.self, [])
        addAnswer("status.txt", of: Status.self, [])
        addAnswer("node-status.json", of: NodeStatusVerb.self, ["--json"])
        addAnswer("trust.json", of: TrustShow.self, ["--json"])
        addAnswer(
            "flows-ended.json", of: Flows.self,
            ["--ended", "--last", "\(BundleContent.endedFlows)", "--json"])
        addAnswer("edges.json", of: Edges.self, ["--json"])
        addAnswer("records-verify.txt", of: RecordsVerify.self, [])
        addFile("node.yaml", paths.nodeConfigurationFile)
        addFile("node.log", paths.nodeLog)
        for instance in try Instance.all(in: paths) { add(instance) }
    }

    func manifest(at now: Int) -> String {
        var table = Table(["FILE", ">BYTES"])
        for file in files { table.add([file.name, "\(file.text.utf8.count)"]) }
        return "mesh bundle of \(WallClock.rfc3339(now)), mesh \(MeshVersion.text)\n"
            + "\(redacted) values that look like secrets were taken out; no key was read.\n\n" + table.text
    }

    // MARK: Parts

    private mutating func add(_ instance: Instance) {
        let folder = "instances/" + instance.shortID + "/"
        let paths = ["config", "status", "flows", "metrics"]
        let answers = AdminClient.ask(paths.map { (instance.socket, .get("/" + $0)) })
        for (name, answer) in zip(paths, answers) {
            switch answer {
            case .success(let answer):
                add(folder + name + (name == "metrics" ? ".txt" : ".json"), answer.text)
            case .failure(let failure): add(folder + name + ".failed", "the sidecar \(failure.description)\n")
            }
        }
        for log in [MeshPaths.sidecarLogName, MeshPaths.stackLogName] {
            addFile(folder + log, instance.folder + "/" + log)
        }
    }

    private mutating func addFile(_ name: String, _ path: String) {
        guard let text = BundleContent.tail(of: path, bytes: BundleContent.logBytes) else { return }
        add(name, text)
    }

    private mutating func addAnswer<V: Verb>(_ name: String, of verb: V.Type, _ arguments: [String]) {
        var place: [String] = []
        if let folder = self.place.runtimeFolder { place += ["--runtime-dir", folder] }
        if let folder = self.place.stateFolder { place += ["--state-dir", folder] }
        do {
            let answer = try verb.parse(arguments + place).answer()
            add(name, answer.text + answer.warning)
        } catch {
            add(name, "\(error)\n")
        }
    }

    private mutating func add(_ name: String, _ text: String) {
        let (clean, count) = Redaction.apply(text)
        redacted += count
        files.append((name, clean))
    }

    /// From the first whole line on. Nil where there is no plain file, or a link: it may lead anywhere.
    private static func tail(of path: String, bytes: Int) -> String? {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let start = max(0, Int(status.st_size) - bytes)
        lseek(descriptor, off_t(start), SEEK_SET)
        guard let content = try? FileContent.read(descriptor, named: path, atMost: bytes) else { return nil }
        let text = String(decoding: content, as: UTF8.self)
        return start == 0 ? text : String(text.drop { $0 != "\n" }.dropFirst())
    }

    private static var versions: String {
        var name = utsname()
        uname(&name)
        let release = (try? FileContent.read("/etc/os-release", atMost: 4096)) ?? []
        let kernel = [field(&name.sysname), field(&name.release), field(&name.version), field(&name.machine)]
        return "mesh \(MeshVersion.text)\n\(kernel.joined(separator: " "))\n"
            + String(decoding: release, as: UTF8.self)
    }

    private static func field<T>(_ field: inout T) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
