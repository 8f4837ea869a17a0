import SidecarProtocol
import Testing

@Suite struct AnnouncementTests {
    let fixture: TrustFixture
    let leaf: Certificate
    let keys = TrustFixture.signing(1)
    let now = TrustFixture.now

    init() throws {
        fixture = try TrustFixture()
        leaf = try fixture.leaf()
    }

    var topic: TopicID { TopicID(name: "svc/default/web", key: fixture.discoveryKey) }

    func announcement(sequence: UInt64 = 1, incarnation: UInt64 = 1) -> Announcement {
        Announcement(
            topic: topic, certificate: leaf, incarnation: incarnation, sequence: sequence,
            timeToLive: .seconds(90),
            endpoints: [
                Endpoint(IPAddress(v4: 0x0A00_0001), 4433),
                Endpoint(IPAddress([UInt8](repeating: 0xFD, count: 16))!, 65_535),
            ], versions: 1...1)
    }

    func verify(_ bytes: [UInt8], certificate: Certificate? = nil, at time: WallTime? = nil) throws {
        try Announcement(canonical: bytes).verify(
            certificate: certificate ?? leaf, discoveryKey: fixture.discoveryKey, at: time ?? now)
    }

    /// The fields with one changed, signed by the right key.
    func tampered(
        _ announcement: Announcement, _ change: (inout [CBOR.Pair]) -> Void
    ) throws -> [UInt8] {
        let signed = try SignedBytes(canonical: announcement.signed(by: keys))
        var fields = try CBORFields(try CBOR(canonical: signed.body), of: "announcement").pairs
        change(&fields)
        return SignedBytes(
            body: CBOR.map(fields).encoded(), context: .announcement, signedBy: keys
        ).encoded()
    }

    @Test("an announcement is read back as it was written, and believed")
    func roundTrip() throws {
        var full = announcement()
        full.capabilities = 5
        full.load = 250
        full.extensions = ["zone": [1, 2]]
        for announcement in [announcement(), full] {
            let bytes = try announcement.signed(by: keys)
            let read = try Announcement(canonical: bytes)
            #expect(read.endpoints == announcement.endpoints && read.versions == 1...1)
            #expect(read.identity == leaf.identity && read.instance == leaf.instance)
            #expect(read.certificateHash == leaf.hash && read.timeToLive == .seconds(90))
            #expect(read.capabilities == announcement.capabilities && read.load == announcement.load)
            #expect(read.extensions == announcement.extensions)
            #expect(try read.signed(by: keys) == bytes)
            try verify(bytes)
        }
        #expect(try announcement().signed(by: keys).count <= 400)
    }

