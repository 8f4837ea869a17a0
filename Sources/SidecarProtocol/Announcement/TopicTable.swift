// What a node decides: who is registered, who hears of what, and when nobody needs it any more.
//
// Theory of operation
//
//   A client is a connection. A sidecar registers one instance on it: its announcements, and a tombstone
//   that the node publishes the moment the sidecar's process ends. The end of a connection alone buries
//   nobody: the sidecar lives, and comes back. The shell therefore tells of both, `disconnected` when
//   the connection goes and `processEnded` when the process behind it does.
//
//   Subscribers get what there is at once, and then each change, as the original bytes. The chain that
//   an announcement names goes before it, once per client.
//
//   When a process has ended and its instance hasn't come back after `Limits.instanceReturnDelay`, the
//   shell is told, and removes the instance's folder if its launcher is gone too.
//
//   Files: AnnouncementStore (what is believed), TopicTable+Registration, TopicTable+Topics,
//   TopicTable+Neighbours, TopicTable+Policy.

package struct TopicTable: Sendable {
    /// A connection, by the number that the shell gave it.
    package struct Client: Hashable, Sendable {
        package let number: UInt64
        package init(number: UInt64) { self.number = number }
    }

    /// A connection to the node of another host, by the number that the shell gave it.
    package struct Neighbour: Hashable, Sendable {
        package let number: UInt64
        package init(number: UInt64) { self.number = number }
    }

    package enum Input: Sendable {
        case connected(Client, userID: UInt32)
        case message(Client, ClientMessage)
        case disconnected(Client)
        /// Told once for each client that registered, after or before `disconnected`.
        case processEnded(Client)
        /// The domain whose certificates are believed: before the first registration, and when it changes.
        case trust(TrustBundle, DiscoveryKey)
        /// What an earlier node has left; after `trust`.
        case saved([SavedMemory])
        /// And the signed policy, each of two that stand against each other; after `trust`.
        case savedPolicy([UInt8])
        /// A node of another host is connected, has proven to be one, says something, is gone.
        case neighbourCame(Neighbour)
        case neighbourSaid(Neighbour, NodeMessage)
        case neighbourLeft(Neighbour)
        case deadline
    }

    package enum Effect: Hashable, Sendable {
        case send(Client, NodeMessage)
        /// Write what the next node must know; completes before a `send` that follows it.
        case persist([UInt8])
        /// Keep this signed policy. A second one of the same epoch is kept beside the first.
        case persistPolicy([UInt8])
        /// The instance has come (again): keep its folder, and watch its launcher.
        case instanceCame(InstanceID, folder: String, launcher: Int32)
        /// It hasn't come back: remove its folder once its launcher is gone.
        case instanceLeft(InstanceID, folder: String)
        case tell(Neighbour, NodeMessage)
        /// Read the config file, and then answer this client.
        case reload(Client)
        case stop
        case log(LogLevel, String)
    }

    struct ClientState: Sendable {
        var userID: UInt32
        var topics: Set<TopicID> = []
        /// Whether it is told of policies.
        var hearsPolicy = false
        /// Hashes of the leaves that it was sent.
        var certificates: Set<[UInt8]> = []
    }

    struct Registration: Sendable {
        var owner: Client
        var incarnation: UInt64
        var chain: AnnouncementStore.Chain
        /// Nil once it was published at the instance's own wish.
        var tombstone: [UInt8]?
        var topics: Set<TopicID>
        var folder: String
    }

    struct Departure: Sendable {
        var folder: String
        var due: MonotonicTime
    }

    let ownUserID: UInt32
    let capacity: NodeCapacity
    var store: AnnouncementStore?
    var clients: [Client: ClientState] = [:]
    var subscribers: [TopicID: Set<Client>] = [:]
    /// Hashes of the leaves that each was sent.
    var neighbours: [Neighbour: Set<[UInt8]>] = [:]
    /// Nil before the trust domain is known.
    var policy: PolicyExchange<PolicyPeer>?
    var bundle: TrustBundle?
    var registrations: [InstanceID: Registration] = [:]
    var departures: [InstanceID: Departure] = [:]
    private var nextForgetting: MonotonicTime?

    /// - Parameter ownUserID: the node's; only this user, or root, may stop it.
    package init(ownUserID: UInt32, capacity: NodeCapacity = NodeCapacity()) {
        self.ownUserID = ownUserID
        self.capacity = capacity
    }

    package mutating func handle(_ input: Input, at now: Now, effects: inout [Effect]) {
        switch input {
        case .connected(let client, let userID): clients[client] = ClientState(userID: userID)
        case .message(let client, let message):
            guard clients[client] != nil else { return }
            handle(message, from: client, at: now, effects: &effects)
        case .disconnected(let client):
            disconnected(client)
            policyPeerLeft(.client(client), at: now.monotonic, effects: &effects)
        case .processEnded(let client): processEnded(client, at: now, effects: &effects)
        case .trust(let bundle, let discoveryKey): trust(bundle, discoveryKey, at: now, effects: &effects)
        case .saved(let memories): store?.restore(memories, at: now)
        case .savedPolicy(let bytes): savedPolicy(bytes, effects: &effects)
        case .neighbourCame(let neighbour): neighbourCame(neighbour, at: now, effects: &effects)
        case .neighbourSaid(let neighbour, let message):
            neighbourSaid(message, neighbour, at: now, effects: &effects)
        case .neighbourLeft(let neighbour):
            neighbours[neighbour] = nil
            policyPeerLeft(.neighbour(neighbour), at: now.monotonic, effects: &effects)
        case .deadline: deadline(at: now, effects: &effects)
        }
    }

    private mutating func handle(
        _ message: ClientMessage, from client: Client, at now: Now, effects: inout [Effect]
    ) {
        switch message {
        case .register(let registration), .renew(let registration):
            do {
                try register(registration, from: client, at: now, effects: &effects)
                if clients[client]?.hearsPolicy == false { greet(client, effects: &effects) }
            } catch {
                effects.append(.log(.warning, "registration refused: \(error)"))
                effects.append(.send(client, .refused("registration refused: \(error)")))
            }
        case .withdraw(let tombstone): withdraw(tombstone, from: client, at: now, effects: &effects)
        case .subscribe(let topic): subscribe(client, to: topic, effects: &effects)
        case .unsubscribe(let topic): unsubscribe(client, from: topic)
        case .certificateRequest(let hash):
            if let chain = store?.chain(hash) {
                effects.append(.send(client, chain.message))
            } else {
                effects.append(.send(client, .refused("no certificate \(hash.prefix(8).hex) is known")))
            }
        case .stop:
            if isOperator(client, "stop this node", effects: &effects) { effects.append(.stop) }
        case .reload:
            if isOperator(client, "change this node's configuration", effects: &effects) {
                effects.append(.reload(client))
            }
        case .status: effects.append(.send(client, .status(status)))
        case .policy(let message): policyMessage(message, from: client, at: now, effects: &effects)
        case .unknown: break
        }
    }

    /// The node's own user, or root; who isn't is told so.
    private func isOperator(_ client: Client, _ what: String, effects: inout [Effect]) -> Bool {
        guard let user = clients[client]?.userID, user == ownUserID || user == 0 else {
            effects.append(.send(client, .refused("only user \(ownUserID) or root may \(what)")))
            return false
        }
        return true
    }

    /// The process id is the shell's to fill in.
    package var status: NodeStatus {
        NodeStatus(
            processID: 0, registrations: UInt64(registrations.count),
            subscriptions: UInt64(clients.values.reduce(0) { $0 + $1.topics.count }),
            announcements: UInt64(store?.announcementCount ?? 0),
            tombstones: UInt64(store?.tombstoneCount ?? 0),
            certificates: UInt64(store?.certificateCount ?? 0), neighbours: UInt64(neighbours.count))
    }

    /// Nobody is connected or registered, and nothing is left to be done for those who were.
    package var isIdle: Bool { clients.isEmpty && registrations.isEmpty && departures.isEmpty }

    package var hasTrust: Bool { store != nil }

    // MARK: Time

    package var nextDeadline: MonotonicTime? {
        [store?.nextExpiry, departures.values.map(\.due).min(), nextForgetting, policy?.nextDeadline]
            .compactMap { $0 }.min()
    }

    private mutating func deadline(at now: Now, effects: inout [Effect]) {
        policyDeadline(at: now.monotonic, effects: &effects)
        store?.expire(at: now)
        nextForgetting = store?.memories.isEmpty == false ? now.monotonic + .seconds(60) : nil
        for (instance, departure) in departures where departure.due <= now.monotonic {
            departures[instance] = nil
            effects.append(.instanceLeft(instance, folder: departure.folder))
        }
    }

    private mutating func trust(
        _ bundle: TrustBundle, _ discoveryKey: DiscoveryKey, at now: Now, effects: inout [Effect]
    ) {
        if store != nil { effects.append(.log(.notice, "the trust bundle has changed")) }
        if store?.follow(bundle, discoveryKey, at: now) == true { return }
        store = AnnouncementStore(
            bundle: bundle, discoveryKey: discoveryKey, capacity: capacity,
            memories: store?.memories ?? [:])
        policyTrust(bundle)
    }
}

extension AnnouncementStore.Chain {
    var message: NodeMessage { .certificate(leaf: leaf.encoded, issuer: issuer.encoded) }
}
