import SidecarProtocol
import Testing

@Suite("What a topic table remembers")
struct TopicTableMemoryTests {
    @Test("incarnations and tombstones outlive the node")
    func restores() throws {
        var first = try TopicTableFixture()
        let (web, db) = (first.connect(1), first.connect(2))
        let registration = try first.registration(incarnation: 2)
        first.send(.register(registration), from: web)
        first.send(.register(try first.registration("db", seed: 2, incarnation: 7)), from: db)
        let saved = first.handle(.processEnded(web)).persisted
        #expect(Set(saved.map(\.incarnation)) == [2, 7])

        var second = try TopicTableFixture()
        second.handle(.saved(saved))
        #expect(second.table.status.tombstones == 1)
        let client = second.connect(1)
        let (again, older) = (second.connect(2), second.connect(3))
        #expect(
            second.send(.subscribe(try second.topic("web")), from: client).messages(to: client)
                == [.tombstone(registration.tombstone)])
        #expect(second.send(.register(registration), from: again).refusals.count == 1)
        let replacement = try second.registration(incarnation: 3)
        #expect(second.send(.register(replacement), from: again).refusals == [])
        let outdated = try second.registration("db", seed: 2, incarnation: 6)
        #expect(second.send(.register(outdated), from: older).refusals.count == 1)
    }

    @Test("a saved tombstone that can't be verified is left out")
    func restoresOnlyWhatVerifies() throws {
        var first = try TopicTableFixture()
        let web = first.connect(1)
        first.send(.register(try first.registration()), from: web)
        var saved = first.handle(.processEnded(web)).persisted
        saved[0].tombstone?.bytes = try first.registration(seed: 2).tombstone
        var second = try TopicTableFixture()
        second.handle(.saved(saved))
        #expect(second.table.status.tombstones == 0)
    }

    @Test("what the certificates have outlived is forgotten")
    func forgets() throws {
        var fixture = try TopicTableFixture()
        let web = fixture.connect(1)
        fixture.send(.register(try fixture.registration()), from: web)
        fixture.handle(.processEnded(web))
        #expect(fixture.table.status.tombstones == 1)
        _ = fixture.advance(Limits.leafLifetime)
        #expect(fixture.table.status.tombstones == 1)
        _ = fixture.advance(.milliseconds(Limits.peerClockSkew.milliseconds + 1000))
        #expect(fixture.table.status.tombstones == 0)
        #expect(fixture.table.status.certificates == 0)
    }

    @Test("saved bytes that are damaged are an error, never a trap")
    func damagedFile() throws {
        var fixture = try TopicTableFixture()
        let web = fixture.connect(1)
        fixture.send(.register(try fixture.registration()), from: web)
        var bytes: [UInt8] = []
        for case .persist(let written) in fixture.handle(.processEnded(web)) { bytes = written }
        #expect(throws: Never.self) { try SavedMemory.list(canonical: bytes) }
        for index in bytes.indices {
            #expect(throws: CBORError.self) { try SavedMemory.list(canonical: Array(bytes[..<index])) }
            var changed = bytes
            changed[index] ^= 0x41
            _ = try? SavedMemory.list(canonical: changed)
        }
    }

    @Test("an instance that doesn't come back has left after 3 s; one that does hasn't")
    func departs() throws {
        var fixture = try TopicTableFixture()
        let web = fixture.connect(1)
        let instance = TrustFixture.instance(1)
        let came = fixture.send(.register(try fixture.registration()), from: web)
        #expect(came.contains(.instanceCame(instance, folder: "/run/instance", launcher: 77)))
        fixture.handle(.disconnected(web))
        fixture.handle(.processEnded(web))
        #expect(!fixture.table.isIdle)
        let replacement = fixture.connect(2)
        fixture.send(.register(try fixture.registration(incarnation: 2)), from: replacement)
        #expect(fixture.advance(Limits.instanceReturnDelay) == [])
        fixture.handle(.disconnected(replacement))
        fixture.handle(.processEnded(replacement))
        #expect(fixture.advance(.milliseconds(Limits.instanceReturnDelay.milliseconds - 1)) == [])
        #expect(
            fixture.advance(.milliseconds(1))
                == [.instanceLeft(instance, folder: "/run/instance")])
        #expect(fixture.table.isIdle)
    }

    @Test("a new trust bundle keeps what is known of incarnations")
    func changesTrust() throws {
        var fixture = try TopicTableFixture()
        let web = fixture.connect(1)
        fixture.send(.register(try fixture.registration(incarnation: 4)), from: web)
        fixture.handle(.trust(fixture.trust.bundle, fixture.trust.discoveryKey))
        let other = fixture.connect(2)
        #expect(
            fixture.send(.register(try fixture.registration(incarnation: 3)), from: other).refusals.count == 1
        )
        #expect(
            fixture.send(.renew(try fixture.registration(incarnation: 4, sequence: 2)), from: web).refusals
                == [])
    }
}
