// The signed policy: where it comes from, and what a new one does.
//
// Theory of operation
//
//   Policies come by themselves at start (what was persisted), from the node, and from the peer of any
//   session that states a newer head. A new one is in force from the input that completes it: the decision
//   epoch rises, every live permit is decided anew, sessions with revoked certificates are closed, and then
//   the new head goes to every peer and the node, who ask for the policy if they lack it.
//
//   One of many rules takes long to read and to index. The shell does that on a thread of its own
//   (`readPolicy`, `policyRead`); until it is done, the one before it is in force, and is what is stated.
//
//   While a policy is on its way between two sidecars their heads differ. What both allowed under the
//   older one goes on, each end by the newest that it has, until the lease ends that the last equal heads
//   gave; a new flow waits until they are equal, if they never were in that session.
//
//   A certificate names the newest policy that its issuer knew. With its first certificate a sidecar lets
//   nothing through before it has that policy. With a renewed one, it first has the time to fetch it: what
//   it decides by until then is what it decided by before.

extension MeshNode {
    /// Who may have a policy that this sidecar lacks.
    enum PolicyPeer: Hashable, Sendable {
        case node
        case link(LinkID)
    }

    /// What is stated to peers.
    var policyHeads: [PolicyHead] { authorizer.heads }

    /// For records and verdicts.
    var policyHead: PolicyHead? { authorizer.heads.first }

    // MARK: What comes in

    /// A whole policy, as persisted.
    mutating func policyCame(_ bytes: [UInt8]) {
        guard let bundle = credential?.bundle, exchange != nil else {
            earlyPolicy = bytes
            return
        }
        follow(exchange?.take(bytes, from: nil, bundle: bundle) ?? [])
    }

    mutating func beaconCame(_ bytes: [UInt8]) {
        follow(exchange?.take(beacon: bytes, from: nil, at: now) ?? [])
    }

    mutating func policyMessage(_ message: PolicyMessage, from peer: PolicyPeer) {
        guard let bundle = credential?.bundle else { return }
        follow(exchange?.handle(message, from: peer, bundle: bundle, at: now) ?? [])
    }

    /// A large policy was read, beside the event loop.
    mutating func policyRead(_ result: Result<ReadPolicy, PolicyError>, as head: PolicyHead) {
        guard let bundle = credential?.bundle else { return }
        readPolicy = try? result.get()
        follow(exchange?.read(result.map(\.signed), as: head, bundle: bundle, at: now.monotonic) ?? [])
        readPolicy = nil
    }

    /// Without the work, where it was done aside.
    private func compiled(_ policy: SignedPolicy) -> CompiledPolicy {
        if let readPolicy, readPolicy.signed.head == policy.head { return readPolicy.compiled }
        return CompiledPolicy(policy)
    }

    /// `peer` states a head.
    mutating func policyOffered(_ head: PolicyHead, by peer: PolicyPeer) {
        follow(exchange?.heard(head, from: peer, at: now.monotonic) ?? [])
    }

    mutating func policyPeerLeft(_ peer: PolicyPeer) {
        follow(exchange?.left(peer, at: now.monotonic) ?? [])
    }

    mutating func policyAnswerDue() { follow(exchange?.deadline(at: now.monotonic) ?? []) }

    // MARK: One's own certificate

    /// Takes over what the certificate says of the newest policy.
    mutating func adoptFloor(of credential: Credential, isFirst: Bool) {
        if isFirst { exchange = PolicyExchange(domain: credential.bundle.id, readsAside: true) }
        exchange?.trustChanged()
        let head = credential.policyHead
        let known = authorizer.standing?.head
        if let known, known.epoch >= head.epoch {
            adoptStanding(credential, floor: known)
        } else if !isFirst, let known, exchange?.store.wants(head) == true {
            adoptStanding(credential, floor: known)
            isPolicyFloorProlonged = false
            timers.set(.policyFloor, at: now.monotonic + Limits.policyArrivalSpan)
        } else {
            adoptStanding(credential, floor: head)
        }
        if let early = earlyPolicy {
            earlyPolicy = nil
            policyCame(early)
        }
        if exchange?.store.wants(head) == true, isNodeConnected { policyOffered(head, by: .node) }
    }

    /// The time is over in which the policy should have come that a renewed certificate names.
    mutating func policyFloorDue() {
        guard let credential else { return }
        if exchange?.isReading == true, !isPolicyFloorProlonged {
            isPolicyFloorProlonged = true
            return timers.set(.policyFloor, at: now.monotonic + Limits.policyReadingSpan)
        }
        adoptStanding(credential, floor: credential.policyHead)
        if authorizer.isBehind {
            log(
                .error, "policy \(credential.policyHead) hasn't come, which the own certificate names: closed"
            )
        }
        redecide()
        sendAllVerdicts()
    }

    private mutating func adoptStanding(_ credential: Credential, floor: PolicyHead) {
        guard let subject = PolicySubject(credential.certificate) else { return }
        authorizer.adopt(
            Authorizer.Standing(
                notAfter: credential.validUntil, head: floor, subject: subject,
                domain: credential.bundle.id))
    }

    // MARK: What becomes of it

    private mutating func follow(_ events: [PolicyExchange<PolicyPeer>.Event]) {
        for event in events {
            switch event {
            case .send(.node, let message):
                if isNodeConnected { effects.append(.tellNode(message)) }
            case .send(.link(let id), let message): send(message, on: id)
            case .toBeRead(let bytes, let head): effects.append(.readPolicy(bytes, as: head))
            case .adopted(let policy): adopt(policy)
            case .conflict(let policy): adopt(rival: policy)
            case .beacon(let bytes, let sender): prolong(by: bytes, from: sender)
            case .refused(let error, let peer): log(.warning, "policy\(origin(peer)) refused: \(error)")
            }
        }
        if let due = exchange?.nextDeadline {
            timers.set(.policyAnswer, at: due)
        } else {
            timers.remove(.policyAnswer)
        }
    }

