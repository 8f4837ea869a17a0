import SidecarProtocol
import Testing

@Suite("What a topic table refuses")
struct TopicTableRefusalTests {
    @Test("before there is a trust domain nothing can be registered")
    func needsTrust() throws {
        var fixture = try TopicTableFixture(hasTrust: false)
        let web = fixture.connect(1)
        #expect(fixture.send(.register(try fixture.registration()), from: web).refusals.count == 1)
        #expect(fixture.table.isIdle == false)
    }

    @Test("an announcement that is changed, of another's topic, or of another domain is refused, all of it")
    func refusesForgeries() throws {
        var fixture = try TopicTableFixture()
        let (web, client) = (fixture.connect(1), fixture.connect(2))
        fixture.send(.subscribe(try fixture.topic("web")), from: client)
        fixture.send(.subscribe(try fixture.topic("db")), from: client)
        var changed = try fixture.registration()
        changed.announcements[0][changed.announcements[0].count - 1] ^= 1
        var foreign = try fixture.registration()
        let other = try TrustFixture(seed: 0xB0)
        foreign.issuer = other.issuer.encoded
        var tombstone = try fixture.registration()
        tombstone.tombstone = try fixture.registration(seed: 2).tombstone
        var older = try fixture.registration(sequence: 2)
        older.tombstone = try fixture.registration(sequence: 1).tombstone
        let stolen = try fixture.registration("web", topics: ["web", "db"])
        let expired = try fixture.registration()
        for registration in [foreign, changed, tombstone, older, stolen] {
            let effects = fixture.send(.register(registration), from: web)
            #expect(effects.refusals.count == 1)
            #expect(effects.messages(to: client) == [])
        }
        fixture.now.wall = fixture.now.wall + Limits.leafLifetime + Limits.peerClockSkew
        #expect(fixture.send(.register(expired), from: web).refusals.count == 1)
        #expect(fixture.table.status.registrations == 0)
        #expect(fixture.table.status.announcements == 0)
    }

    @Test("a connection registers one instance")
    func oneInstance() throws {
        var fixture = try TopicTableFixture()
        let web = fixture.connect(1)
        fixture.send(.register(try fixture.registration()), from: web)
        #expect(
            fixture.send(.register(try fixture.registration("db", seed: 2)), from: web).refusals.count == 1)
    }

    @Test(
        "nobody but the node's user and root stops it, or changes its configuration",
        arguments: [(0, true), (1000, true), (1001, false)])
    func stops(userID: UInt32, isAllowed: Bool) throws {
        var fixture = try TopicTableFixture()
        let client = fixture.connect(1, userID: userID)
        let effects = fixture.send(.stop, from: client)
        #expect(effects.contains(.stop) == isAllowed)
        #expect(effects.refusals.count == (isAllowed ? 0 : 1))
        let changes = fixture.send(.reload, from: client)
        #expect(changes.contains(.reload(client)) == isAllowed)
        #expect(changes.refusals.count == (isAllowed ? 0 : 1))
    }

    @Test("a message of a client that has gone does nothing")
    func ignoresTheGone() throws {
        var fixture = try TopicTableFixture()
        let client = fixture.connect(1)
        fixture.handle(.disconnected(client))
        #expect(fixture.send(.register(try fixture.registration()), from: client) == [])
        #expect(fixture.send(.subscribe(try fixture.topic("web")), from: client) == [])
    }

    // MARK: Limits

    @Test("subscriptions are refused past the limit")
    func subscriptionLimit() throws {
        var capacity = NodeCapacity()
        capacity.subscriptions = 2
        var fixture = try TopicTableFixture(capacity: capacity)
        let client = fixture.connect(1)
        for name in ["a", "b", "a"] {
            #expect(fixture.send(.subscribe(try fixture.topic(name)), from: client).refusals == [])
        }
        #expect(fixture.send(.subscribe(try fixture.topic("c")), from: client).refusals.count == 1)
        fixture.send(.unsubscribe(try fixture.topic("a")), from: client)
        #expect(fixture.send(.subscribe(try fixture.topic("c")), from: client).refusals == [])
    }

    @Test(
        "registrations, announcements, certificates and instances are refused past their limits",
        arguments: ["registrations", "announcements", "certificates", "instances"])
    func tableLimits(field: String) throws {
        var capacity = NodeCapacity()
        switch field {
        case "registrations": capacity.registrations = 2
        case "announcements": capacity.announcements = 2
        case "certificates": capacity.certificates = 2
        default: capacity.instances = 2
        }
        var fixture = try TopicTableFixture(capacity: capacity)
        for seed in 1...3 as ClosedRange<UInt8> {
            let client = fixture.connect(UInt64(seed))
            let registration = try fixture.registration("w\(seed)", seed: seed)
            let refusals = fixture.send(.register(registration), from: client).refusals
            #expect(refusals.count == (seed <= 2 ? 0 : 1), "\(refusals)")
        }
        // What is there already can still be renewed.
        let renewal = try fixture.registration("w1", seed: 1, sequence: 2)
        #expect(fixture.send(.renew(renewal), from: TopicTable.Client(number: 1)).refusals == [])
    }

    @Test("announcements without certificate wait, up to a limit and for a while")
    func waiting() throws {
        var capacity = NodeCapacity()
        capacity.waiting = 2
        var fixture = try TopicTableFixture(capacity: capacity)
        let client = fixture.connect(9)
        fixture.send(.subscribe(try fixture.topic("w1")), from: client)
        let neighbour = TopicTable.Neighbour(number: 1)
        fixture.handle(.neighbourCame(neighbour))
        var registrations: [NodeRegistration] = []
        for seed in 1...3 as ClosedRange<UInt8> {
            let registration = try fixture.registration("w\(seed)", seed: seed)
            registrations.append(registration)
            let effects = fixture.handle(
                .neighbourSaid(neighbour, .announcement(registration.announcements[0])))
            let hash = SHA256.hash(registration.leaf).prefix(8).hex
            let waits = TopicTable.Effect.log(
                .debug, "an announcement waits for certificate \(hash)")
            #expect(effects.contains(waits) == (seed <= 2))
        }
        let first = registrations[0]
        let effects = fixture.handle(
            .neighbourSaid(neighbour, .certificate(leaf: first.leaf, issuer: first.issuer)))
        #expect(effects.messages(to: client).last == .announcement(first.announcements[0]))
        _ = fixture.advance(Limits.nodeWaitingLife)
        let second = registrations[1]
        fixture.handle(
            .neighbourSaid(neighbour, .certificate(leaf: second.leaf, issuer: second.issuer)))
        #expect(fixture.table.status.announcements == 1)
    }
}
