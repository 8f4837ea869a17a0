// Sessions: heads, leases, verdicts.

extension MeshNode {
    mutating func established(_ id: LinkID, _ session: SessionPeer) {
        guard !isStopping, let subject = PolicySubject(session.certificate), problem(of: session) == nil
        else { return drop(id, .untrusted) }
        guard !isOwnCertificateOver else { return drop(id, .expiry) }
        let workload = subject.workload
        if authorizer.isRevoked(subject) || authorizer.isOwnRevoked {
            log(.warning, "session with \(workload) refused: the certificate is revoked")
            return drop(id, .revocation)
        }
        let rival = rival(of: id, session)
        if let rival, isAbandoned(rival) { close(rival, .duplicate) }
        var link = Link(phase: .established, establishedAt: now.monotonic)
        link.session = session
        link.peer = Authorizer.Peer(
            subject: subject, notAfter: session.notAfter, head: nil,
            leaseEnd: now.monotonic + Limits.lease)
        links[id] = link
        timers.set(.lease(id), at: now.monotonic + Limits.lease)
        armExpiry(of: id)
        stateHead(on: id)
        stateBundle(on: id)
        if let beacon = exchange?.freshness.beacon { effects.append(.send(id, .policy(.beacon(beacon)))) }
        log(.info, "session with \(workload) established")
        if let rival, links[rival] != nil {
            retire(loser(between: id, and: rival), inFavourOf: id, or: rival)
        } else if let callee = callees[workload], callee.link == nil || callee.link == id {
            use(id, for: workload)
        }
        decideReplicas()
    }

    /// Another session with the same instance, that new flows use.
    private func rival(of id: LinkID, _ session: SessionPeer) -> LinkID? {
        links.first {
            $0.key != id && !$0.value.isRetired
                && $0.value.session?.certificate.instance == session.certificate.instance
                && $0.value.session?.certificate.identity == session.certificate.identity
        }?.key
    }

    /// An older session gives way to a new one at once: its peer wouldn't have dialled while it had it.
    private func isAbandoned(_ rival: LinkID) -> Bool {
        guard let rival = links[rival] else { return false }
        return now.monotonic - rival.establishedAt > Limits.simultaneousDial
    }

    /// Of two sessions dialled at once, the one dialled by the lower static key stays.
    private func loser(between new: LinkID, and old: LinkID) -> LinkID {
        guard let first = links[old]?.session, let second = links[new]?.session, let credential else {
            return new
        }
        func dialler(_ session: SessionPeer) -> [UInt8] {
            session.isInitiator ? credential.staticKey.publicKey.bytes : session.staticKey.bytes
        }
        return dialler(first).lexicographicallyPrecedes(dialler(second)) ? new : old
    }

    /// Opens no more flows on `loser`. Those that it has go on, and the peer may open more until it has
    /// seen the other session too; then, without flows, it is closed.
    private mutating func retire(_ loser: LinkID, inFavourOf first: LinkID, or second: LinkID) {
        let winner = loser == first ? second : first
        links[loser]?.isRetired = true
        timers.set(.retirement(loser), at: now.monotonic + Limits.simultaneousDial)
        guard let name = links[winner]?.peer?.workload, let link = callees[name]?.link,
            link == loser || link == winner
        else { return }
        // What the callee said on the loser holds until it speaks on the winner: listeners stay open.
        use(winner, for: name)
    }

    mutating func retirementDue(_ id: LinkID) {
        guard let link = links[id], link.isRetired else { return }
        guard link.flows.isEmpty else {
            return timers.set(.retirement(id), at: now.monotonic + Limits.simultaneousDial)
        }
        close(id, .duplicate)
    }

    /// Refuses a session before it is in use.
    private mutating func drop(_ id: LinkID, _ reason: CloseReason) {
        effects.append(.closeLink(id, reason))
        let name = dialledCallee(of: id)
        forgetReplica(on: id)
        links[id] = nil
        guard let name else { return }
        callees[name]?.link = nil
        if reason == .revocation { return redial(name) }
        connect(name)
    }

    private func dialledCallee(of id: LinkID) -> WorkloadName? {
        if case .dialling(let name)? = links[id]?.phase { return name }
        return nil
    }

