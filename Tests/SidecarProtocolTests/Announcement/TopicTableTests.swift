import SidecarProtocol
import Testing

@Suite("Topic table")
struct TopicTableTests {
    @Test("a subscriber gets the chain and the original bytes of what is there, and of what comes")
    func subscribes() throws {
        var fixture = try TopicTableFixture()
        let (web, early, late) = (fixture.connect(1), fixture.connect(2), fixture.connect(3))
        #expect(fixture.send(.subscribe(try fixture.topic("web")), from: early) == [])
        let registration = try fixture.registration()
        let expected: [NodeMessage] = [
            .certificate(leaf: registration.leaf, issuer: registration.issuer),
            .announcement(registration.announcements[0]),
        ]
        let effects = fixture.send(.register(registration), from: web)
        #expect(effects.messages(to: early) == expected)
        #expect(effects.messages(to: web) == [])
        let subscribed = fixture.send(.subscribe(try fixture.topic("web")), from: late)
        #expect(subscribed.messages(to: late) == expected)
    }

    @Test("a chain is sent once to each client, and again when it asks")
    func sendsChainsOnce() throws {
        var fixture = try TopicTableFixture()
        let (web, client) = (fixture.connect(1), fixture.connect(2))
        fixture.send(.subscribe(try fixture.topic("web")), from: client)
        fixture.send(.register(try fixture.registration()), from: web)
        let renewal = try fixture.registration(sequence: 2)
        let effects = fixture.send(.renew(renewal), from: web)
        #expect(effects.messages(to: client) == [.announcement(renewal.announcements[0])])
        let hash = SHA256.hash(renewal.leaf)
        #expect(
            fixture.send(.certificateRequest(hash: hash), from: client).messages(to: client)
                == [.certificate(leaf: renewal.leaf, issuer: renewal.issuer)])
        let unknown = fixture.send(
            .certificateRequest(hash: [UInt8](repeating: 9, count: 32)), from: client)
        #expect(unknown.refusals.count == 1)
    }

    @Test("after unsubscribing, or on another topic, nothing comes")
    func unsubscribes() throws {
        var fixture = try TopicTableFixture()
        let (web, client) = (fixture.connect(1), fixture.connect(2))
        fixture.send(.subscribe(try fixture.topic("web")), from: client)
        fixture.send(.subscribe(try fixture.topic("db")), from: client)
        fixture.send(.unsubscribe(try fixture.topic("web")), from: client)
        let effects = fixture.send(.register(try fixture.registration()), from: web)
        #expect(effects.messages(to: client) == [])
    }

    @Test("the end of the process publishes the tombstone; the end of the connection alone doesn't")
    func buries() throws {
        var fixture = try TopicTableFixture()
        let (web, client) = (fixture.connect(1), fixture.connect(2))
        fixture.send(.subscribe(try fixture.topic("web")), from: client)
        let registration = try fixture.registration()
        fixture.send(.register(registration), from: web)
        #expect(fixture.handle(.disconnected(web)) == [])
        #expect(fixture.table.status.announcements == 1)
        let effects = fixture.handle(.processEnded(web))
        #expect(effects.messages(to: client) == [.tombstone(registration.tombstone)])
        #expect(fixture.table.status.announcements == 0)
        #expect(effects.persisted.first?.tombstone?.bytes == registration.tombstone)
        #expect(fixture.handle(.processEnded(web)).messages(to: client) == [])
    }

    @Test("the tombstone is on the disk before anyone hears of it")
    func persistsFirst() throws {
        var fixture = try TopicTableFixture()
        let (web, client) = (fixture.connect(1), fixture.connect(2))
        fixture.send(.subscribe(try fixture.topic("web")), from: client)
        fixture.send(.register(try fixture.registration()), from: web)
        let effects = fixture.handle(.processEnded(web))
        let persisted = effects.firstIndex { if case .persist = $0 { true } else { false } }
        let sent = effects.firstIndex { if case .send = $0 { true } else { false } }
        #expect(try #require(persisted) < #require(sent))
    }

    @Test("a sidecar that comes back on another connection is not buried with the first one")
    func reconnects() throws {
        var fixture = try TopicTableFixture()
        let first = fixture.connect(1)
        fixture.send(.register(try fixture.registration()), from: first)
        fixture.handle(.disconnected(first))
        let second = fixture.connect(2)
        #expect(fixture.send(.register(try fixture.registration(sequence: 2)), from: second).refusals == [])
        #expect(fixture.handle(.processEnded(first)) == [])
        #expect(fixture.table.status.announcements == 1)
        #expect(!fixture.handle(.processEnded(second)).isEmpty)
    }

    @Test("the next incarnation buries the one before it, and only that")
    func replaces() throws {
        var fixture = try TopicTableFixture()
        let (first, second, client) = (fixture.connect(1), fixture.connect(2), fixture.connect(3))
        fixture.send(.subscribe(try fixture.topic("web")), from: client)
        let old = try fixture.registration()
        fixture.send(.register(old), from: first)
        let new = try fixture.registration(incarnation: 2)
        let effects = fixture.send(.register(new), from: second)
        #expect(
            effects.messages(to: client)
                == [.tombstone(old.tombstone), .announcement(new.announcements[0])])
        #expect(fixture.handle(.processEnded(first)).messages(to: client) == [])
        #expect(fixture.table.status.announcements == 1)
        let late = fixture.send(.register(old), from: first)
        #expect(
            late.refusals == [
                "registration refused: incarnation 2 of the instance has taken its place"
            ])
    }

    @Test("who withdraws is forgotten at once, and not buried again when the process ends")
    func withdraws() throws {
        var fixture = try TopicTableFixture()
        let (web, client) = (fixture.connect(1), fixture.connect(2))
        fixture.send(.subscribe(try fixture.topic("web")), from: client)
        let registration = try fixture.registration()
        fixture.send(.register(registration), from: web)
        let effects = fixture.send(.withdraw(tombstone: registration.tombstone), from: web)
        #expect(effects.messages(to: client) == [.tombstone(registration.tombstone)])
        #expect(fixture.table.status.announcements == 0)
        #expect(fixture.handle(.processEnded(web)).messages(to: client) == [])
        #expect(fixture.send(.register(registration), from: web).refusals.count == 1)
    }

    @Test("a tombstone of another instance withdraws nothing")
    func withdrawsOnlyItself() throws {
        var fixture = try TopicTableFixture()
        let (web, stranger) = (fixture.connect(1), fixture.connect(2))
        let registration = try fixture.registration()
        fixture.send(.register(registration), from: web)
        #expect(
            fixture.send(.withdraw(tombstone: registration.tombstone), from: stranger).refusals.count == 1)
        fixture.send(.register(try fixture.registration("db", seed: 2)), from: stranger)
        #expect(
            fixture.send(.withdraw(tombstone: registration.tombstone), from: stranger).refusals.count == 1)
        #expect(fixture.table.status.announcements == 2)
    }

    @Test("a topic that is no longer announced is buried by the tombstone before")
    func stopsServing() throws {
        var fixture = try TopicTableFixture()
        let (web, client) = (fixture.connect(1), fixture.connect(2))
        fixture.send(.subscribe(try fixture.topic("web")), from: client)
        let serving = try fixture.registration()
        fixture.send(.register(serving), from: web)
        let silent = try fixture.registration(sequence: 2, topics: [])
        #expect(
            fixture.send(.renew(silent), from: web).messages(to: client)
                == [.tombstone(serving.tombstone)])
        #expect(fixture.table.status.announcements == 0)
        let again = try fixture.registration(sequence: 3)
        #expect(
            fixture.send(.renew(again), from: web).messages(to: client)
                == [.announcement(again.announcements[0])])
    }

    @Test("the time to live runs on the monotonic clock, from each renewal")
    func expires() throws {
        var fixture = try TopicTableFixture()
        let web = fixture.connect(1)
        fixture.send(.register(try fixture.registration()), from: web)
        let life = TopicTableFixture.timeToLive
        _ = fixture.advance(.milliseconds(life.milliseconds - 1))
        #expect(fixture.table.status.announcements == 1)
        fixture.send(.renew(try fixture.registration(sequence: 2)), from: web)
        _ = fixture.advance(.milliseconds(1))
        // The first expiry that is due: the forgetting of what has ended comes before it, each minute.
        #expect(try #require(fixture.table.nextDeadline) <= fixture.now.monotonic + life)
        _ = fixture.advance(.milliseconds(life.milliseconds - 2))
        #expect(fixture.table.status.announcements == 1)
        _ = fixture.advance(.milliseconds(1))
        #expect(fixture.table.status.announcements == 0)
    }

    @Test("an older or repeated sequence changes nothing and isn't relayed")
    func ignoresOldSequences() throws {
        var fixture = try TopicTableFixture()
        let (web, client) = (fixture.connect(1), fixture.connect(2))
        fixture.send(.subscribe(try fixture.topic("web")), from: client)
        fixture.send(.register(try fixture.registration(sequence: 5)), from: web)
        for sequence in [5, 4] as [UInt64] {
            let effects = fixture.send(.renew(try fixture.registration(sequence: sequence)), from: web)
            #expect(effects.messages(to: client) == [])
        }
    }
}
