import SidecarProtocol
import Testing

@Suite("Nodes of other hosts")
struct NeighbourTests {
    private typealias Table = TopicTable
    private let fixture: TrustFixture
    private let client = TopicTable.Client(number: 1)
    private let here = TopicTable.Neighbour(number: 1)
    private let there = TopicTable.Neighbour(number: 2)
    private let now = Now(monotonic: MonotonicTime(nanoseconds: 1 << 40), wall: TrustFixture.now)

    private let chain: NodeMessage
    private let tombstone: [UInt8]

    init() throws {
        fixture = try TrustFixture()
        let leaf = try fixture.leaf()
        chain = .certificate(leaf: leaf.encoded, issuer: fixture.issuer.encoded)
        tombstone = Tombstone(certificate: leaf, incarnation: 1, sequence: 1)
            .signed(by: TrustFixture.signing(1))
    }

    private var topic: TopicID { TopicID(name: "svc/default/web", key: fixture.discoveryKey) }

    private func announcement(sequence: UInt64 = 1) throws -> [UInt8] {
        try Announcement(
            topic: topic, certificate: fixture.leaf(), incarnation: 1, sequence: sequence,
            timeToLive: .seconds(90), endpoints: [Endpoint(IPAddress(v4: 0x0A00_0001), 4433)],
            versions: 1...1
        ).signed(by: TrustFixture.signing(1))
    }

    private func table(_ neighbours: [TopicTable.Neighbour]) -> TopicTable {
        var table = TopicTable(ownUserID: 1000)
        _ = feed(&table, .trust(fixture.bundle, fixture.discoveryKey))
        for neighbour in neighbours { _ = feed(&table, .neighbourCame(neighbour)) }
        return table
    }

    private func feed(
        _ table: inout TopicTable, _ input: TopicTable.Input, at time: Now? = nil
    ) -> [TopicTable.Effect] {
        var effects: [TopicTable.Effect] = []
        table.handle(input, at: time ?? now, effects: &effects)
        return effects
    }

    private func onlyLogs(_ effects: [TopicTable.Effect]) -> Bool { effects.allSatisfy(\.isLog) }

    private func register(_ table: inout TopicTable) throws -> [TopicTable.Effect] {
        _ = feed(&table, .connected(client, userID: 1000))
        return feed(
            &table,
            .message(
                client,
                .register(
                    NodeRegistration(
                        announcements: [try announcement()], leaf: try fixture.leaf().encoded,
                        issuer: fixture.issuer.encoded, tombstone: tombstone,
                        instanceFolder: "/run/mesh/instances/01", launcherProcessID: 1))))
    }

    @Test("a neighbour is told what this host announces: at once, and each change")
    func tells() throws {
        var table = table([here])
        let news: [NodeMessage] = [chain, .announcement(try announcement())]
        let told = try register(&table).filter(\.isTold)
        #expect(told == news.map { .tell(here, $0) })
        #expect(feed(&table, .neighbourCame(there)) == news.map { .tell(there, $0) })
        let end = feed(&table, .processEnded(client)).filter(\.isTold)
        let tombstone = NodeMessage.tombstone(self.tombstone)
        #expect(Set(end) == [.tell(here, tombstone), .tell(there, tombstone)])
        // Who comes later hears of the end, and no longer of the announcement.
        let third = TopicTable.Neighbour(number: 3)
        #expect(feed(&table, .neighbourCame(third)) == [.tell(third, chain), .tell(third, tombstone)])
    }