    /// `id` carries the flows to `name` from now on.
    mutating func use(_ id: LinkID, for name: WorkloadName) {
        guard let callee = callees[name] else { return }
        callees[name]?.link = id
        callees[name]?.failures = 0
        callees[name]?.isWanted = true
        timers.remove(.redial(name))
        effects.append(.send(id, .calls(callee.interest)))
    }

    mutating func renewed(_ id: LinkID, _ session: SessionPeer) {
        guard links[id]?.peer != nil else { return }
        guard problem(of: session) == nil else { return close(id, .untrusted) }
        links[id]?.session = session
        links[id]?.peer?.notAfter = session.notAfter
        if let subject = PolicySubject(session.certificate) {
            links[id]?.peer?.subject = subject
            if authorizer.isRevoked(subject) { return close(id, .revocation) }
        }
        armExpiry(of: id)
        authorizer.raise()
        redecide()
    }

    mutating func closed(_ id: LinkID, _ reason: CloseReason, _ detail: String) {
        guard let link = links[id] else { return }
        let name = dialledCallee(of: id) ?? link.peer?.workload
        log(.info, "session with \(name?.description ?? "a peer") closed: \(reason.name) \(detail)")
        forget(id, .sessionLost)
    }

    /// Ends a session that is in use, and everything on it.
    mutating func close(_ id: LinkID, _ reason: CloseReason) {
        effects.append(.send(id, .goodbye(reason)))
        forget(id, reason == .duplicate ? .sessionLost : reason)
        effects.append(.closeLink(id, reason))
    }

    private mutating func forget(_ id: LinkID, _ reason: CloseReason) {
        guard let link = links[id] else { return }
        for flow in link.flows.values.sorted() { cut(flow, reason, tellPeer: false) }
        forgetReplica(on: id)
        links[id] = nil
        for timer in [Timer.lease(id), .headDue(id), .peerExpiry(id), .retirement(id)] {
            timers.remove(timer)
        }
        policyPeerLeft(.link(id))
        for (name, callee) in callees where callee.link == id {
            callees[name]?.link = nil
            callees[name]?.verdicts = nil
            // Flows that were accepted but not yet opened go on waiting for the next session.
            refreshListeners(of: name)
            redial(name)
        }
        decideReplicas()
    }

    // MARK: Heads and leases

    mutating func stateHead(on id: LinkID) {
        guard links[id]?.peer != nil, !policyHeads.isEmpty else { return }
        // Two policies of one epoch are both stated: whoever has one of them hears of the other.
        for head in policyHeads { effects.append(.send(id, .head(head))) }
        timers.set(.headDue(id), at: now.monotonic + Limits.lease / 3)
    }

    private mutating func heard(_ head: PolicyHead, on id: LinkID) {
        links[id]?.peer?.head = head
        links[id]?.peer?.statedAt = now.monotonic
        agree(on: head, statedAt: now.monotonic, on: id)
        policyOffered(head, by: .link(id))
        decideReplicas()
        if let name = links[id]?.peer?.workload { startWaiting(for: name) }
    }

    mutating func leaseEnded(_ id: LinkID) {
        guard let link = links[id] else { return }
        log(
            .warning,
            "\(link.peer?.workload.description ?? "a peer") stated no equal policy head for a lease, session closed"
        )
        close(id, .lease)
    }

    // MARK: Frames

    mutating func received(_ frame: ControlFrame, on id: LinkID) {
        guard links[id]?.peer != nil else { return }
        switch frame {
        case .head(let head): heard(head, on: id)
        case .policy(.head(let head)): heard(head, on: id)
        case .policy(let message): policyMessage(message, from: .link(id))
        case .bundle(let number): links[id]?.peerBundle = number
        case .calls(let interest):
            links[id]?.interest = interest
            links[id]?.sentVerdicts = nil
            sendVerdicts(on: id)
        case .verdicts(let verdicts): heard(verdicts, on: id)
        case .accepted(let stream): accepted(stream, on: id)
        case .reset(let stream, let reason): resetByPeer(stream, reason, on: id)
        case .goodbye(let reason):
            log(.debug, "goodbye from \(links[id]?.peer?.workload.description ?? "a peer"): \(reason.name)")
        case .state(let message): replicated(message, on: id)
        case .open: log(.warning, "open frame outside inboundOpen, ignored")
        }
    }

