import SidecarProtocol
import Testing

@Suite struct PolicyExchangeTests {
    typealias Exchange = PolicyExchange<Int>

    let fixture: PolicyFixture
    let start = Now(monotonic: MonotonicTime(nanoseconds: 0) + .seconds(10), wall: TrustFixture.now)

    init() throws { fixture = try PolicyFixture() }

    func at(_ seconds: UInt64) -> Now {
        Now(monotonic: start.monotonic + .seconds(seconds), wall: start.wall + .seconds(seconds))
    }

    func exchange(holding policy: SignedPolicy? = nil) -> Exchange {
        var exchange = Exchange(domain: fixture.trust.bundle.id)
        if let policy { _ = exchange.take(policy.encoded, from: nil, bundle: fixture.trust.bundle) }
        return exchange
    }

    func say(
        _ message: PolicyMessage, to exchange: inout Exchange, from peer: Int = 1, at now: Now? = nil,
        partBytes: Int = 4_096
    ) -> [Exchange.Event] {
        exchange.handle(
            message, from: peer, partBytes: partBytes, bundle: fixture.trust.bundle, at: now ?? start)
    }

    /// Carries what both say between them until nothing is said; returns what else happened at `asker`.
    func converse(_ asker: inout Exchange, _ giver: inout Exchange, _ first: [Exchange.Event])
        -> (events: [Exchange.Event], requests: Int)
    {
        var (waiting, others, requests) = (first, [Exchange.Event](), 0)
        while !waiting.isEmpty {
            let event = waiting.removeFirst()
            guard case .send(_, let message) = event else {
                others.append(event)
                continue
            }
            requests += 1
            for case .send(_, let answer) in say(message, to: &giver) {
                waiting += say(answer, to: &asker)
            }
        }
        return (others, requests)
    }

    func messages(_ events: [Exchange.Event]) -> [PolicyMessage] {
        events.compactMap { if case .send(_, let message) = $0 { message } else { nil } }
    }

    func errors(_ events: [Exchange.Event]) -> [PolicyError] {
        events.compactMap { if case .refused(let error, _) = $0 { error } else { nil } }
    }

    @Test("a policy of many parts comes by one request for every eight, and is adopted as a whole")
    func transfer() throws {
        let policy = try fixture.large()
        var giver = exchange(holding: policy)
        var asker = exchange()
        let first = asker.heard(policy.head, from: 1, at: start.monotonic)
        #expect(messages(first) == [.request(policy.head, offset: 0)])
        let result = converse(&asker, &giver, first)
        let parts = (policy.encoded.count + 4_095) / 4_096
        #expect(parts > 30 && result.requests == (parts + 7) / 8)
        #expect(asker.store.current == policy && !asker.isFetching)
        #expect(result.events.count == 1)
        #expect(asker.heard(policy.head, from: 2, at: start.monotonic).isEmpty)
    }

    @Test("a large policy is read aside: nothing else is fetched meanwhile, and its peer may go")
    func readAside() throws {
        let (policy, later) = (try fixture.large(), try fixture.sign(fixture.document(epoch: 9)))
        var giver = exchange(holding: policy)
        var asker = Exchange(domain: fixture.trust.bundle.id, readsAside: true)
        let result = converse(&asker, &giver, asker.heard(policy.head, from: 1, at: start.monotonic))
        guard case .toBeRead(let bytes, let head)? = result.events.first, result.events.count == 1 else {
            Issue.record("\(result.events)")
            return
        }
        #expect(bytes == policy.encoded && head == policy.head)
        #expect(asker.isFetching && asker.nextDeadline == nil && asker.store.current == nil)
        #expect(asker.heard(later.head, from: 2, at: start.monotonic).isEmpty)
        #expect(asker.heard(later.head, from: 1, at: start.monotonic).isEmpty)
        #expect(asker.left(1, at: start.monotonic).isEmpty && asker.deadline(at: at(1_000).monotonic).isEmpty)

        let bundle = fixture.trust.bundle
        let read = try ReadPolicy(canonical: bytes)
        let other = later.head
        #expect(asker.read(.success(read.signed), as: other, bundle: bundle, at: start.monotonic).isEmpty)
        let events = asker.read(.success(read.signed), as: head, bundle: bundle, at: start.monotonic)
        #expect(asker.store.current == policy)
        // What was offered meanwhile is asked for now.
        #expect(messages(events) == [.request(later.head, offset: 0)])
        #expect(asker.read(.success(read.signed), as: head, bundle: bundle, at: start.monotonic).isEmpty)
    }