    @Test("one flipped bit anywhere never verifies")
    func flippedBits() throws {
        let bytes = try announcement().signed(by: keys)
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: AnnouncementError.self, "bit \(bit)") { try verify(changed) }
        }
    }

    @Test("only its own certificate, of its own key and topic, makes it believed")
    func certificates() throws {
        let bytes = try announcement().signed(by: keys)
        #expect(throws: AnnouncementError.wrongCertificate) {
            try verify(bytes, certificate: fixture.leaf(seed: 2))
        }
        #expect(throws: AnnouncementError.badSignature) {
            try verify(try announcement().signed(by: TrustFixture.signing(9)))
        }
        var other = announcement()
        other.topic = TopicID(name: "svc/default/db", key: fixture.discoveryKey)
        #expect(throws: AnnouncementError.topicNotGranted(other.topic)) {
            try verify(try other.signed(by: keys))
        }
        other = announcement()
        other.topic = TopicID(
            name: "svc/default/web", key: DiscoveryKey([UInt8](repeating: 1, count: 32))!)
        #expect(throws: AnnouncementError.topicNotGranted(other.topic)) {
            try verify(try other.signed(by: keys))
        }
        other = announcement()
        other.staticKey = TrustFixture.exchange(2).publicKey
        #expect(throws: AnnouncementError.wrongStaticKey) { try verify(try other.signed(by: keys)) }
        other = announcement()
        other.identity = try SPIFFEIdentity(parsing: "spiffe://local-00c0ffee/ns/default/w/db")
        #expect(throws: AnnouncementError.wrongCertificate) { try verify(try other.signed(by: keys)) }
        other = announcement()
        other.instance = TrustFixture.instance(2)
        #expect(throws: AnnouncementError.wrongCertificate) { try verify(try other.signed(by: keys)) }
    }

    @Test("an announcement never outlives its leaf")
    func life() throws {
        let announcement = announcement()
        let bytes = try announcement.signed(by: keys)
        let end = leaf.notAfter + Limits.peerClockSkew
        #expect(throws: Never.self) { try verify(bytes, at: end - .milliseconds(1)) }
        #expect(throws: AnnouncementError.certificateOver) { try verify(bytes, at: end) }
        #expect(announcement.life(under: leaf, at: now) == .seconds(90))
        #expect(announcement.life(under: leaf, at: end - .seconds(20)) == .seconds(20))
        #expect(announcement.life(under: leaf, at: end) == .seconds(0))
        #expect(announcement.life(under: leaf, at: WallTime(milliseconds: .max)) == .seconds(0))
        #expect(announcement.life(under: leaf, at: WallTime(milliseconds: .min)) == .seconds(90))
    }

    @Test("the greater incarnation, then the greater sequence, counts")
    func order() {
        #expect(announcement(sequence: 2).supersedes(announcement(sequence: 1)))
        #expect(!announcement(sequence: 1).supersedes(announcement(sequence: 1)))
        #expect(announcement(sequence: 1, incarnation: 2).supersedes(announcement(sequence: 9)))
    }

    @Test("a field that is missing or of a wrong type is refused")
    func fields() throws {
        let optional: Set<UInt64> = [11, 12, 13]
        var full = announcement()
        full.capabilities = 1
        full.load = 1
        full.extensions = ["a": []]
        for key in UInt64(0)...14 {
            let without = try tampered(full) { $0.removeAll { $0.key == .unsigned(key) } }
            if optional.contains(key) {
                #expect(throws: Never.self) { try Announcement(canonical: without) }
            } else {
                #expect(throws: AnnouncementError.self, "without \(key)") {
                    try Announcement(canonical: without)
                }
            }
            for value: CBOR in [
                .null, .bool(true), .negative(0), .unsigned(0), .unsigned(.max), .bytes([]), .text(""),
                .array([]), .map([]), .bytes([1]), .text("\u{e9}"), .array([.null]), .array([.bytes([1])]),
                .array([.unsigned(2), .unsigned(1)]), .map([CBOR.Pair(.null, .null)]),
            ] {
                // Any number will do as incarnation, sequence, capabilities and the writer's version;
                // no reader is too old for a minimum of zero.
                if case .unsigned(let number) = value {
                    if [0, 5, 6].contains(key) || key == 1 && number == 0 { continue }
                    if key == 11 && number > 0 { continue }
                }
                let wrong = try tampered(full) { fields in
                    fields.removeAll { $0.key == .unsigned(key) }
                    fields.append(CBOR.Pair(.unsigned(key), value))
                }
                #expect(throws: AnnouncementError.self, "\(key): \(value)") {
                    try Announcement(canonical: wrong)
                }
            }
        }
    }

    @Test("later fields are kept where they may be, and refused where they are critical")
    func laterFields() throws {
        let kept = try tampered(announcement()) { $0.append(CBOR.Pair(.unsigned(70), .text("later"))) }
        let read = try Announcement(canonical: kept)
        #expect(read.unknown.count == 1)
        #expect(try read.signed(by: keys) == kept)
        try verify(kept)
        for key in [UInt64(15), 63, 65] {
            let critical = try tampered(announcement()) { $0.append(CBOR.Pair(.unsigned(key), .null)) }
            #expect(throws: AnnouncementError.unknownCriticalField(key)) {
                try Announcement(canonical: critical)
            }
        }
        let newer = try tampered(announcement()) { $0[1].value = .unsigned(2) }
        #expect(throws: AnnouncementError.needsReader(version: 2)) { try Announcement(canonical: newer) }
    }

    @Test("every limit holds at its value and refuses one past it")
    func limits() throws {
        func refuses(_ change: (inout Announcement) -> Void) -> Bool {
            var changed = announcement()
            change(&changed)
            return (try? changed.signed(by: keys)) == nil
        }
        let endpoint = Endpoint(IPAddress(v4: 1), 1)
        let most = [Endpoint](repeating: endpoint, count: Limits.announcementEndpointsMaximum)
        #expect(!refuses { $0.endpoints = most })
        #expect(refuses { $0.endpoints = most + [endpoint] })
        #expect(refuses { $0.endpoints = [] })
        #expect(refuses { $0.endpoints = [Endpoint(IPAddress(v4: 1), 0)] })
        #expect(!refuses { $0.timeToLive = Limits.announcementLifeMaximum })
        #expect(refuses { $0.timeToLive = .milliseconds(Limits.announcementLifeMaximum.milliseconds + 1) })
        #expect(refuses { $0.timeToLive = .milliseconds(0) })
        let names = (0..<Limits.announcementExtensionsMaximum).map { "\($0)" }
        #expect(!refuses { $0.extensions = Dictionary(uniqueKeysWithValues: names.map { ($0, []) }) })
        #expect(
            refuses {
                $0.extensions = Dictionary(uniqueKeysWithValues: (names + ["more"]).map { ($0, []) })
            })
    }

    @Test("an announcement may have 600 bytes, and not one more")
    func size() throws {
        func padded(_ count: Int) throws -> [UInt8] {
            var padded = announcement()
            padded.extensions = ["p": [UInt8](repeating: 0, count: count)]
            return try padded.signed(by: keys)
        }
        // From 256 bytes on, each byte more is one byte more.
        let base = try padded(256).count - 256
        let fits = Limits.announcementBytesMaximum - base
        #expect(try padded(fits).count == Limits.announcementBytesMaximum)
        #expect(throws: AnnouncementError.tooLong(601, maximum: 600)) { try padded(fits + 1) }
    }
}

