// The signed policy between core, node and disk, and what it did.

import Glibc
import Logging
import NIOCore
import SidecarProtocol
import Transport

extension Driver {
    private var policyPath: String { instanceFolder + "/" + MeshPaths.policyName }

    /// What a sidecar that this one replaces has left.
    func readPolicy() {
        guard launch.incarnation > 1, let bytes = SmallFile.read(policyPath) else { return }
        feed(.policy(bytes))
    }

    /// After the turn that it belongs to: a disk mustn't hold a cut up. A replacement of this sidecar that
    /// finds nothing asks the node, and lets nothing pass until it has what its certificate names.
    func keep(policy bytes: [UInt8]) {
        guard bytes == node.signedPolicy?.encoded else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute { bound.value.write(policy: bytes) }
    }

    private func write(policy bytes: [UInt8]) {
        guard bytes.count <= Limits.instancePolicyBytesMaximum else {
            unlink(policyPath)
            return
        }
        do { try SmallFile.write(bytes, to: policyPath) } catch {
            logger.error("the policy isn't kept for a replaced sidecar: \(error)")
        }
    }

    /// On a thread of its own: 100,000 rules take seconds, in which flows go on.
    func read(policy bytes: [UInt8], as head: PolicyHead) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        let loop = loop
        let read: @Sendable () -> Result<ReadPolicy, PolicyError> = {
            Result { () throws(PolicyError) in try ReadPolicy(canonical: bytes) }
        }
        do {
            try startThread(named: "mesh-policy") {
                let result = read()
                loop.execute { bound.value.feed(.policyRead(result, as: head)) }
            }
        } catch {
            logger.warning("a policy is read on the event loop: \(error)")
            feed(.policyRead(read(), as: head))
        }
    }

    // MARK: Measuring

    /// Whether the input may bring another policy.
    func mayChangePolicy(_ input: MeshInput) -> Bool {
        switch input {
        case .policy, .policyRead, .nodePolicy, .credential, .frame(_, .policy): true
        default: false
        }
    }

    /// When whatever `input` takes away was over: a deadline's own time, else now.
    func cause(of input: MeshInput) -> MonotonicTime {
        let now = Now.current().monotonic
        guard case .deadline = input, let due = node.nextDeadline else { return now }
        return min(due, now)
    }

    func note(cut reason: CloseReason) {
        cutLatencies.add(reason, Now.current().monotonic - handledSince)
    }

    func note(_ record: FlowRecord) {
        guard record.event == .close, record.reason?.isAuthorization == true else { return }
        let now = Now.current().monotonic
        if recentCuts.count >= Limits.policyChangeFlowsMaximum { recentCuts.removeFirst() }
        recentCuts.append((record.flow, now))
        if policyChange?.causes(endAt: now) == true {
            policyChange?.add(record.flow, after: now - handledSince)
        }
    }

    /// A peer that had the policy before may have ended flows of ours already.
    func begin(_ head: PolicyHead) {
        var change = PolicyChange(head: head, at: handledSince)
        for cut in recentCuts where change.causes(endAt: cut.time) {
            change.add(cut.flow, after: MonotonicTime.Span(nanoseconds: 0))
        }
        policyChange = change
    }

    // MARK: The admin socket

    func writePolicy(_ status: MeshStatus.Policy?, to json: inout JSONWriter) {
        guard let status else { return }
        json.member("mode", status.mode?.name)
        json.member("rules", status.ruleCount)
        json.member("conflict", status.isFrozen)
        json.member("behind", status.isBehind)
        json.member("revoked", status.isOwnRevoked)
        json.member("freshness", status.asksForBeacons)
        if status.asksForBeacons {
            let left = status.freshUntil.map { ($0 - Now.current().monotonic).milliseconds } ?? 0
            json.member("fresh_for_ms", left)
        }
        guard let change = policyChange else { return }
        json.member("change") { json in
            change.head.write(to: &json)
            json.member("boottime_ns", change.adoptedAt.nanoseconds)
            json.member("flows_cut", change.flowCount)
            json.member("last_cut_us", change.span.nanoseconds / 1000)
            json.member("cut", strings: change.flows.map(\.description))
        }
    }

    /// Public halves only: who this workload and its peers are, as `mesh policy test` judges them.
    func certificatesAnswer() -> AdminResponse {
        .json { json in
            json.member("leaf", hex: credentials?.current.certificate.encoded)
            json.member("peers", array: links.values.compactMap { $0.peer?.certificate }) { writer, leaf in
                writer.object { $0.member("leaf", hex: leaf.encoded) }
            }
        }
    }

    func writePolicyMetrics(to text: inout MetricsText) {
        let status = node.status.policy
        text.single(
            "mesh_policy_epoch", .gauge, "Epoch of the signed policy in force.", status?.head.epoch ?? 0)
        text.single(
            "mesh_policy_conflict", .gauge, "1 while two policies of one epoch stand against each other.",
            status?.isFrozen == true ? 1 : 0)
        text.single(
            "mesh_policy_behind", .gauge, "1 while a policy is missing that the own certificate names.",
            status?.isBehind == true ? 1 : 0)
        if status?.asksForBeacons == true {
            let left = status?.freshUntil.map { ($0 - Now.current().monotonic).seconds } ?? 0
            text.family("mesh_policy_fresh_seconds", .gauge, "For how long the newest beacon counts.") {
                $0.sample([], seconds: left)
            }
        }
        cutLatencies.write(to: &text)
    }
}