    @Test("one that can't be read is refused, and isn't asked for again")
    func readAsideInVain() throws {
        let policy = try fixture.large()
        var giver = exchange(holding: policy)
        var asker = Exchange(domain: fixture.trust.bundle.id, readsAside: true)
        _ = converse(&asker, &giver, asker.heard(policy.head, from: 1, at: start.monotonic))
        let events = asker.read(
            .failure(.invalid(field: "mode")), as: policy.head, bundle: fixture.trust.bundle,
            at: start.monotonic)
        #expect(errors(events) == [.invalid(field: "mode")] && !asker.isFetching)
        #expect(asker.heard(policy.head, from: 2, at: start.monotonic).isEmpty)
    }

    @Test("a beacon comes behind the policy that names its key")
    func beaconFollows() throws {
        var document = fixture.document()
        document.freshnessKeys = [TrustFixture.signing(0x60).publicKey]
        let policy = try fixture.sign(document)
        var giver = exchange(holding: policy)
        let beacon = FreshnessBeacon.signed(
            of: fixture.trust.bundle.id, at: start.wall, by: TrustFixture.signing(0x60))
        #expect(giver.take(beacon: beacon, from: nil, at: start).count == 1)
        #expect(giver.take(beacon: beacon, from: nil, at: start).isEmpty)
        var asker = exchange()
        #expect(asker.take(beacon: beacon, from: nil, at: start).isEmpty)
        _ = converse(&asker, &giver, asker.heard(policy.head, from: 1, at: start.monotonic))
        #expect(asker.freshness.until == start.monotonic + Limits.lease)
    }

    @Test("who sends another policy than the head says loses its turn, and the next is asked")
    func wrongHead() throws {
        let (first, second) = (
            try fixture.sign(fixture.document(epoch: 1)), try fixture.sign(fixture.document(epoch: 2))
        )
        var asker = exchange()
        _ = asker.heard(second.head, from: 1, at: start.monotonic)
        #expect(asker.heard(second.head, from: 2, at: start.monotonic).isEmpty)
        let bytes = first.encoded
        let events = say(
            .part(PolicyPart(head: second.head, offset: 0, total: UInt32(bytes.count), bytes: bytes)),
            to: &asker, from: 1)
        #expect(errors(events) == [.wrongHead(first.head, expected: second.head)])
        #expect(messages(events) == [.request(second.head, offset: 0)])
        #expect(asker.store.head.epoch == 0)
    }

    @Test("a forged policy is refused, changes nothing and isn't asked for again")
    func forged() throws {
        let forged = try fixture.document().sealed(
            by: TrustFixture.signing(0x51), certificate: fixture.certificate)
        var asker = exchange()
        _ = asker.heard(forged.head, from: 1, at: start.monotonic)
        let bytes = forged.encoded
        let events = say(
            .part(PolicyPart(head: forged.head, offset: 0, total: UInt32(bytes.count), bytes: bytes)),
            to: &asker)
        #expect(errors(events) == [.badSignature])
        #expect(asker.store.current == nil)
        #expect(asker.heard(forged.head, from: 1, at: start.monotonic).isEmpty)
    }

