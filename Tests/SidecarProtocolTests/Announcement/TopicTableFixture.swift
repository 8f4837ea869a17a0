import SidecarProtocol

/// A topic table on a virtual clock, and sidecars that talk to it.
struct TopicTableFixture {
    let trust: TrustFixture
    var table: TopicTable
    var now = Now(monotonic: MonotonicTime(nanoseconds: 5_000_000_000), wall: TrustFixture.now)

    static let timeToLive = MonotonicTime.Span.seconds(90)

    init(capacity: NodeCapacity = NodeCapacity(), hasTrust: Bool = true) throws {
        trust = try TrustFixture()
        table = TopicTable(ownUserID: 1000, capacity: capacity)
        if hasTrust { handle(.trust(trust.bundle, trust.discoveryKey)) }
    }

    @discardableResult
    mutating func handle(_ input: TopicTable.Input) -> [TopicTable.Effect] {
        var effects: [TopicTable.Effect] = []
        table.handle(input, at: now, effects: &effects)
        return effects
    }

    mutating func advance(_ span: MonotonicTime.Span) -> [TopicTable.Effect] {
        now.monotonic = now.monotonic + span
        now.wall = now.wall + span
        return handle(.deadline)
    }

    mutating func connect(_ number: UInt64, userID: UInt32 = 1000) -> TopicTable.Client {
        let client = TopicTable.Client(number: number)
        handle(.connected(client, userID: userID))
        return client
    }

    @discardableResult
    mutating func send(_ message: ClientMessage, from client: TopicTable.Client) -> [TopicTable.Effect] {
        handle(.message(client, message))
    }

    func topic(_ name: String) throws -> TopicID {
        TopicID(
            service: try WorkloadName(namespace: "default", name: name), discoveryKey: trust.discoveryKey)
    }

    /// - Parameters:
    ///   - seed: the instance and its keys.
    ///   - topics: the names that it announces; its leaf grants the name's own.
    func registration(
        _ name: String = "web", seed: UInt8 = 1, incarnation: UInt64 = 1, sequence: UInt64 = 1,
        topics: [String]? = nil, folder: String = "/run/instance"
    ) throws -> NodeRegistration {
        let leaf = try trust.leaf(name, seed: seed)
        let keys = TrustFixture.signing(seed)
        let announcements = try (topics ?? [name]).map { name in
            try announcement(on: topic(name), leaf, incarnation, sequence).signed(by: keys)
        }
        return NodeRegistration(
            announcements: announcements, leaf: leaf.encoded, issuer: trust.issuer.encoded,
            tombstone: Tombstone(certificate: leaf, incarnation: incarnation, sequence: sequence)
                .signed(by: keys),
            instanceFolder: folder, launcherProcessID: 77)
    }

    func announcement(
        on topic: TopicID, _ leaf: Certificate, _ incarnation: UInt64, _ sequence: UInt64
    ) -> Announcement {
        Announcement(
            topic: topic, certificate: leaf, incarnation: incarnation, sequence: sequence,
            timeToLive: TopicTableFixture.timeToLive,
            endpoints: [Endpoint(IPAddress(v4: 0x7F00_0001), 4000)], versions: 1...1)
    }
}

extension [TopicTable.Effect] {
    /// What a client is sent, in order.
    func messages(to client: TopicTable.Client) -> [NodeMessage] {
        compactMap { effect in
            if case .send(client, let message) = effect { return message }
            return nil
        }
    }

    var refusals: [String] {
        compactMap { effect in
            if case .send(_, .refused(let reason)) = effect { return reason }
            return nil
        }
    }

    var persisted: [SavedMemory] {
        for effect in reversed() {
            if case .persist(let bytes) = effect { return (try? SavedMemory.list(canonical: bytes)) ?? [] }
        }
        return []
    }
}
