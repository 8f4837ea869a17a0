// The signed policy: whether this host's sidecars decide by one and the same, and can go on doing so.

import SidecarProtocol

enum PolicyChecks {
    static func findings(_ paths: MeshPaths) -> [Finding] {
        do throws(Complaint) {
            let policy = try HeldPolicy.read(paths)
            let instances = try Instance.all(in: paths)
            return [held(policy)] + key(paths) + instances.compactMap { sidecar($0, policy) }
        } catch {
            return [.bad("policy", error.what, fix: error.fix)]
        }
    }

    private static func held(_ policy: SignedPolicy?) -> Finding {
        guard let policy else { return .ok("policy", "none; each workload's own configuration decides") }
        let document = policy.document
        return .ok(
            "policy",
            "epoch \(policy.head.epoch), \(document.mode.name), \(document.rules.count) rules, unmatched"
                + " \(document.unmatched.name), \(document.locks.count) locks")
    }

    /// The key, where this host has one.
    private static func key(_ paths: MeshPaths) -> [Finding] {
        guard FileStatus(paths.policyKeyFile) != nil else { return [] }
        do throws(Complaint) {
            let key = try PolicyKey.installed(paths)
            let end = Int(key.certificate.notAfter.seconds)
            let text = "certified until \(WallClock.rfc3339(end))"
            let left = end - WallClock.now()
            let life = end - Int(key.certificate.notBefore.seconds)
            guard left * 3 > life else {
                return [.note("policy key", text, fix: "certify it anew: mesh trust policy-key")]
            }
            return [.ok("policy key", text)]
        } catch {
            return [.note("policy key", error.what, fix: error.fix)]
        }
    }

    /// Nil where nothing is wrong with what it decides by.
    private static func sidecar(_ instance: Instance, _ policy: SignedPolicy?) -> Finding? {
        let subject = "\(instance.workload) (\(instance.label)) policy"
        let report = instance.report["policy"]
        guard case .success = instance.status else { return nil }
        if report["conflict"].bool == true {
            return .bad(
                subject, "two policies of epoch \(instance.policyHead?.epoch ?? 0) stand against each other",
                fix: "sign one that takes the place of both: mesh policy apply FILE --settle")
        }
        if report["revoked"].bool == true {
            return .bad(subject, "its certificate is revoked", fix: "end it, or apply a policy without that")
        }
        if report["behind"].bool == true {
            return .bad(
                subject, "the policy that its certificate names is missing, and it lets nothing pass",
                fix: "find it: a neighbour's node, or sign a newer one")
        }
        if report["freshness"].bool == true, report["fresh_for_ms"].integer ?? 0 <= 0 {
            return .bad(
                subject, "no fresh beacon, and it lets nothing pass",
                fix: "run mesh policy beacon where its key is")
        }
        guard let policy, let head = instance.policyHead, head != policy.head else { return nil }
        return .note(
            subject, "it decides by \(head), this host's node holds \(policy.head)",
            fix: "wait a moment; then see its sidecar.log")
    }
}