    @Test("what a neighbour says reaches subscribers and other neighbours, once, in its own bytes")
    func relays() throws {
        var table = table([here, there])
        _ = feed(&table, .connected(client, userID: 1000))
        _ = feed(&table, .message(client, .subscribe(topic)))
        #expect(feed(&table, .neighbourSaid(here, chain)).isEmpty)
        let said = NodeMessage.announcement(try announcement())
        #expect(
            feed(&table, .neighbourSaid(here, said)) == [
                .send(client, chain), .send(client, said), .tell(there, chain),
                .tell(there, said),
            ])
        #expect(feed(&table, .neighbourSaid(there, said)).isEmpty)
        #expect(feed(&table, .neighbourSaid(here, said)).isEmpty)
        let over = NodeMessage.tombstone(tombstone)
        #expect(feed(&table, .neighbourSaid(here, over)) == [.send(client, over), .tell(there, over)])
        #expect(feed(&table, .neighbourSaid(there, over)).isEmpty)
        #expect(feed(&table, .neighbourSaid(there, said)).isEmpty, "what is buried stays buried")
    }

    private func later(_ seconds: UInt64) -> Now {
        let span = MonotonicTime.Span.seconds(seconds)
        return Now(monotonic: now.monotonic + span, wall: now.wall + span)
    }

    @Test("who comes late is told what was heard of others too, with the age that it has reached")
    func secondHand() throws {
        var table = table([here])
        let bytes = try announcement()
        _ = feed(&table, .neighbourSaid(here, chain))
        _ = feed(&table, .neighbourSaid(here, .announcement(bytes, age: .seconds(20))))
        #expect(
            feed(&table, .neighbourCame(there), at: later(30)) == [
                .tell(there, chain), .tell(there, .announcement(bytes, age: .seconds(50))),
            ])
        let renewal = NodeMessage.announcement(try announcement(sequence: 2))
        #expect(feed(&table, .neighbourSaid(here, renewal), at: later(40)) == [.tell(there, renewal)])
    }

    @Test("along a chain of hosts an announcement ends everywhere when its time to live does")
    func chainOfHosts() throws {
        var (second, third) = (table([here]), table([here]))
        _ = feed(&second, .neighbourSaid(here, chain))
        _ = feed(&second, .neighbourSaid(here, .announcement(try announcement())))
        for case .tell(_, let message) in feed(&second, .neighbourCame(there), at: later(60)) {
            _ = feed(&third, .neighbourSaid(here, message), at: later(60))
        }
        #expect(third.status.announcements == 1)
        _ = feed(&third, .deadline, at: later(89))
        #expect(third.status.announcements == 1)
        _ = feed(&third, .deadline, at: later(90))
        #expect(third.status.announcements == 0)
        // Nobody who held it for longer can bring it back.
        for case .tell(_, let message) in feed(&second, .neighbourCame(there), at: later(89)) {
            _ = feed(&third, .neighbourSaid(here, message), at: later(90))
        }
        _ = feed(&third, .deadline, at: later(91))
        #expect(third.status.announcements == 0)
    }

    @Test(
        "an age as long as the time to live, or longer, is no announcement",
        arguments: [MonotonicTime.Span.seconds(89), .seconds(90), MonotonicTime.Span(nanoseconds: .max)])
    func tooOld(age: MonotonicTime.Span) throws {
        var table = table([here, there])
        _ = feed(&table, .neighbourSaid(here, chain))
        let old = NodeMessage.announcement(try announcement(), age: age)
        let read = try NodeMessage(canonical: old.encoded())
        #expect(feed(&table, .neighbourSaid(here, read)).isEmpty == (age >= .seconds(90)))
        #expect(table.status.announcements == (age >= .seconds(90) ? 0 : 1))
    }

    @Test("an announcement ages while it waits for its certificate")
    func agesWaiting() throws {
        var table = table([here])
        _ = feed(&table, .neighbourSaid(here, .announcement(try announcement(), age: .seconds(70))))
        _ = feed(&table, .neighbourSaid(here, chain), at: later(19))
        #expect(table.status.announcements == 1)
        _ = feed(&table, .deadline, at: later(20))
        #expect(table.status.announcements == 0)
    }

    @Test("a flipped bit, a foreign chain and a missing one never reach a subscriber")
    func refuses() throws {
        var table = table([here])
        _ = feed(&table, .connected(client, userID: 1000))
        _ = feed(&table, .message(client, .subscribe(topic)))
        let sound = try announcement()
        #expect(onlyLogs(feed(&table, .neighbourSaid(here, .announcement(sound)))))
        _ = feed(&table, .neighbourSaid(here, .certificate(leaf: [1], issuer: [2])))
        let foreign = try TrustFixture(seed: 0x20)
        let foreignChain = NodeMessage.certificate(
            leaf: try foreign.leaf().encoded, issuer: foreign.issuer.encoded)
        #expect(onlyLogs(feed(&table, .neighbourSaid(here, foreignChain))))
        for bit in stride(from: 0, to: sound.count * 8, by: 7) {
            var other = table
            var changed = sound
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(onlyLogs(feed(&other, .neighbourSaid(here, .announcement(changed)))))
        }
        // The chain comes late: what waited for it is believed now.
        #expect(
            feed(&table, .neighbourSaid(here, chain))
                == [.send(client, chain), .send(client, .announcement(sound))])
    }

    @Test("an announcement of another host ends with its time to live")
    func expires() throws {
        var table = table([here])
        _ = feed(&table, .neighbourSaid(here, chain))
        _ = feed(&table, .neighbourSaid(here, .announcement(try announcement())))
        #expect(table.status.announcements == 1 && table.status.neighbours == 1)
        let later = Now(monotonic: now.monotonic + .seconds(90), wall: now.wall + .seconds(90))
        _ = feed(&table, .deadline, at: later)
        #expect(table.status.announcements == 0)
    }

    @Test("who has left, or never proved to be a node, isn't listened to")
    func strangers() throws {
        var table = table([here])
        _ = feed(&table, .neighbourLeft(here))
        for neighbour in [here, there] {
            #expect(feed(&table, .neighbourSaid(neighbour, chain)).isEmpty)
        }
        #expect(table.status.certificates == 0 && table.status.neighbours == 0)
    }
}

extension TopicTable.Effect {
    fileprivate var isTold: Bool { if case .tell = self { true } else { false } }
    fileprivate var isLog: Bool { if case .log = self { true } else { false } }
}
