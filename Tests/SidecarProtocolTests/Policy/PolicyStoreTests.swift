import SidecarProtocol
import Testing

@Suite struct PolicyStoreTests {
    let fixture: PolicyFixture
    var store: PolicyStore

    init() throws {
        fixture = try PolicyFixture()
        store = PolicyStore(domain: fixture.trust.bundle.id)
    }

    mutating func take(_ document: PolicyDocument) throws -> PolicyStore.Change {
        try store.take(try fixture.sign(document), bundle: fixture.trust.bundle)
    }

    @Test("a higher epoch replaces a lower one, and never the other way round")
    mutating func epochs() throws {
        #expect(store.head.epoch == 0)
        #expect(try take(fixture.document(epoch: 3)) == .adopted)
        #expect(try take(fixture.document(epoch: 3)) == .known)
        #expect(throws: PolicyError.olderEpoch(2, held: 3)) { try take(fixture.document(epoch: 2)) }
        #expect(try take(fixture.document(epoch: 4)) == .adopted)
        #expect(store.head.epoch == 4 && !store.isFrozen)
    }

    @Test("two policies of one epoch freeze everything but what settles both")
    mutating func conflict() throws {
        #expect(try take(fixture.document(epoch: 3)) == .adopted)
        let first = store.head
        #expect(try take(fixture.document(epoch: 3, mode: .audit)) == .conflict)
        #expect(store.isFrozen && store.heads.count == 2 && store.head == first)
        #expect(throws: PolicyError.frozen(epoch: 3)) {
            try take(fixture.document(epoch: 3, unmatched: .deny))
        }
        #expect(throws: PolicyError.frozen(epoch: 3)) { try take(fixture.document(epoch: 4)) }
        var settling = fixture.document(epoch: 4)
        settling.settles = [first]
        #expect(throws: PolicyError.frozen(epoch: 3)) { try take(settling) }
        settling.settles = store.heads
        #expect(try take(settling) == .adopted)
        #expect(!store.isFrozen && store.head.epoch == 4)
    }

    @Test("a policy of a key that the held one revokes isn't taken")
    mutating func revokedKey() throws {
        var document = fixture.document(epoch: 1)
        let keyID = fixture.keys.publicKey.keyID
        document.revocations = [PolicyRevocation(.issuer(keyID: keyID), reason: "stolen")]
        #expect(try take(document) == .adopted)
        #expect(throws: PolicyError.revokedKey(keyID: keyID)) { try take(fixture.document(epoch: 2)) }
        #expect(store.head.epoch == 1)
    }

    @Test("only news is wanted")
    mutating func wants() throws {
        func head(_ epoch: UInt64) -> PolicyHead {
            PolicyHead(epoch: epoch, hash: [UInt8](repeating: 1, count: 32))!
        }
        #expect(!store.wants(head(0)) && store.wants(head(1)))
        _ = try take(fixture.document(epoch: 3))
        #expect(!store.wants(head(2)) && store.wants(head(3)) && store.wants(head(4)))
        #expect(!store.wants(store.head))
        _ = try take(fixture.document(epoch: 3, mode: .audit))
        #expect(!store.wants(head(3)) && store.wants(head(4)))
    }
}