    @Test("who doesn't answer within two seconds loses its turn to the next")
    func silence() throws {
        let policy = try fixture.large()
        var asker = exchange()
        _ = asker.heard(policy.head, from: 1, at: start.monotonic)
        _ = asker.heard(policy.head, from: 2, at: start.monotonic)
        #expect(asker.nextDeadline == at(2).monotonic)
        #expect(asker.deadline(at: at(1).monotonic).isEmpty)
        let events = asker.deadline(at: at(2).monotonic)
        guard case .send(2, .request(policy.head, offset: 0))? = events.first else {
            Issue.record("the second peer wasn't asked: \(events)")
            return
        }
        _ = asker.deadline(at: at(4).monotonic)
        #expect(asker.nextDeadline == nil)
        // Stated again, it is asked again.
        #expect(messages(asker.heard(policy.head, from: 1, at: at(4).monotonic)).count == 1)
    }

    @Test("who answers by drops is cut off after twenty seconds")
    func drops() throws {
        let policy = try fixture.large()
        var asker = exchange()
        _ = asker.heard(policy.head, from: 1, at: start.monotonic)
        let total = UInt32(policy.encoded.count)
        for index in 0..<UInt32(160) {
            let part = PolicyPart(
                head: policy.head, offset: index, total: total, bytes: [policy.encoded[Int(index)]])
            _ = say(.part(part), to: &asker, at: at(UInt64(index) / 8))
        }
        #expect(asker.isFetching && asker.nextDeadline == at(20).monotonic)
        _ = asker.deadline(at: at(20).monotonic)
        #expect(!asker.isFetching)
    }

    @Test("a policy that was replaced meanwhile is answered by the newer head")
    func replaced() throws {
        let (first, second) = (
            try fixture.sign(fixture.document(epoch: 1)), try fixture.sign(fixture.document(epoch: 2))
        )
        var giver = exchange(holding: second)
        #expect(messages(say(.request(first.head, offset: 0), to: &giver)) == [.head(second.head)])
        var asker = exchange()
        _ = asker.heard(first.head, from: 1, at: start.monotonic)
        #expect(messages(say(.head(second.head), to: &asker)) == [.request(second.head, offset: 0)])
    }

    @Test("parts that weren't asked for, or don't fit, are ignored")
    func strayParts() throws {
        let policy = try fixture.large()
        var asker = exchange()
        let part = PolicyPart(head: policy.head, offset: 0, total: 100, bytes: [1])
        #expect(say(.part(part), to: &asker).isEmpty)
        _ = asker.heard(policy.head, from: 1, at: start.monotonic)
        #expect(say(.part(part), to: &asker, from: 2).isEmpty)
        #expect(say(.part(part), to: &asker).isEmpty)
        // The same again, and one of another length, lie at the wrong place.
        #expect(say(.part(part), to: &asker).isEmpty)
        _ = say(.part(PolicyPart(head: policy.head, offset: 1, total: 101, bytes: [1])), to: &asker)
        #expect(asker.store.current == nil && asker.isFetching)
    }

    @Test("parts and requests have their limits, at n and n + 1")
    func limits() throws {
        func read(_ offset: Int, _ total: Int, _ count: Int) -> Bool {
            let item = CBOR.array([
                .unsigned(3), .array([.unsigned(1), .bytes([UInt8](repeating: 0, count: 32))]),
                .unsigned(UInt64(offset)), .unsigned(UInt64(total)),
                .bytes([UInt8](repeating: 0, count: count)),
            ])
            return (try? PolicyMessage(item)) != nil
        }
        let (most, part) = (Limits.policyBytesMaximum, Limits.policyPartBytesMaximum)
        #expect(read(0, most, part) && !read(0, most + 1, part) && !read(0, most, part + 1))
        #expect(read(most - 1, most, 1) && !read(most, most, 1) && !read(most - 1, most, 2) && !read(0, 9, 0))
        func request(_ offset: Int) -> Bool {
            let head = CBOR.array([.unsigned(1), .bytes([UInt8](repeating: 0, count: 32))])
            return (try? PolicyMessage(.array([.unsigned(2), head, .unsigned(UInt64(offset))]))) != nil
        }
        #expect(request(most - 1) && !request(most))
    }
}
