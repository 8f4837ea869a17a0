// How a sidecar stands to one other workload: what `mesh ping` shows.

package struct PeerView: Sendable {
    /// One port, as both ends would decide it now.
    package struct Port: Hashable, Sendable {
        package let port: ServicePort
        package let verdict: Verdicts.Verdict
        package let rule: String
    }

    package struct Session: Sendable {
        package let link: LinkID
        /// Whether this side dialled it.
        package let isInitiator: Bool
        package let age: MonotonicTime.Span
        package let certificate: Certificate
        package let flowCount: Int
        /// The peer has stated the policy head that this side holds.
        package let isHeadEqual: Bool
    }

    /// Whether `calls` names it.
    package let isCalled: Bool
    /// As `GET /status` says it of a callee.
    package let state: String
    /// Instances that announce themselves, and where.
    package let endpoints: [Endpoint]
    package let session: Session?
    /// Nil until the callee has spoken.
    package let outbound: [Port]?
    /// What of our `serves` it may call.
    package let inbound: [Port]
}

extension MeshNode {
    /// Nil for one's own name.
    package func view(of name: WorkloadName, at now: Now) -> PeerView? {
        guard name != configuration.workload else { return nil }
        var asked = self
        asked.now = now
        let callee = callees[name]
        let link =
            callee?.link.flatMap { links[$0]?.peer == nil ? nil : $0 }
            ?? links.keys.sorted().first { links[$0]?.peer?.workload == name }
        let isStated = callee?.verdicts != nil && callee?.link == link
        return PeerView(
            isCalled: callee != nil,
            state: callee == nil ? (link == nil ? "not connected" : "connected") : callStatus(name).state,
            endpoints: (callee?.providers.values.flatMap(\.announcement.endpoints) ?? [])
                .sorted { $0.description < $1.description },
            session: link.flatMap { asked.session($0) },
            outbound: isStated ? link.map { asked.outboundPorts(of: name, on: $0) } : nil,
            inbound: configuration.serves.sorted().map { port in
                let decision =
                    link.map { asked.decide(.inbound, name, port, on: $0) }
                    ?? authorizer.mayServe(name, port: port)
                return PeerView.Port(
                    port: port, verdict: decision.isAllowed ? .allow : .deny, rule: decision.rule)
            })
    }

    private func session(_ id: LinkID) -> PeerView.Session? {
        guard let link = links[id], let session = link.session else { return nil }
        return PeerView.Session(
            link: id, isInitiator: session.isInitiator, age: now.monotonic - link.establishedAt,
            certificate: session.certificate, flowCount: link.flows.count,
            isHeadEqual: link.peer?.head != nil && link.peer?.head == authorizer.standing?.head)
    }

    /// The callee's word, unless this side denies by itself.
    private func outboundPorts(of name: WorkloadName, on link: LinkID) -> [PeerView.Port] {
        (callees[name]?.verdicts?.ports ?? []).map { stated in
            let decision = decide(.outbound, name, stated.port, on: link)
            return PeerView.Port(
                port: stated.port, verdict: decision.isAllowed ? stated.verdict : .deny,
                rule: decision.isAllowed ? "\(decision.rule); callee: \(stated.rule)" : decision.rule)
        }
    }
}