    private func origin(_ peer: PolicyPeer?) -> String {
        switch peer {
        case .node?: " from the node"
        case .link(let id)?: " from \(links[id]?.peer?.workload.description ?? "a peer")"
        case nil: ""
        }
    }

    /// A head that answers a request is a statement like any other.
    private mutating func send(_ message: PolicyMessage, on id: LinkID) {
        guard links[id]?.peer != nil else { return }
        if case .head(let head) = message {
            effects.append(.send(id, .head(head)))
        } else {
            effects.append(.send(id, .policy(message)))
        }
    }

    private mutating func adopt(_ policy: SignedPolicy) {
        let asksAnew = authorizer.policy?.asksForBeacons != true && !policy.document.freshnessKeys.isEmpty
        // News to the own certificate: flows live that never needed a beacon. At start, none does.
        if asksAnew, let floor = authorizer.standing?.head, policy.head.epoch > floor.epoch {
            exchange?.beginFreshness(at: now.monotonic)
        }
        var inForce = PolicyInForce(compiled(policy), at: now)
        inForce.freshUntil = exchange?.freshness.until
        authorizer.adopt(inForce)
        let document = policy.document
        log(
            .notice,
            "policy \(policy.head) in force: \(document.rules.count) rules, \(document.mode.name),"
                + " unmatched \(document.unmatched.name)")
        effects.append(.persistPolicy(policy.encoded))
        policyChanged()
    }

    private mutating func adopt(rival policy: SignedPolicy) {
        guard var inForce = authorizer.policy else { return }
        inForce.add(rival: compiled(policy))
        authorizer.adopt(inForce)
        log(
            .error,
            "two policies of epoch \(policy.head.epoch) stand against each other"
                + " (\(policyHeads.map(\.description).joined(separator: " and "))): the stricter verdict of"
                + " both holds, and none is taken but one that settles both")
        effects.append(.persistPolicy(policy.encoded))
        policyChanged()
    }

    private mutating func policyChanged() {
        redecide()
        closeRevoked()
        agreeAnew()
        armPolicyChange()
        sendAllVerdicts()
        for id in links.keys.sorted() { stateHead(on: id) }
        tellNodeHeads()
        for name in callees.keys.sorted() { startWaiting(for: name) }
    }

    mutating func tellNodeHeads() {
        guard isNodeConnected else { return }
        for message in exchange?.greeting ?? [] { effects.append(.tellNode(message)) }
        if let head = credential?.policyHead, exchange?.store.wants(head) == true {
            policyOffered(head, by: .node)
        }
    }

    /// A session with a revoked certificate ends; one's own revocation ends all of them.
    private mutating func closeRevoked() {
        let isOwn = authorizer.isOwnRevoked
        if isOwn { log(.error, "the own certificate is revoked: all sessions closed") }
        for id in links.keys.sorted() {
            guard let peer = links[id]?.peer, isOwn || authorizer.isRevoked(peer.subject) else { continue }
            close(id, .revocation)
        }
        for (name, callee) in callees {
            let kept = callee.providers.filter {
                PolicySubject($0.value.certificate).map { !authorizer.isRevoked($0) } ?? false
            }
            callees[name]?.providers = kept
        }
        adaptEgressToRevocation()
        if isOwn { register() }
    }

    // MARK: Agreement

    /// Peers that have stated the head which is now one's own were ahead, and agree from that time on.
    private mutating func agreeAnew() {
        for (id, link) in links {
            guard let peer = link.peer, let head = peer.head else { continue }
            agree(on: head, statedAt: peer.statedAt, on: id)
        }
    }

    /// Only an equal head renews the lease: permits need both ends to decide by one policy.
    mutating func agree(on head: PolicyHead, statedAt: MonotonicTime, on id: LinkID) {
        guard let peer = links[id]?.peer, policyHeads.contains(head) else { return }
        links[id]?.peer?.hasAgreed = true
        let end = max(peer.leaseEnd, statedAt + Limits.lease)
        links[id]?.peer?.leaseEnd = end
        timers.set(.lease(id), at: end)
    }

    // MARK: Time

    mutating func armPolicyChange() {
        if let next = authorizer.policy?.nextChange(after: now) {
            timers.set(.policyChange, at: next)
        } else {
            timers.remove(.policyChange)
        }
    }

    /// A window has begun or ended, a lock has ended, or beacons have stopped.
    mutating func policyTimeCame() {
        authorizer.raise()
        redecide()
        sendAllVerdicts()
        armPolicyChange()
    }

    private mutating func prolong(by beacon: [UInt8], from sender: PolicyPeer?) {
        let wasFresh = authorizer.policy?.freshUntil.map { now.monotonic < $0 } ?? false
        authorizer.prolong(until: exchange?.freshness.until)
        armPolicyChange()
        if sender != .node, isNodeConnected { effects.append(.tellNode(.beacon(beacon))) }
        for id in links.keys.sorted() where sender != .link(id) { send(.beacon(beacon), on: id) }
        guard !wasFresh else { return }
        redecide()
        sendAllVerdicts()
    }
}

extension Limits {
    /// What a renewed certificate's newer policy may take to arrive before everything is closed.
    package static let policyArrivalSpan = MonotonicTime.Span.seconds(2)
    /// What it may take longer, once, where it has come and is being read.
    package static let policyReadingSpan = MonotonicTime.Span.seconds(5)
}
