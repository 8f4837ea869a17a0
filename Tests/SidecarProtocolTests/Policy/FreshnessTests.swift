import SidecarProtocol
import Testing

@Suite struct FreshnessTests {
    let fixture: PolicyFixture
    let keys = TrustFixture.signing(0x60)
    var freshness = Freshness()
    let start = Now(monotonic: MonotonicTime(nanoseconds: 0) + .seconds(1_000), wall: TrustFixture.now)

    init() throws { fixture = try PolicyFixture() }

    func at(_ seconds: UInt64) -> Now {
        Now(monotonic: start.monotonic + .seconds(seconds), wall: start.wall + .seconds(seconds))
    }

    var document: PolicyDocument {
        var document = fixture.document()
        document.freshnessKeys = [keys.publicKey]
        return document
    }

    func beacon(_ time: WallTime, by key: SigningKeyPair? = nil) -> [UInt8] {
        FreshnessBeacon.signed(of: fixture.trust.bundle.id, at: time, by: key ?? keys)
    }

    @Test("a beacon counts for the lease from its issue, and no repetition prolongs it")
    mutating func lease() throws {
        #expect(!freshness.isFresh(at: start.monotonic))
        let first = beacon(start.wall)
        #expect(try freshness.take(first, for: document, at: at(10)))
        #expect(freshness.isFresh(at: at(29).monotonic) && !freshness.isFresh(at: at(30).monotonic))
        #expect(throws: PolicyError.repeatedBeacon) { try freshness.take(first, for: document, at: at(11)) }
        #expect(try freshness.take(beacon(at(12).wall), for: document, at: at(12)))
        #expect(freshness.isFresh(at: at(41).monotonic) && !freshness.isFresh(at: at(42).monotonic))
    }

    @Test("a beacon that is stale, from the future, foreign or forged is refused")
    mutating func refusals() throws {
        #expect(throws: PolicyError.staleBeacon(milliseconds: 0)) {
            try freshness.take(beacon(start.wall), for: document, at: at(30))
        }
        #expect(throws: PolicyError.notYetIssued(milliseconds: 1)) {
            try freshness.take(
                beacon(start.wall + .milliseconds(30_001)), for: document, at: start)
        }
        let other = TrustFixture.signing(0x61)
        #expect(throws: PolicyError.unknownFreshnessKey(keyID: other.publicKey.keyID)) {
            try freshness.take(beacon(start.wall, by: other), for: document, at: start)
        }
        var forged = beacon(start.wall)
        forged[forged.count - 1] ^= 1
        #expect(throws: PolicyError.badSignature) { try freshness.take(forged, for: document, at: start) }
        let domain = TrustDomainID([UInt8](repeating: 2, count: 32))!
        #expect(throws: PolicyError.wrongDomain(domain, expected: fixture.trust.bundle.id)) {
            try freshness.take(
                FreshnessBeacon.signed(of: domain, at: start.wall, by: keys), for: document, at: start)
        }
        #expect(!freshness.isFresh(at: start.monotonic))
    }

    @Test("a clock set back makes no old beacon count again")
    mutating func clockSetBack() throws {
        #expect(try freshness.take(beacon(start.wall), for: document, at: start))
        let later = Now(monotonic: at(60).monotonic, wall: start.wall)
        #expect(throws: PolicyError.repeatedBeacon) {
            try freshness.take(beacon(start.wall), for: document, at: later)
        }
        #expect(!freshness.isFresh(at: later.monotonic))
    }

    @Test("what rests on a key ends when the policy no longer names it")
    mutating func keysChange() throws {
        #expect(try freshness.take(beacon(start.wall), for: document, at: start))
        freshness.keep(only: [keys.publicKey])
        #expect(freshness.isFresh(at: start.monotonic))
        freshness.keep(only: [])
        #expect(!freshness.isFresh(at: start.monotonic))
    }

    @Test("a beacon has 256 bytes at most")
    func size() {
        #expect(beacon(start.wall).count <= Limits.beaconBytesMaximum)
        #expect(throws: PolicyError.tooLarge(bytes: 257)) {
            try FreshnessBeacon(canonical: [UInt8](repeating: 0, count: 257))
        }
    }
}
