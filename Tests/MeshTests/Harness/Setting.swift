// On what the tests run: datapath × user. One table; a row that can't be had here is skipped by name.

import Foundation
import Glibc
import Testing

enum Datapath: String, Sendable, CaseIterable {
    case veth
    case slirp
}

/// Who starts `mesh-launch`.
enum Starter: String, Sendable, CaseIterable {
    /// uid 0. The workload is root inside, over the whole range of ids.
    case root
    /// Somebody without XDG_RUNTIME_DIR. The workload has its caller's ids.
    case ordinary
}

struct Setting: Sendable, Hashable, CustomTestStringConvertible {
    let datapath: Datapath
    let starter: Starter

    init(_ datapath: Datapath, _ starter: Starter) {
        self.datapath = datapath
        self.starter = starter
    }

    var testDescription: String { "\(datapath.rawValue), \(starter.rawValue)" }

    /// Every combination, for what matters most.
    static let all = Datapath.allCases.flatMap { datapath in
        Starter.allCases.map { Setting(datapath, $0) }
    }

    /// Both datapaths and both users in two runs. Tests alternate between `pairs` and `otherPairs`, so that
    /// together they meet each pair of program, datapath and user.
    static let pairs = [Setting(.veth, .ordinary), Setting(.slirp, .root)]
    static let otherPairs = [Setting(.veth, .root), Setting(.slirp, .ordinary)]

    /// For what no datapath can change.
    static let one = [Setting(.veth, .ordinary)]
    static let onVeth = [Setting(.veth, .root), Setting(.veth, .ordinary)]
}

/// The Unix user that a `Starter` is here.
struct Person: Sendable {
    let name: String
    let uid: uid_t
    let gid: gid_t
    let home: String

    init?(named name: String) {
        guard let entry = getpwnam(name) else { return nil }
        self.init(entry.pointee)
    }

    init?(uid: uid_t) {
        guard let entry = getpwuid(uid) else { return nil }
        self.init(entry.pointee)
    }

    private init(_ entry: passwd) {
        name = String(cString: entry.pw_name)
        uid = entry.pw_uid
        gid = entry.pw_gid
        home = String(cString: entry.pw_dir)
    }

    /// What Scripts/test made, or was told.
    static let ordinary: Person? =
        geteuid() == 0
        ? Person(named: ProcessInfo.processInfo.environment["MESH_TEST_USER"] ?? "mesh-test")
        : Person(uid: geteuid())
}

extension Setting {
    /// Who starts programs, or why this row can't be had here.
    func person() -> Result<Person, HarnessError> {
        switch starter {
        case .root:
            guard geteuid() == 0, let root = Person(uid: 0) else {
                return .failure(HarnessError("this doesn't run as root"))
            }
            return .success(root)
        case .ordinary:
            if let refusal = Setting.userNamespacesForbidden { return .failure(HarnessError(refusal)) }
            guard let person = Person.ordinary else {
                return .failure(
                    HarnessError("there is no ordinary user to become; run: Scripts/ordinary-user make"))
            }
            return .success(person)
        }
    }

    /// Whether the kernel lets only root make user namespaces; then nothing here works for others.
    private static let userNamespacesForbidden: String? = {
        let path = "/proc/sys/kernel/unprivileged_userns_clone"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8), text.hasPrefix("0") else {
            return nil
        }
        return "kernel.unprivileged_userns_clone is 0"
    }()

    /// Leaves the test, loudly, where this row can't be had on this machine.
    func orSkip() async throws -> Person {
        switch person() {
        case .failure(let reason):
            try Skip.now("\(testDescription): \(reason)")
        case .success(let person):
            if datapath == .slirp, let reason = await SlirpProbe.shared.refusal(for: person) {
                try Skip.now("\(testDescription): \(reason)")
            }
            return person
        }
    }
}

/// Whether this machine and this build have the slirp datapath: asked once a user, by a launch.
actor SlirpProbe {
    static let shared = SlirpProbe()
    private var answers: [uid_t: Task<String?, Never>] = [:]

    func refusal(for person: Person) async -> String? {
        let task = answers[person.uid] ?? Task { await SlirpProbe.ask(person) }
        answers[person.uid] = task
        return await task.value
    }

    private static func ask(_ person: Person) async -> String? {
        do {
            let mesh = try Mesh(person: person, datapath: .slirp)
            let query = ["dig", "+time=2", "+tries=1", "nobody.mesh"]
            let probe = try await mesh.run("probe", command: query)
            await mesh.close()
            return probe.output.contains("NXDOMAIN")
                ? nil : "mesh-launch --datapath slirp: \(probe.output.prefix { $0 != "\n" })\(probe.error)"
        } catch {
            return "mesh-launch --datapath slirp: \(error)"
        }
    }
}

enum Skip {
    /// Ends the running test as skipped, and says so where nobody overlooks it.
    static func now(_ reason: String) throws -> Never {
        let name = Test.current.map { $0.displayName ?? $0.name } ?? "?"
        FileHandle.standardError.write(Data("SKIPPED: \(name): \(reason)\n".utf8))
        try Test.cancel(Comment(rawValue: reason))
    }

    /// Ends the test where a program isn't installed.
    /// Skips where Python's own folder lacks a package.
    static func unlessPython(_ package: String) throws {
        guard access("/usr/lib/python3/dist-packages/\(package)", F_OK) != 0 else { return }
        try now("python3-\(package) isn't installed (Scripts/dependencies test)")
    }

    static func unlessInstalled(_ programs: String...) throws {
        for program in programs where Installed.path(of: program) == nil {
            try now("\(program) isn't installed (Scripts/dependencies test)")
        }
    }
}

enum Installed {
    static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    static func path(of program: String) -> String? {
        if program.hasPrefix("/") { return access(program, X_OK) == 0 ? program : nil }
        for folder in searchPath.split(separator: ":") where access("\(folder)/\(program)", X_OK) == 0 {
            return "\(folder)/\(program)"
        }
        return nil
    }
}
