import Testing

@testable import SidecarProtocol

@Suite struct PolicyKeyRequestTests {
    private let key = SigningKeyPair(seed: [UInt8](repeating: 5, count: 32))
    private let domain = TrustDomainID([UInt8](repeating: 6, count: 32))!

    @Test("a request comes back as it was made, and only with its own key's signature")
    func roundTrip() throws {
        let request = PolicyKeyRequest(domain: domain, key: key.publicKey)
        let bytes = request.signed(by: key)
        #expect(try PolicyKeyRequest(canonical: bytes) == request)
        let other = SigningKeyPair(seed: [UInt8](repeating: 7, count: 32))
        #expect(throws: CertificateError.self) { try PolicyKeyRequest(canonical: request.signed(by: other)) }
        #expect(throws: CertificateError.self) { try TrustRequest(canonical: bytes) }
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 1
            #expect((try? PolicyKeyRequest(canonical: damaged)) == nil, "byte \(index)")
        }
        #expect(throws: CertificateError.tooLong(1025)) {
            try PolicyKeyRequest(canonical: [UInt8](repeating: 0, count: 1025))
        }
    }

    @Test("a saved policy head comes back, and nothing else is taken for one")
    func savedHead() throws {
        let head = PolicyHead(epoch: .max, hash: [UInt8](repeating: 8, count: 32))!
        let saved = SavedPolicyHead(domain: domain, head: head)
        let bytes = saved.encoded()
        #expect(bytes.count <= Limits.savedPolicyHeadBytesMaximum)
        #expect(try SavedPolicyHead(canonical: bytes) == saved)
        for count in bytes.indices {
            #expect((try? SavedPolicyHead(canonical: Array(bytes.prefix(count)))) == nil)
        }
    }
}
