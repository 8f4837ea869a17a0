import ArgumentParser
import SidecarProtocol

struct PolicyShow: Verb {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show the policy in force, as a file that mesh policy apply takes.",
        discussion: """
            The comment before it says its head, who signed it, and which sidecars of this host state another.
            Exit codes: 0 shown; 1 there is none, it can't be read, or a sidecar here states another head.
            """)

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        guard let policy = try HeldPolicy.read(paths) else {
            return Answer(
                text: options.json
                    ? "\(JSON.object(["epoch": .number(0), "hash": .null]))\n"
                    : "There is no signed policy yet: each workload's own configuration decides.\n",
                exitCode: 1)
        }
        let others = try Instance.all(in: paths).filter { $0.policyHead != policy.head }
        let exitCode: Int32 = others.isEmpty ? 0 : 1
        if options.json { return Answer(text: "\(json(policy, others))\n", exitCode: exitCode) }
        let document = policy.document
        var head = """
            # epoch \(document.epoch), \(policy.head.hash.hex)
            # issued \(WallClock.rfc3339(Int(document.issuedAt.seconds))) with the key \
            \(policy.certificate.signingKey.keyID.hex), certified until \
            \(WallClock.rfc3339(Int(policy.certificate.notAfter.seconds)))

            """
        for instance in others {
            let stated = instance.policyHead.map { "\($0)" } ?? "none"
            head += Table.visible("# \(instance.workload) (\(instance.label)) states \(stated)") + "\n"
        }
        return Answer(text: head + PolicyText.file(document), exitCode: exitCode)
    }

    private func json(_ policy: SignedPolicy, _ others: [Instance]) -> JSON {
        let document = policy.document
        return .object([
            "epoch": .number("\(document.epoch)"), "hash": .text(policy.head.hash.hex),
            "issued_at": .text(WallClock.rfc3339(Int(document.issuedAt.seconds))),
            "key_id": .text(policy.certificate.signingKey.keyID.hex),
            "mode": .text(document.mode.name), "unmatched": .text(document.unmatched.name),
            "rules": .list(document.rules.map { .text(PolicyText.rule($0)) }),
            "revocations": .list(
                document.revocations.map {
                    .object(["subject": .text($0.subject.description), "reason": .text($0.reason)])
                }),
            "locks": .list(document.locks.map(\.json)),
            "freshness_keys": .list(document.freshnessKeys.map { .text($0.bytes.hex) }),
            "elsewhere": .list(
                others.map {
                    .object([
                        "workload": .text($0.workload), "instance": .text($0.id),
                        "head": $0.policyHead.map { .text("\($0.epoch)/\($0.hash.hex)") } ?? .null,
                    ])
                }),
        ])
    }
}

extension PolicyLock {
    var json: JSON {
        .object([
            "identity": .text(pattern.description),
            "until": .text(WallClock.rfc3339(Int(until.seconds))), "reason": .text(reason),
        ])
    }
}

extension Instance {
    /// The policy head that its sidecar decides by; nil where it doesn't say.
    var policyHead: PolicyHead? {
        let head = report["policy_head"]
        guard let epoch = head["epoch"].integer.flatMap({ UInt64(exactly: $0) }),
            let hash = head["hash"].text.flatMap({ [UInt8](hex: $0) })
        else { return nil }
        return PolicyHead(epoch: epoch, hash: hash)
    }
}
