import SidecarProtocol
import Testing

@Suite struct IssuerMessageTests {
    let fixture: TrustFixture
    let keys = TrustFixture.signing(1)

    init() throws { fixture = try TrustFixture() }

    func request() throws -> IssuerRequest {
        IssuerRequest(
            subject: .workload(try WorkloadName(namespace: "default", name: "web")), isNamed: true,
            instance: TrustFixture.instance(1), staticKey: TrustFixture.exchange(1).publicKey,
            signingKey: keys.publicKey, workloadVersion: "1.4.2",
            configurationHash: [UInt8](repeating: 1, count: 32), joins: false, serves: true,
            executableDigest: [UInt8](repeating: 2, count: 32), labels: ["tier": "gold"])
    }

    func issued() throws -> IssuedCertificate {
        IssuedCertificate(
            chain: try fixture.chain(), bundle: fixture.bundle,
            policyHead: .initial(of: fixture.bundle.id), discoveryKey: fixture.discoveryKey)
    }

    @Test("a request is read back as it was written")
    func requestRoundTrip() throws {
        let request = try request()
        #expect(try IssuerRequest(canonical: request.signed(by: keys)) == request)
        var host = request
        host.subject = .host("host-a")
        host.executableDigest = nil
        host.labels = [:]
        #expect(try IssuerRequest(canonical: host.signed(by: keys)) == host)
    }

    @Test("a request proves that its sender has the key that it names")
    func possession() throws {
        let request = try request()
        #expect(throws: IssuerMessageError.unproven) {
            try IssuerRequest(canonical: request.signed(by: TrustFixture.signing(2)))
        }
        let bytes = request.signed(by: keys)
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: IssuerMessageError.self, "bit \(bit)") { try IssuerRequest(canonical: changed) }
        }
    }

    @Test("a field of a request that is missing or wrong is refused")
    func badFields() throws {
        let signed = try SignedBytes(canonical: try request().signed(by: keys))
        let pairs = try CBORFields(try CBOR(canonical: signed.body), of: "request").pairs
        for index in pairs.indices {
            for value: CBOR? in [nil, .null, .bytes([1]), .array([]), .negative(1)] {
                if value == nil, pairs[index].key == .unsigned(13) { continue }
                var changed = pairs
                if let value { changed[index].value = value } else { changed.remove(at: index) }
                let bytes = SignedBytes(
                    body: CBOR.map(changed).encoded(), context: .certificateRequest, signedBy: keys
                ).encoded()
                #expect(throws: IssuerMessageError.self, "\(pairs[index].key): \(String(describing: value))")
                {
                    try IssuerRequest(canonical: bytes)
                }
            }
        }
    }

    @Test("a request's limits hold at their values and refuse one past them")
    func limits() throws {
        func reads(_ change: (inout IssuerRequest) -> Void) throws -> Bool {
            var request = try request()
            change(&request)
            return (try? IssuerRequest(canonical: request.signed(by: keys))) != nil
        }
        let text = String(repeating: "1", count: Limits.versionBytesMaximum)
        #expect(try reads { $0.workloadVersion = text })
        #expect(try !reads { $0.workloadVersion = text + "1" })
        let labels = (0..<Limits.certificateListMaximum).map { ("l\($0)", "v") }
        #expect(try reads { $0.labels = Dictionary(uniqueKeysWithValues: labels) })
        #expect(
            try !reads { $0.labels = Dictionary(uniqueKeysWithValues: labels + [("more", "v")]) })
        #expect(try !reads { $0.configurationHash = [1] })
        #expect(try !reads { $0.executableDigest = [1] })
    }

    @Test("an answer is read back as it was written")
    func answer() throws {
        for answer in [IssuerAnswer.issued(try issued()), .refused("uid 1000 may not name prod/db")] {
            #expect(try IssuerAnswer(canonical: answer.encoded()) == answer)
        }
    }

    @Test("an answer with a field missing or wrong is refused")
    func badAnswers() throws {
        let pairs = try CBORFields(
            try CBOR(canonical: IssuerAnswer.issued(try issued()).encoded()), of: "answer"
        ).pairs
        for index in pairs.indices {
            for value: CBOR? in [nil, .null, .bytes([1]), .text("x"), .array([])] {
                var changed = pairs
                if let value { changed[index].value = value } else { changed.remove(at: index) }
                #expect(throws: IssuerMessageError.self) {
                    try IssuerAnswer(canonical: CBOR.map(changed).encoded())
                }
            }
        }
        var swapped = try issued()
        swapped.chain = CertificateChain(leaf: fixture.issuer, issuer: fixture.issuer)
        #expect(throws: IssuerMessageError.malformed(.invalid(field: "leaf"))) {
            try IssuerAnswer(canonical: IssuerAnswer.issued(swapped).encoded())
        }
    }

    @Test("before any policy the head is epoch 0 and the domain's id")
    func policyHead() {
        let head = PolicyHead.initial(of: fixture.bundle.id)
        #expect(head.epoch == 0 && head.hash == fixture.bundle.id.bytes)
        #expect(PolicyHead(epoch: 1, hash: [1]) == nil)
    }
}