    // MARK: Verdicts, as callee

    /// Tells the peer what it may do here, where that differs from what it was told last.
    mutating func sendVerdicts(on id: LinkID) {
        guard let link = links[id], let peer = link.peer, let interest = link.interest,
            let head = policyHead
        else { return }
        let ports = portsNamed(by: interest).map { port in
            let decision = authorizer.mayServe(peer, port: port, at: now)
            let verdict: Verdicts.Verdict =
                decision.isAllowed ? (downPorts.contains(port) ? .down : .allow) : .deny
            return Verdicts.Port(port: port, verdict: verdict, rule: decision.rule)
        }
        guard link.sentVerdicts?.ports != ports || link.sentVerdicts?.head != head else { return }
        let verdicts = Verdicts(head: head, decisionEpoch: decisionEpoch.number, ports: ports)
        links[id]?.sentVerdicts = verdicts
        for port in ports where port.verdict == .deny {
            recordDenied(port.port, rule: port.rule, on: id, .inbound, epoch: verdicts.decisionEpoch)
        }
        effects.append(.send(id, .verdicts(verdicts)))
    }

    private func portsNamed(by interest: CallInterest) -> [ServicePort] {
        switch interest {
        case .anyPort: return configuration.serves.sorted()
        case .ports(let numbers):
            return numbers.sorted().flatMap { number in
                let served = configuration.serves.filter { $0.port == number }.sorted()
                return served.isEmpty ? [ServicePort(number, .tcp)] : served
            }
        }
    }

    mutating func sendAllVerdicts() {
        for id in links.keys.sorted() { sendVerdicts(on: id) }
    }

    // MARK: Verdicts, as caller

    private mutating func heard(_ verdicts: Verdicts, on id: LinkID) {
        guard let name = links[id]?.peer?.workload, let callee = callees[name], callee.link == id else {
            return
        }
        let lost = Set((callee.verdicts?.ports ?? []).filter { $0.verdict != .deny }.map(\.port))
        callees[name]?.verdicts = verdicts
        for port in verdicts.ports where port.verdict == .deny && callee.interest.covers(port.port) {
            recordDenied(port.port, rule: port.rule, on: id, .outbound, epoch: verdicts.decisionEpoch)
        }
        refreshListeners(of: name)
        let stillOpen = Set(verdicts.ports.filter { $0.verdict != .deny }.map(\.port))
        if !lost.isSubset(of: stillOpen) {
            authorizer.raise()
            redecide()
        }
        answerQueries(about: name)
        startWaiting(for: name)
    }

    /// What the callee last said about `port`; nil where it said nothing.
    func verdict(of name: WorkloadName, on port: ServicePort) -> Verdicts.Port? {
        callees[name]?.verdicts?.ports.first { $0.port == port }
    }

    /// One record a denied port, session and decision epoch.
    private mutating func recordDenied(
        _ port: ServicePort, rule: String, on id: LinkID, _ direction: FlowDirection, epoch: UInt64
    ) {
        guard var link = links[id], let peer = link.peer?.workload else { return }
        if link.deniedEpoch != epoch {
            link.deniedEpoch = epoch
            link.denied = []
        }
        let isNew = link.denied.insert(port).inserted
        links[id] = link
        guard isNew else { return }
        // Of a flow that doesn't come about only the dialled port is known.
        let own = ownAddress.map { Endpoint($0, direction == .inbound ? port.port : 0) }
        let other = addresses?.address(of: peer).map {
            Endpoint(IPAddress(v4: $0), direction == .outbound ? port.port : 0)
        }
        record(
            .denied, direction: direction, port: port, workload: peer, link: id, flow: nil,
            source: direction == .outbound ? own : other,
            destination: direction == .outbound ? other : own, rule: rule, isAllowed: false,
            reason: .policy, permit: nil, since: now.monotonic)
    }
}
