import ArgumentParser
import SidecarProtocol

struct PolicyApply: Verb {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Sign a policy as the domain's next one, and put it in force.",
        discussion: """
            It gets the next epoch and takes the place of the one in force. Revocations, and locks that still \
            hold, stay even where the file doesn't name them, unless --replace is given. The node hands it to every sidecar here and to the \
            nodes it knows; this command waits until all sidecars of this host decide by it.

            Exit codes: 0 in force here; 1 not signed, not taken, or a sidecar here doesn't decide by it yet; \
            2 the file is wrong, and nothing has changed.
            """)

    @OptionGroup var source: PolicyFileArgument
    @Flag(name: .customLong("dry-run"), help: "Sign and send nothing; say what would change.") var dry = false
    @Flag(help: "Take the file as it is: revocations and locks that it doesn't name end.") var replace = false
    @Flag(help: "End a conflict between two policies of one epoch: the new one takes the place of both.")
    var settle = false
    @Option(help: "Seconds to wait for this host's sidecars.") var within: Int = 10
    @OptionGroup var options: ReportOptions

    func validate() throws {
        guard (1...600).contains(within) else { throw ValidationError("--within must be 1 to 600") }
    }

    func answer() throws -> Answer {
        let paths = options.place.paths
        var file = try PolicyFileArgument.compile(source.file, paths)
        if dry {
            return try PolicyChanges(to: file, paths, replaces: replace).answer(json: options.json)
        }
        var notes: [String] = []
        if !replace, let current = try HeldPolicy.read(paths) {
            notes = file.carryOver(from: current.document, at: KeyFiles.now())
        }
        var draft = try PolicyDraft(file, following: paths)
        if settle { try draft.settle(try PolicyLink.heads(paths)) }
        let rollout = try PolicyRollout(try draft.signed(), paths, within: within)
        return rollout.answer("\(source.file) is signed", notes: notes, json: options.json)
    }
}

extension PolicyDraft {
    /// Takes the place of two policies of one epoch, which the node holds against each other.
    mutating func settle(_ heads: [PolicyHead]) throws(Complaint) {
        guard heads.count > 1, let epoch = heads.first?.epoch else {
            throw Complaint("no two policies stand against each other here", fix: "leave --settle out")
        }
        document.settles = heads
        document.epoch = max(document.epoch, epoch + 1)
    }
}
