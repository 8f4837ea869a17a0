import ArgumentParser
import Glibc
import SidecarProtocol

struct TrustRotate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Let another root follow the domain's, in three stages.",
        discussion: """
            add puts a new root beside the old one, sign has the issuer's certificate signed by it, remove takes \
            the old one away. Each asks the workloads that run on this host first, refuses what would cut one, \
            and has them renew at once; no flow ends. mesh trust show tells the stage.

            A local domain's root is on this host. Another one's is in a folder of its own (--root), offline: add \
            and remove write a bundle there, which mesh trust install takes on each host; after sign, each host's \
            issuer is renewed by mesh trust request, sign and install.
            """,
        subcommands: [TrustRotateAdd.self, TrustRotateSign.self, TrustRotateRemove.self])
}

struct RotationOptions: ParsableArguments {
    @Option(name: .customLong("root"), help: "The root's folder; a local domain's own without it.")
    var folder: String?
    @OptionGroup var rehearsal: RehearsalOptions

    var paths: MeshPaths { rehearsal.paths }
    var isLocal: Bool { folder == nil }

    /// The folder with the root's key and the bundle.
    func root() throws(Complaint) -> RootFolder {
        let root = RootFolder(path: folder ?? paths.trustFolder)
        guard FileStatus(root.rootKeyFile) != nil else {
            throw Complaint(
                "\(root.rootKeyFile) isn't here",
                fix: "run this where the root is, with --root FOLDER, and mesh trust install its bundle here")
        }
        return root
    }

    /// Where the root lies apart, nobody who runs here has to do with it.
    func rehearse(_ stage: String, _ change: RotationRehearsal.Change) throws(Complaint) -> Answer? {
        try rehearsal.refusal(stage, change, isLocal ? try Instance.all(in: paths) : [])
    }

    func done(_ stage: String, _ what: String, _ bundle: TrustBundle) throws(Complaint) -> Answer {
        try rehearsal.renew(isLocal ? try Instance.all(in: paths) : [], stage, what, bundle)
    }
}

/// Of a change that could cut workloads which run here.
struct RehearsalOptions: ParsableArguments {
    @Flag(name: [.customLong("rehearse"), .customLong("dry-run")], help: "Only say whom it would cut.")
    var isRehearsal = false
    @Flag(help: "Go on although somebody would be cut.") var force = false
    @OptionGroup var report: ReportOptions

    var paths: MeshPaths { report.place.paths }

    /// - Returns: the report of a refused stage, or of a rehearsal; nil where the stage may begin.
    func refusal(
        _ stage: String, _ change: RotationRehearsal.Change, _ instances: [Instance]
    ) throws(Complaint) -> Answer? {
        let rehearsal = RotationRehearsal(change, IdentityReport.ask(instances))
        let isRefused = !rehearsal.problems.isEmpty && !force
        guard isRehearsal || isRefused else { return nil }
        let exitCode: Int32 = rehearsal.problems.isEmpty ? 0 : 1
        if report.json {
            let facts: JSON = .object([
                "stage": .text(stage), "done": .bool(false), "rehearsed": .bool(isRehearsal),
                "asked": .number(rehearsal.asked), "problems": .list(rehearsal.problems.map(\.json)),
            ])
            return Answer(text: "\(facts)\n", exitCode: exitCode)
        }
        let refusal =
            isRefused && !isRehearsal
            ? "mesh: \(stage) is refused; wait until they have renewed (mesh identity renew), or --force\n"
            : ""
        return Answer(text: rehearsal.text(stage), exitCode: exitCode, warning: refusal)
    }

    /// Has the workloads renew, and says what was done.
    func renew(
        _ instances: [Instance], _ stage: String, _ what: String, _ bundle: TrustBundle
    ) throws(Complaint) -> Answer {
        var outcomes = Outcomes(json: report.json)
        for (instance, result) in zip(instances, RenewalOrder.give(instances)) {
            switch result {
            case .success(let json):
                outcomes.add(
                    instance, "renewed, with the bundle number \(json["bundle"].integer ?? 0)",
                    ["bundle": json["bundle"]])
            case .failure(let failure):
                outcomes.fail(instance, failure.text, fix: "mesh identity renew \(instance.label) again")
            }
        }
        var answer = outcomes.answer
        if report.json {
            let facts: JSON = .object([
                "stage": .text(stage), "done": .bool(true), "bundle": .number("\(bundle.sequence)"),
                "roots": .list(bundle.roots.map { .text($0.signingKey.keyID.hex) }),
                "instances": JSON(parsing: Array(answer.text.utf8))?["instances"] ?? .list([]),
            ])
            answer.text = "\(facts)\n"
        } else {
            answer.text = what + "\n" + answer.text
        }
        return answer
    }
}

extension KeyFiles {
    static func move(_ from: String, _ to: String) throws(Complaint) {
        guard rename(from, to) == 0 else {
            throw Complaint("\(from) can't be moved to \(to): \(errorText(errno))", fix: "check the folder")
        }
    }
}

extension RootFolder {
    func key(_ file: String) throws(Complaint) -> SigningKeyPair {
        SigningKeyPair(seed: try KeyFiles.key(file))
    }

    /// The bundle that follows, put in place; beside the root's folder also as the file for hosts.
    func replaceBundle(_ bundle: TrustBundle, for hosts: String?) throws(Complaint) {
        if let hosts { try KeyFiles.create(hosts, bundle.encoded) }
        try KeyFiles.replace(bundleFile, bundle.encoded)
    }
}
