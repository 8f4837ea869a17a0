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

    package var peers: [Peer]
    package var calls: [Call]
    package var flowCount: Int
}

extension MeshNode {
    package var status: MeshStatus {
        MeshStatus(
            peers: links.keys.sorted().compactMap(peerStatus), calls: callees.keys.sorted().map(callStatus),
            flowCount: flows.count)
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

    private func callStatus(_ name: WorkloadName) -> MeshStatus.Call {
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