@Suite struct TombstoneTests {
    let fixture: TrustFixture
    let leaf: Certificate
    let keys = TrustFixture.signing(1)

    init() throws {
        fixture = try TrustFixture()
        leaf = try fixture.leaf()
    }

    func announcement(_ incarnation: UInt64, _ sequence: UInt64, seed: UInt8 = 1) throws -> Announcement {
        Announcement(
            topic: TopicID(name: "svc/default/web", key: fixture.discoveryKey),
            certificate: try fixture.leaf(seed: seed), incarnation: incarnation, sequence: sequence,
            timeToLive: .seconds(90), endpoints: [Endpoint(IPAddress(v4: 1), 1)], versions: 1...1)
    }

    @Test("a tombstone buries its incarnation up to its sequence, and nothing else")
    func buries() throws {
        let bytes = Tombstone(certificate: leaf, incarnation: 2, sequence: 5).signed(by: keys)
        let tombstone = try Tombstone(canonical: bytes)
        #expect(throws: Never.self) { try tombstone.verify(certificate: leaf) }
        #expect(tombstone.notAfter == leaf.notAfter && tombstone.certificateHash == leaf.hash)
        #expect(try tombstone.buries(announcement(2, 5)) && tombstone.buries(announcement(2, 1)))
        #expect(try !tombstone.buries(announcement(2, 6)))
        #expect(try !tombstone.buries(announcement(3, 1)) && !tombstone.buries(announcement(1, 1)))
        #expect(try !tombstone.buries(announcement(2, 5, seed: 2)))
    }

    @Test("nobody else's signature, and no flipped bit, buries anything")
    func forged() throws {
        let tombstone = Tombstone(certificate: leaf, incarnation: 1, sequence: 1)
        let stranger = tombstone.signed(by: TrustFixture.signing(2))
        #expect(throws: AnnouncementError.badSignature) {
            try Tombstone(canonical: stranger).verify(certificate: leaf)
        }
        #expect(throws: AnnouncementError.wrongCertificate) {
            try Tombstone(canonical: stranger).verify(certificate: fixture.leaf(seed: 2))
        }
        #expect(throws: AnnouncementError.badSignature) { try tombstone.verify(certificate: leaf) }
        let bytes = tombstone.signed(by: keys)
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: AnnouncementError.self, "bit \(bit)") {
                try Tombstone(canonical: changed).verify(certificate: leaf)
            }
        }
        #expect(throws: AnnouncementError.tooLong(257, maximum: 256)) {
            try Tombstone(canonical: [UInt8](repeating: 0, count: 257))
        }
    }

    @Test("an announcement isn't a tombstone, whatever its bytes")
    func contexts() throws {
        let signed = try SignedBytes(
            canonical: Tombstone(certificate: leaf, incarnation: 1, sequence: 1).signed(by: keys))
        let other = SignedBytes(body: signed.body, context: .announcement, signedBy: keys).encoded()
        #expect(throws: AnnouncementError.badSignature) {
            try Tombstone(canonical: other).verify(certificate: leaf)
        }
    }
}
