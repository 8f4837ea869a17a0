import SidecarProtocol
import Testing

@Suite struct CertificateTests {
    let fixture: TrustFixture

    init() throws { fixture = try TrustFixture() }

    /// A leaf with every field that a leaf can have.
    func full() throws -> CertificateContents {
        var contents = try fixture.leafContents()
        contents.workloadVersion = "1.4.2"
        contents.labels = ["tier": "gold", "zone": "eu-1"]
        contents.replica = CertificateContents.Replica(group: [UInt8](repeating: 9, count: 16), slot: 2)
        contents.executable = CertificateContents.Executable(
            digest: [UInt8](repeating: 8, count: 32), attested: .issuer)
        return contents
    }

    /// The body's fields with one changed, signed by the issuer: what only a broken issuer would make.
    func tampered(
        _ contents: CertificateContents, _ change: (inout [CBOR.Pair]) -> Void
    ) throws -> [UInt8] {
        let signed = try SignedBytes(canonical: contents.signed(by: fixture.issuerKeys).encoded)
        var fields = try CBORFields(try CBOR(canonical: signed.body), of: "certificate").pairs
        change(&fields)
        return SignedBytes(
            body: CBOR.map(fields).encoded(), context: .certificate, signedBy: fixture.issuerKeys
        ).encoded()
    }

    @Test("every kind is read back as it was written")
    func roundTrip() throws {
        for certificate in [
            fixture.root, fixture.issuer, try fixture.leaf(), try full().signed(by: fixture.issuerKeys),
        ] {
            let read = try Certificate(canonical: certificate.encoded)
            #expect(read == certificate && read.contents == certificate.contents)
            #expect(read.hash == SHA256.hash(certificate.encoded))
            #expect(read.contents.version == StructureVersion(writer: 1, minimumReader: 1))
        }
        let leaf = try full().signed(by: fixture.issuerKeys)
        #expect(leaf.labels["zone"] == "eu-1" && leaf.replica?.slot == 2)
        #expect(leaf.executable?.attested == .issuer && leaf.workloadVersion == "1.4.2")
        #expect(leaf.issuerKeyID == fixture.issuerKeys.publicKey.keyID)
        #expect(try fixture.leaf().encoded.count <= 350)
    }

    @Test("one flipped bit anywhere never verifies")
    func flippedBits() throws {
        let leaf = try full().signed(by: fixture.issuerKeys)
        for bit in 0..<leaf.encoded.count * 8 {
            var bytes = leaf.encoded
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            guard let changed = try? Certificate(canonical: bytes) else { continue }
            #expect(!changed.isSigned(by: fixture.issuerKeys.publicKey), "bit \(bit)")
        }
    }

    @Test("a signature over the same bytes as another structure isn't a certificate's")
    func contexts() throws {
        let signed = try SignedBytes(canonical: fixture.leaf().encoded)
        let other = SignedBytes(
            body: signed.body, context: .announcement, signedBy: fixture.issuerKeys)
        let certificate = try Certificate(canonical: other.encoded())
        #expect(!certificate.isSigned(by: fixture.issuerKeys.publicKey))
    }

