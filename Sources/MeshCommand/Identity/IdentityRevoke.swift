import ArgumentParser
import SidecarProtocol

struct IdentityRevoke: Verb {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "End for ever what certificates are good for, and every flow by them.",
        discussion: """
            Signs the policy in force anew, with the revocations added (needs this host's policy key). Sessions \
            and flows of what is revoked end at once, nobody talks to it again, and issuers give it no \
            certificate. To take one back, edit what mesh policy show prints and apply that with --replace.

            Exit codes: 0 in force here; 1 not signed, not taken, or a sidecar here doesn't decide by it yet; \
            64 something named isn't what it seems.
            """)

    @Argument(
        help: ArgumentHelp(
            """
            NAME or NAMESPACE/NAME; an instance's id, or its first digits where it runs here; serial:NUMBER of \
            one certificate; issuer:KEY-ID of all that an issuer has signed.
            """, valueName: "what"), completion: .workloads)
    var subjects: [String]

    @Option(help: "For people: records and mesh policy show print it.") var reason = ""
    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        let running = try Instance.all(in: paths)
        let given = reason
        let reason = try PolicyGrammar.stated { () throws(ConfigurationError) in
            try PolicyGrammar.reason(given)
        }
        var revocations: [PolicyRevocation] = []
        for text in subjects {
            revocations.append(
                PolicyRevocation(
                    try IdentityRevoke.subject(text, running, TrustFiles.ownDomain(paths)), reason: reason))
        }
        var draft = try PolicyDraft(following: paths)
        for revocation in revocations
        where !draft.document.revocations.contains(where: { $0.subject == revocation.subject }) {
            draft.document.revocations.append(revocation)
        }
        let rollout = try PolicyRollout(try draft.signed(), paths, within: 10)
        let names = revocations.map(\.subject.description).joined(separator: ", ")
        return rollout.answer("revoked \(names)", notes: draft.notes, json: options.json)
    }

    static func subject(
        _ text: String, _ running: [Instance], _ domain: String?
    ) throws(Complaint) -> PolicyRevocation.Subject {
        for kind in ["serial", "issuer", "instance", "identity"] where text.hasPrefix("\(kind):") {
            let value = String(text.dropFirst(kind.count + 1))
            return try PolicyGrammar.stated { () throws(ConfigurationError) in
                try PolicyGrammar.revoked(kind, value, trustDomain: domain)
            }
        }
        if let instance = [UInt8](hex: text).flatMap(InstanceID.init) { return .instance(instance) }
        let name = text.contains("/") ? text : "default/\(text)"
        // The first digits of an instance's id may be a workload's name too; one that runs decides.
        if !text.contains("/"), !running.contains(where: { $0.workload == name }), text.count >= 4 {
            let found = running.filter { $0.id.hasPrefix(text.lowercased()) }
            guard found.count <= 1 else {
                throw Complaint("\"\(text)\" begins several instances' ids", fix: "write more digits")
            }
            if let id = found.first.flatMap({ [UInt8](hex: $0.id) }).flatMap(InstanceID.init) {
                return .instance(id)
            }
        }
        return try PolicyGrammar.stated { () throws(ConfigurationError) in
            try PolicyGrammar.revoked("identity", name, trustDomain: domain)
        }
    }
}
