import SidecarProtocol
import Testing

@Suite struct ChaChaPolyTests {
    static let sizes = [0, 1, 15, 16, 17, 63, 64, 65, 1022, 1023, 1024, 1025, 1040, 4096, 16_384, 65_519]

    static func key() -> SecretBytes { SecretBytes(copying: (0..<32).map { UInt8($0 &* 7 &+ 1) }) }

    static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    static func seal(
        _ cipher: ChaChaPoly, nonce: UInt64, associatedData: [UInt8], header: [UInt8], payload: [UInt8]
    ) -> [UInt8] {
        var out = [UInt8](repeating: 0xEE, count: header.count + payload.count + 16)
        out.withUnsafeMutableBytes { out in
            associatedData.withUnsafeBytes { associatedData in
                header.withUnsafeBytes { header in
                    payload.withUnsafeBytes {
                        cipher.seal(
                            nonce: nonce, associatedData: associatedData, header: header, payload: $0,
                            into: out)
                    }
                }
            }
        }
        return out
    }

    static func open(
        _ cipher: ChaChaPoly, nonce: UInt64, associatedData: [UInt8], ciphertext: [UInt8]
    ) throws -> [UInt8] {
        var out = [UInt8](repeating: 0xEE, count: max(ciphertext.count - 16, 0))
        try out.withUnsafeMutableBytes { out in
            try associatedData.withUnsafeBytes { associatedData in
                try ciphertext.withUnsafeBytes {
                    try cipher.open(nonce: nonce, associatedData: associatedData, ciphertext: $0, into: out)
                }
            }
        }
        return out
    }

    @Test("zeros are sealed to the key stream of RFC 8439 section A.1, test 2")
    func publishedVector() {
        let cipher = ChaChaPoly(key: SecretBytes(copying: [UInt8](repeating: 0, count: 32)))
        let sealed = cipher.seal(nonce: 0, associatedData: [], plaintext: [UInt8](repeating: 0, count: 32))
        #expect(
            sealed.prefix(32).hex == "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed")
    }

    @Test("libsodium and libcrypto give the same bytes", arguments: sizes)
    func sameBytes(size: Int) throws {
        #expect(prepareBulkCipher(), "libcrypto.so.3 is missing on this machine: install libssl3")
        let (fast, plain) = (ChaChaPoly(key: Self.key()), ChaChaPoly(key: Self.key(), usesBulkCipher: false))
        let text = Self.pattern(size)
        for nonce in [0, 1, 0xFFFF_FFFF, 0x1_0000_0000, UInt64.max - 1] {
            for associatedData in [[], Self.pattern(5)] {
                for split in [0, min(5, size), min(64, size), size] {
                    let (header, payload) = (Array(text[..<split]), Array(text[split...]))
                    let sealed = Self.seal(
                        fast, nonce: nonce, associatedData: associatedData, header: header, payload: payload)
                    #expect(
                        sealed
                            == Self.seal(
                                plain, nonce: nonce, associatedData: associatedData, header: header,
                                payload: payload))
                    #expect(
                        sealed == plain.seal(nonce: nonce, associatedData: associatedData, plaintext: text))
                    for cipher in [fast, plain] {
                        #expect(
                            try Self.open(
                                cipher, nonce: nonce, associatedData: associatedData, ciphertext: sealed)
                                == text)
                    }
                }
            }
        }
    }

    @Test("sealing and opening work in place", arguments: sizes)
    func inPlace(size: Int) throws {
        for usesBulkCipher in [false, true] {
            let cipher = ChaChaPoly(key: Self.key(), usesBulkCipher: usesBulkCipher)
            let header: [UInt8] = [1, 2, 3, 4, 5]
            var buffer = header.map { _ in 0 } + Self.pattern(size) + [UInt8](repeating: 0, count: 16)
            buffer.withUnsafeMutableBytes { buffer in
                header.withUnsafeBytes {
                    cipher.seal(
                        nonce: 9, header: $0, payload: UnsafeRawBufferPointer(rebasing: buffer[5..<5 + size]),
                        into: buffer)
                }
            }
            #expect(
                buffer == cipher.seal(nonce: 9, associatedData: [], plaintext: header + Self.pattern(size)))
            try buffer.withUnsafeMutableBytes {
                try cipher.open(nonce: 9, ciphertext: UnsafeRawBufferPointer($0), into: $0)
            }
            #expect(Array(buffer.prefix(size + 5)) == header + Self.pattern(size))
        }
    }

    @Test(
        "one changed bit anywhere is refused, and leaves no plaintext", arguments: [0, 100, 1023, 1024, 9000])
    func refusesChanges(size: Int) throws {
        for usesBulkCipher in [false, true] {
            let cipher = ChaChaPoly(key: Self.key(), usesBulkCipher: usesBulkCipher)
            let sealed = Self.seal(
                cipher, nonce: 3, associatedData: [7], header: [], payload: Self.pattern(size))
            for position in Set([0, size / 2, size, size + 15]) {
                var changed = sealed
                changed[position] ^= 0x10
                var out = [UInt8](repeating: 0xEE, count: size)
                #expect(throws: CryptoError.authenticationFailed) {
                    try out.withUnsafeMutableBytes { out in
                        try [UInt8]([7]).withUnsafeBytes { ad in
                            try changed.withUnsafeBytes {
                                try cipher.open(nonce: 3, associatedData: ad, ciphertext: $0, into: out)
                            }
                        }
                    }
                }
                #expect(out.allSatisfy { $0 == 0 })
                #expect(throws: CryptoError.authenticationFailed) {
                    try cipher.open(nonce: 3, associatedData: [7], ciphertext: changed)
                }
            }
            #expect(throws: CryptoError.authenticationFailed) {
                try Self.open(cipher, nonce: 4, associatedData: [7], ciphertext: sealed)
            }
            #expect(throws: CryptoError.authenticationFailed) {
                try Self.open(cipher, nonce: 3, associatedData: [8], ciphertext: sealed)
            }
            // A failure leaves the schedule fit for the next record.
            #expect(
                try Self.open(cipher, nonce: 3, associatedData: [7], ciphertext: sealed)
                    == Self.pattern(size))
        }
    }

    @Test("a message shorter than its tag is refused")
    func refusesShort() {
        let cipher = ChaChaPoly(key: Self.key())
        #expect(throws: CryptoError.truncated) {
            try cipher.open(nonce: 0, associatedData: [], ciphertext: [UInt8](repeating: 0, count: 15))
        }
        #expect(throws: CryptoError.truncated) {
            try Self.open(cipher, nonce: 0, associatedData: [], ciphertext: [])
        }
    }
}
