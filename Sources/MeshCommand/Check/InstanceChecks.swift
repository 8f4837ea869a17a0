// How the instances are that run: sidecar, certificate, peers.

import SidecarProtocol

enum InstanceChecks {
    static func findings(_ paths: MeshPaths) -> [Finding] {
        do throws(Complaint) {
            let instances = try Instance.all(in: paths)
            if instances.isEmpty { return [.ok("workloads", "none runs")] }
            return instances.flatMap { [certificate($0), peers($0)] }
        } catch {
            return [.bad("workloads", error.what, fix: error.fix)]
        }
    }

    /// A leaf is renewed at half of its life: one that isn't at 66 % has a reason.
    private static func certificate(_ instance: Instance) -> Finding {
        let subject = "\(instance.workload) (\(instance.label))"
        if case .failure(let failure) = instance.status {
            return .bad(
                subject, "its sidecar \(failure.description)",
                fix: "see \(instance.folder)/\(MeshPaths.sidecarLogName)")
        }
        guard let left = instance.certificateSecondsLeft else {
            return .bad(
                subject, "it has no certificate", fix: "see \(instance.folder)/\(MeshPaths.sidecarLogName)")
        }
        let end = instance.report["certificate"]["not_after"].text ?? ""
        guard left > 0 else {
            return .bad(
                subject, "its certificate ended at \(end)",
                fix: "check the issuer (mesh node status) and the clock")
        }
        let certificate = instance.report["certificate"]
        guard certificate["overdue"].bool != true else {
            let reason = certificate["renewal_problem"].text.map { ": \($0)" } ?? ""
            return .bad(
                subject,
                "its certificate ends in \(Amount.span(seconds: left)) and should have been renewed\(reason)",
                fix: "check the issuer (mesh node status, and the node's log)")
        }
        guard instance.report["ready"].bool == true else {
            return .note(subject, "not ready yet", fix: "see \(instance.folder)/\(MeshPaths.sidecarLogName)")
        }
        return .ok(subject, "ready, certificate until \(end)")
    }

    private static func peers(_ instance: Instance) -> Finding {
        let subject = "\(instance.workload) (\(instance.label)) peers"
        let peers = instance.report["peers"].list
        let waiting = peers.filter { $0["state"].text != "connected" }
        guard waiting.isEmpty else {
            let names = waiting.map { "\($0["identity"].text ?? "?") is \($0["state"].text ?? "?")" }
            return .note(
                subject, names.joined(separator: ", "), fix: "check that they run (mesh status on their host)"
            )
        }
        return .ok(subject, peers.isEmpty ? "none" : "\(peers.count) connected")
    }
}
