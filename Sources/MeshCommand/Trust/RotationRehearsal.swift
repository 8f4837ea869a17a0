// What a change of the trust bundle, or of the issuer's root, would cut: asked of the instances that run here,
// who also know whom they have sessions with.

import SidecarProtocol

struct RotationRehearsal {
    enum Change {
        /// Only these roots, by key id, will be believed.
        case roots([String])
        /// Leaves will rest on this root, which is in the bundle from that number on.
        case issuer(String, bundle: UInt64)
    }

    struct Problem: Equatable {
        let subject: String
        let text: String

        var json: JSON { .object(["subject": .text(subject), "problem": .text(text)]) }
    }

    let asked: Int
    let problems: [Problem]

    init(_ change: Change, _ identities: [IdentityReport]) {
        asked = identities.count
        problems = identities.flatMap { identity -> [Problem] in
            let subject = "\(identity.instance.workload) (\(identity.instance.label))"
            switch identity.report {
            case .failure(let failure): return [Problem(subject: subject, text: failure.text)]
            case .success(let report):
                switch change {
                case .roots(let roots): return RotationRehearsal.uncovered(subject, report, roots)
                case .issuer(let root, let bundle):
                    return RotationRehearsal.unaware(subject, report, root, bundle)
                }
            }
        }
    }

    private static func uncovered(_ subject: String, _ report: JSON, _ roots: [String]) -> [Problem] {
        var problems: [Problem] = []
        func check(_ root: String?, _ who: String) {
            guard let root, !roots.contains(root) else { return }
            problems.append(Problem(subject: subject, text: "\(who) rests on the root \(root)"))
        }
        let issuer = report["chain"].list.first { $0["kind"].text == "issuer" }
        check(issuer?["issuer_key_id"].text, "its certificate")
        for peer in report["peers"].list {
            check(peer["root_key_id"].text, "that of its peer \(peer["identity"].text ?? "?")")
        }
        return problems
    }

    /// Peers of a version that doesn't state its bundle aren't known.
    private static func unaware(
        _ subject: String, _ report: JSON, _ root: String, _ bundle: UInt64
    ) -> [Problem] {
        var problems: [Problem] = []
        if !report["bundle_roots"].list.contains(.text(root)) {
            problems.append(
                Problem(
                    subject: subject,
                    text: "it has the trust bundle number \(report["bundle"].integer ?? 0), without \(root)"))
        }
        for peer in report["peers"].list {
            guard let number = peer["bundle"].integer, number < bundle else { continue }
            problems.append(
                Problem(
                    subject: subject,
                    text: "its peer \(peer["identity"].text ?? "?") has the trust bundle number \(number),"
                        + " without \(root)"))
        }
        return problems
    }

    /// For people: one line a problem, or that there is none.
    func text(_ stage: String) -> String {
        guard !problems.isEmpty else {
            return "\(stage): nobody would be cut; \(asked) instances of this host were asked for themselves"
                + " and their peers\n"
        }
        return problems.map { Table.visible("would be cut: \($0.subject): \($0.text)") + "\n" }.joined()
    }
}
