import ArgumentParser
import SidecarProtocol

struct Lock: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Stop all flows from and to an identity for a time, at once.",
        discussion: """
            Signs the policy in force anew, with the lock added (needs this host's policy key). A lock of the \
            same identity that is there already gets the new time.

            Exit codes: 0 in force here; 1 not signed, not taken, or a sidecar here doesn't decide by it yet.
            """)

    @Argument(
        help: "NAME, NAMESPACE/NAME or a pattern such as \"shop/*\".", completion: .workloads)
    var identity: String

    @Option(help: "For how long: 90s, 10m, 2h or 7d.") var ttl: String
    @Option(help: "For people: records and mesh policy show print it.") var reason = ""
    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        let pattern = try PolicyGrammar.operand(identity, paths)
        let (span, text) = try PolicyGrammar.stated { () throws(ConfigurationError) in
            (try PolicyGrammar.span(ttl), try PolicyGrammar.reason(reason))
        }
        var draft = try PolicyDraft(following: paths)
        let until = KeyFiles.now() + span
        draft.document.locks.removeAll { $0.pattern == pattern }
        draft.document.locks.append(PolicyLock(pattern, until: until, reason: text))
        let rollout = try PolicyRollout(try draft.signed(), paths, within: 10)
        return rollout.answer(
            "\(pattern) is locked until \(WallClock.rfc3339(Int(until.seconds)))", notes: draft.notes,
            json: options.json)
    }
}

struct Unlock: Verb {
    static let configuration = CommandConfiguration(
        abstract: "End a lock before its time.",
        discussion: """
            Exit codes: 0 in force here; 1 there is no such lock, or not signed, not taken, or a sidecar here \
            doesn't decide by it yet.
            """)

    @Argument(help: "As it was given to mesh lock.", completion: .workloads) var identity: String
    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        let pattern = try PolicyGrammar.operand(identity, paths)
        var draft = try PolicyDraft(following: paths)
        guard draft.document.locks.contains(where: { $0.pattern == pattern }) else {
            let others = draft.document.locks.map(\.pattern.description)
            throw Complaint(
                "\(pattern) isn't locked",
                fix: others.isEmpty ? "nothing is" : "locked are: \(others.joined(separator: ", "))")
        }
        draft.document.locks.removeAll { $0.pattern == pattern }
        let rollout = try PolicyRollout(try draft.signed(), paths, within: 10)
        return rollout.answer("\(pattern) is unlocked", notes: draft.notes, json: options.json)
    }
}

extension PolicyDraft {
    /// What the operator should know of it besides.
    var notes: [String] {
        dropped.isEmpty ? [] : ["left out, since their time is over: \(dropped.joined(separator: ", "))"]
    }
}

extension PolicyGrammar {
    /// A pattern on the command line, where a name alone is of the namespace `default`.
    static func operand(_ text: String, _ paths: MeshPaths) throws(Complaint) -> IdentityPattern {
        try stated { () throws(ConfigurationError) in
            try pattern(
                text.contains("/") ? text : "default/\(text)", trustDomain: TrustFiles.ownDomain(paths))
        }
    }

    /// Gives an error of the grammar the exit code of wrong use.
    static func stated<Value>(
        _ body: () throws(ConfigurationError) -> Value
    ) throws(Complaint) -> Value {
        do throws(ConfigurationError) { return try body() } catch {
            throw Complaint(error.what, fix: error.fix, exitCode: 64)
        }
    }
}
