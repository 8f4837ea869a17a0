import SidecarProtocol
import Testing

@Suite struct CryptoTests {
    @Test("hashes have their published values")
    func hashes() {
        let abc = Array("abc".utf8)
        // FIPS 180-4, RFC 7693 appendix A.
        #expect(SHA256.hash(abc).hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            SHA256.hash([]).hex == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        #expect(
            BLAKE2b.hash(abc, count: 64).hex
                == "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                + "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923")
        #expect(BLAKE2b.hash(abc, key: [1]) != BLAKE2b.hash(abc))
        #expect(BLAKE2b.hash(abc, count: 16).count == 16)
    }

    @Test("a hash of pieces is the hash of the whole")
    func incremental() {
        var hash = SHA256.Incremental()
        hash.update([UInt8]("a".utf8))
        [UInt8]("bc".utf8).withUnsafeBytes { hash.update($0) }
        #expect(hash.finalize() == SHA256.hash(Array("abc".utf8)))
    }

    @Test("HMAC-SHA256 has the values of RFC 4231")
    func hmac() {
        #expect(
            HMACSHA256.authenticationCode(
                of: Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8)
            ).hex == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            HMACSHA256.authenticationCode(
                of: Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                key: [UInt8](repeating: 0xAA, count: 131)
            ).hex == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test("X25519 agrees as in RFC 7748 section 5.2, and both sides alike")
    func keyAgreement() throws {
        let pair = X25519KeyPair(
            secret: try #require(
                [UInt8](hex: "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")))
        let point = try #require(
            [UInt8](hex: "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))
        let shared = try pair.agree(with: try #require(X25519PublicKey(point)))
        #expect(
            shared.withUnsafeBytes { Array($0) }.hex
                == "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
        let other = X25519KeyPair(secret: [UInt8](repeating: 5, count: 32))
        #expect(
            try other.agree(with: pair.publicKey).withUnsafeBytes { Array($0) }
                == pair.agree(with: other.publicKey).withUnsafeBytes { Array($0) })
    }

    @Test("a public key of small order is refused")
    func smallOrder() throws {
        let pair = X25519KeyPair(secret: [UInt8](repeating: 5, count: 32))
        for first: UInt8 in [0, 1] {
            let key = try #require(X25519PublicKey([first] + [UInt8](repeating: 0, count: 31)))
            #expect(throws: CryptoError.weakPublicKey) { try pair.agree(with: key) }
        }
    }

    @Test("Ed25519 signs as in RFC 8032 section 7.1, test 2")
    func signatures() throws {
        let pair = SigningKeyPair(
            seed: try #require(
                [UInt8](hex: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")))
        #expect(
            pair.publicKey.description == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        let signature = pair.sign([0x72])
        #expect(
            signature.hex == "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                + "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00")
        #expect(pair.publicKey.isValid(signature: signature, over: [0x72]))
        #expect(!pair.publicKey.isValid(signature: signature, over: [0x73]))
        #expect(!pair.publicKey.isValid(signature: Array(signature.dropLast()), over: [0x72]))
        for bit in 0..<512 {
            var changed = signature
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!pair.publicKey.isValid(signature: changed, over: [0x72]))
        }
    }

    @Test("keys of another length don't exist")
    func keyLengths() {
        for count in [0, 31, 33] {
            #expect(X25519PublicKey([UInt8](repeating: 1, count: count)) == nil)
            #expect(SigningPublicKey([UInt8](repeating: 1, count: count)) == nil)
        }
    }

    @Test("a secret isn't printed")
    func notPrinted() {
        let secret = SecretBytes(copying: [0xAB, 0xCD])
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped] {
            #expect(text.contains("SecretBytes") && !text.contains("171") && !text.contains("ab"))
        }
        #expect(secret.withUnsafeBytes { Array($0) } == [0xAB, 0xCD])
    }

    @Test("bytes compare in constant time")
    func comparison() {
        #expect(isEqualInConstantTime([1, 2], [1, 2]))
        #expect(isEqualInConstantTime([], []))
        #expect(!isEqualInConstantTime([1, 2], [1, 3]))
        #expect(!isEqualInConstantTime([1, 2], [1]))
    }
}
