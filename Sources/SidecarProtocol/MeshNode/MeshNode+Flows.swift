// Flows and their permits, from the first decision to the last record.

extension MeshNode {
    // MARK: Outbound

    mutating func dialled(
        _ id: FlowHandle, _ source: Endpoint, _ destination: Endpoint, _ flowProtocol: FlowProtocol
    ) {
        let port = ServicePort(destination.port, flowProtocol)
        guard !isStopping, let address = addresses?.v4(of: destination.address),
            let name = addresses?.workload(at: address),
            callees[name] != nil
        else { return effects.append(.cut(id, .policy)) }
        flows[id] = Flow(
            direction: .outbound, workload: name, port: port, source: source, destination: destination,
            phase: .waiting, since: now.monotonic)
        if isReady(name) { return start(id) }
        guard let waiting = callees[name]?.waiting, waiting.count < Limits.waitingFlowsMaximum else {
            return cut(id, .limit, tellPeer: false)
        }
        callees[name]?.waiting.append(id)
        timers.set(.wait(id), at: now.monotonic + Limits.flowWait)
        want(name)
    }

    /// Whether the callee has said what it allows, and both ends have had one policy.
    private func isReady(_ name: WorkloadName) -> Bool {
        guard let callee = callees[name], callee.verdicts != nil, let link = callee.link else { return false }
        return links[link]?.peer?.hasAgreed == true
    }

    mutating func startWaiting(for name: WorkloadName) {
        guard isReady(name) else { return }
        let waiting = callees[name]?.waiting ?? []
        callees[name]?.waiting = []
        for flow in waiting where flows[flow]?.phase == .waiting {
            timers.remove(.wait(flow))
            start(flow)
        }
    }

    /// Decides a flow of the own workload and asks the callee for it.
    private mutating func start(_ id: FlowHandle) {
        guard let flow = flows[id], let link = callees[flow.workload]?.link else { return }
        flows[id]?.link = link
        let decision = decide(flow.direction, flow.workload, flow.port, on: link)
        flows[id]?.rule = decision.rule
        guard !isUnrecordable else { return cut(id, .unrecorded, tellPeer: false) }
        guard let permit = authorizer.permit(for: decision) else {
            return cut(id, decision.reason, tellPeer: false)
        }
        flows[id]?.permit = permit
        flows[id]?.phase = .opening
        flows[id]?.since = now.monotonic
        timers.set(.wait(id), at: now.monotonic + Limits.flowWait)
        effects.append(
            .openStream(id, link, FlowOpen(port: flow.port, sourcePort: flow.source.port), permit))
    }

    mutating func streamOpened(_ id: FlowHandle, _ stream: StreamID) {
        guard let link = flows[id]?.link else { return }
        flows[id]?.stream = stream
        links[link]?.flows[stream] = id
    }

    mutating func accepted(_ stream: StreamID, on link: LinkID) {
        guard let id = links[link]?.flows[stream], flows[id]?.direction == .outbound else { return }
        open(id)
    }

    /// The peer refused or cut the flow.
    mutating func resetByPeer(_ stream: StreamID, _ reason: CloseReason, on link: LinkID) {
        guard let id = links[link]?.flows[stream] else { return }
        cut(id, reason, tellPeer: false)
    }

    // MARK: Inbound

    mutating func opened(_ id: FlowHandle, _ link: LinkID, _ stream: StreamID, _ open: FlowOpen) {
        guard !isStopping, let peer = links[link]?.peer else {
            return effects.append(.send(link, .reset(stream, .shutdown)))
        }
        guard flows.count < Limits.flowsMaximum else {
            return effects.append(.send(link, .reset(stream, .limit)))
        }
        guard !isUnrecordable else {
            return effects.append(.send(link, .reset(stream, .unrecorded)))
        }
        let decision = decide(.inbound, peer.workload, open.port, on: link)
        guard let permit = authorizer.permit(for: decision), let own = ownAddress,
            let (address, isNew) = addresses?.assign(peer.workload)
        else { return deny(stream, open, decision, on: link) }
        if isNew { persistAddresses() }
        let source = Endpoint(IPAddress(v4: address), open.sourcePort)
        var flow = Flow(
            direction: .inbound, workload: peer.workload, port: open.port, source: source,
            destination: Endpoint(own, open.port.port), phase: .opening, link: link, stream: stream,
            permit: permit, since: now.monotonic)
        flow.rule = decision.rule
        flows[id] = flow
        links[link]?.flows[stream] = id
        timers.set(.wait(id), at: now.monotonic + Limits.flowWait)
        let local = Endpoint(
            IPAddress(v4: VirtualAddresses.localHalf(of: address)), open.sourcePort)
        effects.append(.deliver(id, source: source, localSource: local, open.port, permit))
    }

    private mutating func deny(
        _ stream: StreamID, _ open: FlowOpen, _ decision: Decision, on link: LinkID
    ) {
        let reason = decision.isAllowed ? CloseReason.limit : decision.reason
        effects.append(.send(link, .reset(stream, reason)))
        // The verdicts say it already, unless the peer didn't wait for them.
        sendVerdicts(on: link)
    }