    @Test("a field that is missing or of a wrong type is refused, by its name")
    func fields() throws {
        let optional: Set<UInt64> = [10, 11, 12, 13, 14]
        let contents = try full()
        var count = 0
        for key in UInt64(0)...15 {
            let without = try tampered(contents) { $0.removeAll { $0.key == .unsigned(key) } }
            if optional.contains(key) {
                #expect(throws: Never.self) { try Certificate(canonical: without) }
            } else {
                #expect(throws: CertificateError.self, "without \(key)") {
                    try Certificate(canonical: without)
                }
            }
            let values: [CBOR] = [
                .null, .bool(true), .negative(0), .unsigned(.max), .bytes([]), .text(""), .array([]),
                .map([]), .bytes([1]), .text("\u{e9}"), .array([.null]),
                .map([CBOR.Pair(.null, .null)]), .array([.bytes([]), .unsigned(0)]),
            ]
            for value in values {
                // Any number will do as a serial, and any version as the writer's.
                if key == 9 || key == 0, case .unsigned = value { continue }
                if key == 10, case .text(let text) = value, !text.isEmpty { continue }
                let wrong = try tampered(contents) { fields in
                    fields.removeAll { $0.key == .unsigned(key) }
                    fields.append(CBOR.Pair(.unsigned(key), value))
                }
                #expect(throws: CertificateError.self, "\(key): \(value)") {
                    try Certificate(canonical: wrong)
                }
                count += 1
            }
        }
        #expect(count > 190)
        let named = try tampered(contents) { $0.removeAll { $0.key == .unsigned(5) } }
        #expect(throws: CertificateError.invalid(field: "static key")) {
            try Certificate(canonical: named)
        }
    }

    @Test("what isn't a signed structure is refused")
    func garbage() throws {
        let leaf = try fixture.leaf().encoded
        for bytes in [
            [], [0], Array(leaf.dropLast()), leaf + [0], CBOR.array([]).encoded(),
            CBOR.array([.bytes([]), .bytes([UInt8](repeating: 0, count: 64))]).encoded(),
            CBOR.array([.bytes([0xA0]), .bytes([UInt8](repeating: 0, count: 63))]).encoded(),
        ] {
            #expect(throws: CertificateError.self) { try Certificate(canonical: bytes) }
        }
    }

    @Test("an unknown field that isn't critical is kept, byte for byte, and signed for")
    func unknownField() throws {
        let bytes = try tampered(try full()) { fields in
            fields.append(CBOR.Pair(.unsigned(64), .text("later")))
            fields.append(CBOR.Pair(.unsigned(1000), .map([CBOR.Pair(.text("a"), .null)])))
            fields[0].value = .unsigned(7)
        }
        let certificate = try Certificate(canonical: bytes)
        #expect(certificate.encoded == bytes && certificate.contents.unknown.count == 2)
        #expect(certificate.contents.version.writer == 7)
        #expect(throws: Never.self) {
            try fixture.bundle.verify(
                CertificateChain(leaf: certificate, issuer: fixture.issuer), at: TrustFixture.now)
        }
    }

    @Test("an unknown critical field is refused", arguments: [17, 18, 63, 65, 999, UInt64.max])
    func criticalField(key: UInt64) throws {
        let bytes = try tampered(try full()) { $0.append(CBOR.Pair(.unsigned(key), .null)) }
        #expect(throws: CertificateError.unknownCriticalField(key)) { try Certificate(canonical: bytes) }
    }

    @Test("a higher minimum reader version is refused, and says so")
    func minimumReader() throws {
        let bytes = try tampered(try full()) { $0[1].value = .unsigned(2) }
        #expect(throws: CertificateError.needsReader(version: 2)) { try Certificate(canonical: bytes) }
        #expect(CertificateError.needsReader(version: 2).description.contains("update mesh"))
    }

    @Test("a second spelling of a value is refused")
    func oneEncoding() throws {
        // An empty list where nothing would do.
        for key in [UInt64(11), 12] {
            let bytes = try tampered(try fixture.leafContents()) { fields in
                fields.removeAll { $0.key == .unsigned(key) }
                fields.append(CBOR.Pair(.unsigned(key), key == 11 ? .map([]) : .array([])))
            }
            #expect(throws: CertificateError.invalid(field: "encoding")) {
                try Certificate(canonical: bytes)
            }
        }
    }

    @Test("fields of another kind are refused")
    func kinds() throws {
        var issuer = try TrustFixture.issuerContents("a.example", fixture.issuerKeys, names: ["*/*"])
        issuer.instance = TrustFixture.instance(1)
        #expect(throws: CertificateError.invalid(field: "instance")) {
            try issuer.signed(by: fixture.rootKeys)
        }
        var leaf = try full()
        leaf.names = [IdentityPattern(namespace: .any, name: .any)]
        #expect(throws: CertificateError.invalid(field: "names")) {
            try leaf.signed(by: fixture.issuerKeys)
        }
        leaf = try full()
        leaf.kind = .host
        #expect(throws: CertificateError.invalid(field: "subject")) {
            try leaf.signed(by: fixture.issuerKeys)
        }
        leaf.subject = .host("a")
        #expect(throws: CertificateError.invalid(field: "workload version")) {
            try leaf.signed(by: fixture.issuerKeys)
        }
        leaf = try full()
        leaf.notAfter = leaf.notBefore
        #expect(throws: CertificateError.invalid(field: "not-after")) {
            try leaf.signed(by: fixture.issuerKeys)
        }
    }

    @Test("every limit holds at its value and refuses one past it")
    func limits() throws {
        func refuses(_ change: (inout CertificateContents) -> Void) throws -> Bool {
            var contents = try fixture.leafContents()
            change(&contents)
            return (try? contents.signed(by: fixture.issuerKeys)) == nil
        }
        let text = String(repeating: "a", count: Limits.versionBytesMaximum)
        #expect(try !refuses { $0.workloadVersion = text })
        #expect(try refuses { $0.workloadVersion = text + "a" })
        let label = String(repeating: "b", count: Limits.labelBytesMaximum)
        #expect(try !refuses { $0.labels = [label: label] })
        #expect(try refuses { $0.labels = [label + "b": ""] })
        #expect(try refuses { $0.labels = ["": ""] })
        #expect(try refuses { $0.labels = ["b": label + "b"] })
        let few = (0..<Limits.certificateListMaximum).map { "t\($0)" }
        #expect(try !refuses { $0.labels = Dictionary(uniqueKeysWithValues: few.map { ($0, "") }) })
        #expect(
            try refuses {
                $0.labels = Dictionary(uniqueKeysWithValues: (few + ["more"]).map { ($0, "") })
            })
        #expect(try !refuses { $0.topics = few })
        #expect(try refuses { $0.topics = few + ["more"] })
        let topic = String(repeating: "t", count: Limits.topicNameBytesMaximum)
        #expect(try !refuses { $0.topics = [topic] })
        #expect(try refuses { $0.topics = [topic + "t"] })
        #expect(try refuses { $0.topics = [""] })
        #expect(try refuses { $0.topics = ["svc/only-one"] })
        #expect(try !refuses { $0.notAfter = WallTime(milliseconds: Int64(Limits.wallTimeMaximum)) })
        #expect(try refuses { $0.notAfter = WallTime(milliseconds: Int64(Limits.wallTimeMaximum) + 1) })
    }

    @Test("a certificate may have 1,024 bytes, and not one more")
    func size() throws {
        func padded(_ count: Int) throws -> [UInt8] {
            try tampered(try fixture.leafContents()) {
                $0.append(CBOR.Pair(.unsigned(64), .bytes([UInt8](repeating: 0, count: count))))
            }
        }
        let base = try padded(500).count - 500
        let fits = try padded(Limits.certificateBytesMaximum - base)
        #expect(fits.count == Limits.certificateBytesMaximum)
        #expect(throws: Never.self) { try Certificate(canonical: fits) }
        let over = try padded(Limits.certificateBytesMaximum - base + 1)
        #expect(throws: CertificateError.tooLong(Limits.certificateBytesMaximum + 1)) {
            try Certificate(canonical: over)
        }
    }
}
