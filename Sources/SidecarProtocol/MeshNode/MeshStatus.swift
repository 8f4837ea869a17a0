// What the admin socket shows of a sidecar's core.

package struct MeshStatus {
    package struct Peer {
        package var workload: WorkloadName
        package var link: LinkID
        package var state: String
        package var flows: Int
    }

    package struct Call {
        package var target: WorkloadName
        package var address: IPAddress
        package var state: String
        package var verdicts: [Verdicts.Port]
    }

    /// The signed policy in force.
    package struct Policy {
        package var head: PolicyHead
        /// Nil before the first policy.
        package var mode: PolicyDocument.Mode?
        package var ruleCount: Int
        /// Two policies of one epoch stand against each other: nothing is taken but what settles both.
        package var isFrozen: Bool
        /// The own certificate knows of a policy that hasn't come: closed until it does.
        package var isBehind: Bool
        package var isOwnRevoked: Bool
        /// The policy asks for beacons, and until when the newest counts; nil before the first.
        package var asksForBeacons: Bool
        package var freshUntil: MonotonicTime?
    }

    package var peers: [Peer]
    package var calls: [Call]
    package var flowCount: Int
    /// Nil before the first certificate.
    package var policy: Policy?
}

extension MeshNode {
    package var status: MeshStatus {
        MeshStatus(
            peers: links.keys.sorted().compactMap(peerStatus), calls: callees.keys.sorted().map(callStatus),
            flowCount: flows.count, policy: policyStatus)
    }

    private var policyStatus: MeshStatus.Policy? {
        guard let head = policyHead else { return nil }
        let document = exchange?.store.current?.document
        return .init(
            head: head, mode: document?.mode, ruleCount: document?.rules.count ?? 0,
            isFrozen: exchange?.store.isFrozen ?? false, isBehind: authorizer.isBehind,
            isOwnRevoked: authorizer.isOwnRevoked,
            asksForBeacons: authorizer.policy?.asksForBeacons ?? false,
            freshUntil: authorizer.policy?.freshUntil)
    }

    /// Of the policy in force; 0 before the first.
    package var policyEpoch: UInt64 { policyHead?.epoch ?? 0 }

    /// The signed policy in force, for `mesh explain`.
    package var signedPolicy: SignedPolicy? { exchange?.store.current }

    /// The other ends of the established sessions.
    package var sessions: [(peer: SessionPeer, bundle: UInt64?)] {
        links.keys.sorted().compactMap { id in
            links[id].flatMap { link in link.session.map { ($0, link.peerBundle) } }
        }
    }

    private func peerStatus(_ id: LinkID) -> MeshStatus.Peer? {
        guard let link = links[id] else { return nil }
        switch link.phase {
        case .dialling(let name): return .init(workload: name, link: id, state: "dialing", flows: 0)
        case .diallingReplica:
            return .init(workload: configuration.workload, link: id, state: "dialing", flows: 0)
        case .established:
            return link.peer.map {
                .init(workload: $0.workload, link: id, state: "connected", flows: link.flows.count)
            }
        }
    }

    func callStatus(_ name: WorkloadName) -> MeshStatus.Call {
        let callee = callees[name]
        let state: String =
            if callee?.verdicts != nil {
                "connected"
            } else if callee?.link != nil {
                "dialing"
            } else if callee?.isWanted == true {
                callee?.providers.isEmpty == false ? "retrying" : "not announced"
            } else {
                "not used yet"
            }
        return .init(
            target: name, address: IPAddress(v4: callee?.address ?? 0), state: state,
            verdicts: callee?.verdicts?.ports ?? [])
    }

    /// Live flows as records with the counts of this moment, oldest first.
    package func liveFlows(at now: Now) -> [FlowRecord] {
        var copy = self
        copy.now = now
        copy.effects = []
        for id in flows.keys.sorted() { copy.record(.open, flow: id, reason: nil) }
        return copy.effects.compactMap { effect in
            if case .record(let record) = effect { record } else { nil }
        }
    }
}