    mutating func delivered(_ id: FlowHandle) {
        guard let flow = flows[id], flow.phase == .opening, let link = flow.link, let stream = flow.stream
        else { return }
        effects.append(.send(link, .accepted(stream)))
        open(id)
        if downPorts.remove(flow.port) != nil { sendAllVerdicts() }
    }

    mutating func deliveryFailed(_ id: FlowHandle, _ reason: CloseReason) {
        guard let flow = flows[id], flow.phase == .opening else { return }
        cut(id, reason, tellPeer: true)
        guard reason == .workloadRefused, downPorts.insert(flow.port).inserted else { return }
        timers.set(.probe(flow.port), at: now.monotonic + Limits.probeInterval)
        sendAllVerdicts()
    }

    // MARK: Probes of a port that is down

    mutating func probeDue(_ port: ServicePort) {
        guard downPorts.contains(port), !isStopping else { return }
        if links.values.contains(where: { $0.interest?.covers(port) == true }) {
            effects.append(.probe(port))
        }
        timers.set(.probe(port), at: now.monotonic + Limits.probeInterval)
    }

    mutating func probed(_ port: ServicePort, _ isUp: Bool) {
        guard isUp, downPorts.remove(port) != nil else { return }
        timers.remove(.probe(port))
        sendAllVerdicts()
    }

    // MARK: Life and end

    private mutating func open(_ id: FlowHandle) {
        guard flows[id]?.phase == .opening else { return }
        flows[id]?.phase = .open
        timers.remove(.wait(id))
        timers.set(.minute(id), at: now.monotonic + Limits.recordInterval)
        record(.open, flow: id, reason: nil)
    }

    mutating func minutePassed(_ id: FlowHandle) {
        guard flows[id] != nil else { return }
        record(.minute, flow: id, reason: nil)
        timers.set(.minute(id), at: now.monotonic + Limits.recordInterval)
    }

    /// The shell says that a flow is over.
    mutating func ended(_ id: FlowHandle, _ reason: CloseReason) {
        guard flows[id] != nil else { return }
        finish(id, reason)
    }

    /// Ends a flow by our decision: no byte moves after this, and both workloads see a reset.
    mutating func cut(_ id: FlowHandle, _ reason: CloseReason, tellPeer: Bool) {
        guard let flow = flows[id] else { return }
        flow.permit?.revoke()
        if tellPeer, let link = flow.link, let stream = flow.stream {
            effects.append(.send(link, .reset(stream, reason)))
        }
        finish(id, reason)
        effects.append(.cut(id, reason))
    }

    private mutating func finish(_ id: FlowHandle, _ reason: CloseReason) {
        guard let flow = flows[id] else { return }
        switch flow.phase {
        case .open: record(.close, flow: id, reason: reason)
        case .opening: record(.refused, flow: id, reason: reason)
        case .waiting:
            record(.refused, flow: id, reason: reason)
            callees[flow.workload]?.waiting.removeAll { $0 == id }
        }
        timers.remove(.wait(id))
        timers.remove(.minute(id))
        flow.permit?.revoke()
        flows[id] = nil
        if let link = flow.link, let stream = flow.stream { links[link]?.flows[stream] = nil }
    }

    // MARK: Decisions

    func decide(
        _ direction: FlowDirection, _ workload: WorkloadName, _ port: ServicePort, on link: LinkID
    ) -> Decision {
        guard let peer = links[link]?.peer, peer.workload == workload else {
            return .deny("no session", .sessionLost)
        }
        switch direction {
        case .inbound: return authorizer.mayAccept(peer, port: port, at: now)
        case .outbound:
            guard let verdict = verdict(of: workload, on: port) else {
                return .deny("callee doesn't name this port")
            }
            switch verdict.verdict {
            case .deny: return .deny("callee: \(verdict.rule)")
            case .down, .allow: return authorizer.mayCall(peer, port: port, at: now)
            }
        }
    }

    /// Decides every live permit anew: still allowed, it is confirmed; otherwise its flow is cut.
    mutating func redecide() {
        var decisions: [DecisionKey: Decision] = [:]
        var losers: [(FlowHandle, CloseReason)] = []
        var rules: [FlowHandle: String] = [:]
        for (id, flow) in flows {
            guard let permit = flow.permit, let link = flow.link else { continue }
            let key = DecisionKey(direction: flow.direction, port: flow.port, link: link)
            let decision = decisions[key] ?? decide(flow.direction, flow.workload, flow.port, on: link)
            decisions[key] = decision
            if decision.isAllowed {
                permit.confirm()
                if decision.rule != flow.rule { rules[id] = decision.rule }
            } else {
                permit.revoke()
                losers.append((id, decision.reason))
            }
        }
        for (id, rule) in rules { flows[id]?.rule = rule }
        // A record, a frame to the peer and the cut itself: where thousands lose, growing costs as much again.
        effects.reserveCapacity(effects.count + 3 * losers.count)
        for (id, reason) in losers.sorted(by: { $0.0 < $1.0 }) { cut(id, reason, tellPeer: true) }
        decideReplicas()
    }

    private struct DecisionKey: Hashable {
        var direction: FlowDirection
        var port: ServicePort
        var link: LinkID
    }
}
