import SidecarProtocol
import Testing

@Suite("Signatures over records")
struct RecordSignatureTests {
    private let instance = InstanceID([UInt8](repeating: 5, count: 16))!
    private let start = Now(monotonic: MonotonicTime(nanoseconds: 1 << 40), wall: WallTime(seconds: 1_000))
    private let key = SigningKeyPair(seed: [UInt8](repeating: 1, count: 32))

    private var statement: RecordSignature {
        RecordSignature(
            mark: .periodic, instance: instance, incarnation: 2, time: start.wall,
            chain: [UInt8](repeating: 8, count: 32))
    }

    @Test("a signature is good for its statement, and for none that differs in anything")
    func statements() {
        let signature = statement.signature(by: key)
        #expect(statement.isValid(signature: signature, by: key.publicKey))
        let changes: [(inout RecordSignature) -> Void] = [
            { $0.mark = .end }, { $0.instance = InstanceID([UInt8](repeating: 6, count: 16))! },
            { $0.incarnation = 3 }, { $0.time = WallTime(milliseconds: $0.time.milliseconds + 1) },
            { $0.chain[31] ^= 1 },
        ]
        for change in changes {
            var other = statement
            change(&other)
            #expect(!other.isValid(signature: signature, by: key.publicKey))
        }
        let stranger = SigningKeyPair(seed: [UInt8](repeating: 2, count: 32))
        #expect(!statement.isValid(signature: signature, by: stranger.publicKey))
        for count in [0, 63, 65] {
            #expect(!statement.isValid(signature: [UInt8](repeating: 0, count: count), by: key.publicKey))
        }
    }

    @Test("what is signed as records is nothing else, and nothing else is records")
    func context() {
        let signature = statement.signature(by: key)
        for context in [SignedBytes.Context.certificate, .announcement, .tombstone] {
            let other = SignedBytes(body: [1], context: context, signedBy: key)
            #expect(!statement.isValid(signature: other.signature, by: key.publicKey))
            #expect(other.signature != signature)
        }
    }

    @Test("a sidecar signs as it begins, after 64 lines and not 63, and a minute after an unsigned line")
    func due() throws {
        var signer = RecordSigner(instance: instance, incarnation: 1)
        let unsigned = signer.sign(.begin, chain: [], at: start)
        #expect(signer.markDue == nil && unsigned == nil)
        signer.wrote(at: start.monotonic)
        #expect(signer.deadline == nil && !signer.hasUnsigned)
        signer = RecordSigner(instance: instance, incarnation: 1)
        signer.adopt(try credential(1))
        #expect(signer.markDue == .begin && signer.certificates.count == 2)
        let begun = signer.sign(.begin, chain: [UInt8](repeating: 0, count: 32), at: start)
        #expect(begun?.statement.mark == .begin)
        #expect(signer.markDue == nil && signer.deadline == nil)
        for _ in 0..<(Limits.recordSignatureLines - 1) { signer.wrote(at: start.monotonic) }
        #expect(signer.markDue == nil && signer.hasUnsigned)
        #expect(signer.deadline == start.monotonic + Limits.recordSignatureSpan)
        signer.wrote(at: start.monotonic + .seconds(5))
        #expect(signer.markDue == .periodic)
        #expect(signer.deadline == start.monotonic + Limits.recordSignatureSpan)
        _ = signer.sign(.periodic, chain: [UInt8](repeating: 0, count: 32), at: start)
        #expect(signer.markDue == nil && signer.deadline == nil && !signer.hasUnsigned)
    }

    @Test("after a renewal it signs by the new key, and shows its certificate")
    func renewal() throws {
        var signer = RecordSigner(instance: instance, incarnation: 1)
        for number in [UInt8(1), 2] {
            let credential = try credential(number)
            signer.adopt(credential)
            let signed = signer.sign(.periodic, chain: [], at: start)
            let (statement, signature) = try #require(signed)
            #expect(statement.isValid(signature: signature, by: credential.signingKey.publicKey))
            #expect(signer.certificates.first == credential.certificate.encoded)
        }
    }

    private func credential(_ number: UInt8) throws -> Credential {
        let root = SigningKeyPair(seed: [UInt8](repeating: 70, count: 32))
        let issuer = SigningKeyPair(seed: [UInt8](repeating: 71, count: 32))
        let own = SigningKeyPair(seed: [UInt8](repeating: number, count: 32))
        let statics = X25519KeyPair(secret: [UInt8](repeating: number, count: 32))
        func contents(
            _ kind: CertificateContents.Kind, _ subject: SPIFFEIdentity.Subject?, _ key: SigningKeyPair
        ) -> CertificateContents {
            CertificateContents(
                kind: kind, trustDomain: "mesh.test", subject: subject, signingKey: key.publicKey,
                notBefore: WallTime(seconds: 0), notAfter: WallTime(seconds: 1 << 32), serial: UInt64(number))
        }
        let rootCertificate = try contents(.root, nil, root).signed(by: root)
        var issuerContents = contents(.issuer, .host("h"), issuer)
        issuerContents.names = [IdentityPattern(namespace: .any, name: .any)]
        var leaf = contents(.leaf, .workload(try WorkloadName(namespace: "default", name: "web")), own)
        leaf.instance = instance
        leaf.staticKey = statics.publicKey
        let bundle = try TrustBundle(firstOf: "mesh.test", roots: [rootCertificate])
        return Credential(
            certificate: try leaf.signed(by: issuer), chain: [try issuerContents.signed(by: root)],
            bundle: bundle, staticKey: statics, signingKey: own, policyHead: .initial(of: bundle.id),
            discoveryKey: DiscoveryKey([UInt8](repeating: 9, count: 32))!)
    }
}
