// The signed policy on its way through a node: from its clients and from other nodes, to all of them.
//
// The node decides nothing by it. It verifies, keeps and hands on the newest, so that a sidecar that starts
// finds it on its own host, and one policy reaches a host once. A client hears of policies once it has
// registered, or has said something about one itself, as `mesh policy apply` does.

extension TopicTable {
    enum PolicyPeer: Hashable, Sendable {
        case client(Client)
        case neighbour(Neighbour)
    }

    /// The newest signed policy that is here.
    package var signedPolicy: SignedPolicy? { policy?.store.current }

    /// What stands against it, of the same epoch.
    package var rivalPolicy: SignedPolicy? { policy?.store.rival }

    mutating func policyTrust(_ bundle: TrustBundle) {
        self.bundle = bundle
        if policy == nil || policy?.store.domain != bundle.id { policy = PolicyExchange(domain: bundle.id) }
        policy?.trustChanged()
    }

    /// What an earlier node has left.
    mutating func savedPolicy(_ bytes: [UInt8], effects: inout [Effect]) {
        guard let bundle, policy != nil else { return }
        follow(policy?.take(bytes, from: nil, bundle: bundle) ?? [], effects: &effects)
    }

    mutating func policyMessage(
        _ message: PolicyMessage, from client: Client, at now: Now, effects: inout [Effect]
    ) {
        clients[client]?.hearsPolicy = true
        policyMessage(message, from: .client(client), at: now, effects: &effects)
    }

    mutating func policyMessage(
        _ message: PolicyMessage, from neighbour: Neighbour, at now: Now, effects: inout [Effect]
    ) {
        policyMessage(message, from: .neighbour(neighbour), at: now, effects: &effects)
    }

    private mutating func policyMessage(
        _ message: PolicyMessage, from peer: PolicyPeer, at now: Now, effects: inout [Effect]
    ) {
        guard let bundle else {
            return refuse("this node knows no trust domain yet", to: peer, effects: &effects)
        }
        let partBytes =
            if case .neighbour = peer { Limits.policyPartBytesBetweenNodes } else {
                Limits.policyPartBytesMaximum
            }
        let events = policy?.handle(message, from: peer, partBytes: partBytes, bundle: bundle, at: now) ?? []
        follow(events, effects: &effects)
    }

    mutating func policyPeerLeft(_ peer: PolicyPeer, at now: MonotonicTime, effects: inout [Effect]) {
        follow(policy?.left(peer, at: now) ?? [], effects: &effects)
    }

    mutating func policyDeadline(at now: MonotonicTime, effects: inout [Effect]) {
        follow(policy?.deadline(at: now) ?? [], effects: &effects)
    }

    /// Tells one who has come what there is.
    mutating func greet(_ client: Client, effects: inout [Effect]) {
        clients[client]?.hearsPolicy = true
        for message in policy?.greeting ?? [] { effects.append(.send(client, .policy(message))) }
    }

    func greet(_ neighbour: Neighbour, effects: inout [Effect]) {
        for message in policy?.greeting ?? [] { effects.append(.tell(neighbour, .policy(message))) }
    }

    // MARK: What becomes of it

    private mutating func follow(
        _ events: [PolicyExchange<PolicyPeer>.Event], effects: inout [Effect]
    ) {
        for event in events {
            switch event {
            case .send(.client(let client), let message): effects.append(.send(client, .policy(message)))
            case .send(.neighbour(let neighbour), let message):
                effects.append(.tell(neighbour, .policy(message)))
            // A node reads at once: no bytes of flows wait for it.
            case .toBeRead: break
            case .adopted(let signed):
                effects.append(.log(.notice, "policy \(signed.head) has come"))
                keep(signed, effects: &effects)
            case .conflict(let signed):
                let heads = policy?.store.heads.map(\.description).joined(separator: " and ") ?? ""
                effects.append(
                    .log(.error, "two policies of one epoch stand against each other: \(heads)"))
                keep(signed, effects: &effects)
            case .beacon(let bytes, let sender): tellAll([.beacon(bytes)], except: sender, effects: &effects)
            case .refused(let error, let peer):
                effects.append(.log(.warning, "policy refused: \(error)"))
                if let peer { refuse("\(error)", to: peer, effects: &effects) }
            }
        }
    }

    private mutating func keep(_ signed: SignedPolicy, effects: inout [Effect]) {
        effects.append(.persistPolicy(signed.encoded))
        tellAll(policy?.store.heads.map { .head($0) } ?? [], except: nil, effects: &effects)
    }

    private func tellAll(
        _ messages: [PolicyMessage], except sender: PolicyPeer?, effects: inout [Effect]
    ) {
        let hearing = clients.filter { $0.value.hearsPolicy && sender != .client($0.key) }.keys
        for message in messages {
            for client in hearing.sorted(by: { $0.number < $1.number }) {
                effects.append(.send(client, .policy(message)))
            }
            for neighbour in neighbours.keys.sorted(by: { $0.number < $1.number })
            where sender != .neighbour(neighbour) {
                effects.append(.tell(neighbour, .policy(message)))
            }
        }
    }

    /// A client is told why; another node would only log it.
    private func refuse(_ reason: String, to peer: PolicyPeer, effects: inout [Effect]) {
        guard case .client(let client) = peer else { return }
        effects.append(.send(client, .refused("policy refused: \(reason)")))
    }
}
