import SidecarProtocol
import Testing

@Suite struct HandshakeStateTests {
    static func pair(_ byte: UInt8) -> X25519KeyPair {
        X25519KeyPair(secret: [UInt8](repeating: byte, count: 32))
    }

    static func sides(
        _ pattern: HandshakePattern = .XK, prologue: ([UInt8], [UInt8]) = ([1], [1]), responderKey: UInt8 = 2
    ) -> (HandshakeState, HandshakeState) {
        let knowsResponder = pattern.responderPreMessage == [.s]
        return (
            HandshakeState(
                pattern: pattern, initiator: true, prologue: prologue.0, s: pair(1), e: pair(3),
                rs: knowsResponder ? pair(responderKey).publicKey : nil),
            HandshakeState(
                pattern: pattern, initiator: false, prologue: prologue.1, s: pair(2), e: pair(4), rs: nil)
        )
    }

    static func complete(_ pattern: HandshakePattern = .XK) throws -> (NoiseTransport, NoiseTransport) {
        var (initiator, responder) = sides(pattern)
        _ = try responder.readMessage(initiator.writeMessage(payload: []))
        _ = try initiator.readMessage(responder.writeMessage(payload: []))
        _ = try responder.readMessage(initiator.writeMessage(payload: []))
        return (initiator.split(), responder.split())
    }

    @Test("both sides learn each other's static key and one hash", arguments: [HandshakePattern.XK, .XX])
    func completes(pattern: HandshakePattern) throws {
        var (initiator, responder) = Self.sides(pattern)
        #expect(initiator.isOurTurn && !responder.isOurTurn)
        #expect(try responder.readMessage(initiator.writeMessage(payload: [])) == [])
        #expect(responder.remoteStaticKey == nil)
        #expect(try initiator.readMessage(responder.writeMessage(payload: [7, 7])) == [7, 7])
        #expect(initiator.isOurTurn && !initiator.isComplete)
        #expect(try responder.readMessage(initiator.writeMessage(payload: [8])) == [8])
        #expect(initiator.isComplete && responder.isComplete && !initiator.isOurTurn)
        #expect(initiator.remoteStaticKey == Self.pair(2).publicKey)
        #expect(responder.remoteStaticKey == Self.pair(1).publicKey)
        let (left, right) = (initiator.split(), responder.split())
        #expect(left.handshakeHash == right.handshakeHash && left.handshakeHash.count == 32)
    }

    @Test("a refused message leaves the state as it was: the true one still works")
    func refusalChangesNothing() throws {
        var (initiator, responder) = Self.sides()
        let first = try initiator.writeMessage(payload: [5])
        for position in first.indices {
            var changed = first
            changed[position] ^= 1
            #expect(throws: NoiseError.authenticationFailed) { try responder.readMessage(changed) }
        }
        for count in 0..<first.count {
            #expect(throws: NoiseError.self) { try responder.readMessage(Array(first.prefix(count))) }
        }
        #expect(throws: NoiseError.self) { try responder.readMessage(first + [0]) }
        #expect(try responder.readMessage(first) == [5])
        let second = try responder.writeMessage(payload: [6])
        for position in second.indices {
            var changed = second
            changed[position] ^= 0x80
            // The top bit of a public key isn't part of the point, but it is part of the hash.
            #expect(throws: NoiseError.authenticationFailed) { try initiator.readMessage(changed) }
        }
        #expect(try initiator.readMessage(second) == [6])
        let third = try initiator.writeMessage(payload: [9])
        for position in third.indices {
            var changed = third
            changed[position] ^= 1
            #expect(throws: NoiseError.authenticationFailed) { try responder.readMessage(changed) }
            #expect(responder.remoteStaticKey == nil)
        }
        #expect(try responder.readMessage(third) == [9])
    }

    @Test("another prologue, or another responder's key, ends at the first message")
    func firstMessageBinds() throws {
        var (initiator, responder) = Self.sides(prologue: ([1], [2]))
        #expect(throws: NoiseError.authenticationFailed) {
            try responder.readMessage(initiator.writeMessage(payload: []))
        }
        (initiator, responder) = Self.sides(responderKey: 9)
        #expect(throws: NoiseError.authenticationFailed) {
            try responder.readMessage(initiator.writeMessage(payload: []))
        }
    }

    @Test("nobody speaks out of turn")
    func turns() throws {
        var (initiator, responder) = Self.sides()
        #expect(throws: NoiseError.outOfTurn) { try responder.writeMessage(payload: []) }
        #expect(throws: NoiseError.outOfTurn) { try initiator.readMessage([]) }
        _ = try responder.readMessage(initiator.writeMessage(payload: []))
        #expect(throws: NoiseError.outOfTurn) { try initiator.writeMessage(payload: []) }
        _ = try initiator.readMessage(responder.writeMessage(payload: []))
        _ = try responder.readMessage(initiator.writeMessage(payload: []))
        #expect(throws: NoiseError.outOfTurn) { try initiator.writeMessage(payload: []) }
        #expect(throws: NoiseError.outOfTurn) { try responder.writeMessage(payload: []) }
        #expect(throws: NoiseError.outOfTurn) { try responder.readMessage([]) }
    }

    @Test("an ephemeral key of small order is refused")
    func weakKey() throws {
        var (_, responder) = Self.sides()
        #expect(throws: NoiseError.weakPublicKey) {
            try responder.readMessage([UInt8](repeating: 0, count: 48))
        }
    }

    @Test("a key that the pattern needs and nobody gave is an error")
    func missingKeys() throws {
        var initiator = HandshakeState(
            pattern: .XX, initiator: true, prologue: [], s: nil, e: nil, rs: nil)
        #expect(throws: NoiseError.missingKey(.e)) { try initiator.writeMessage(payload: []) }
    }

    @Test("a message may have 65,535 bytes, and not one more")
    func messageLimit() throws {
        let room = Limits.noiseMessageBytesMaximum - 32 - 16
        var (initiator, responder) = Self.sides()
        #expect(throws: NoiseError.messageTooLong(Limits.noiseMessageBytesMaximum + 1)) {
            try initiator.writeMessage(payload: [UInt8](repeating: 0, count: room + 1))
        }
        let longest = try initiator.writeMessage(payload: [UInt8](repeating: 1, count: room))
        #expect(throws: NoiseError.messageTooLong(Limits.noiseMessageBytesMaximum + 1)) {
            try responder.readMessage(longest + [0])
        }
        #expect(try responder.readMessage(longest).count == room)
    }

    @Test("messages arrive in their order, once")
    func transportOrder() throws {
        var (left, right) = try Self.complete()
        let first = try left.send.encrypt(associatedData: [], plaintext: [1])
        let second = try left.send.encrypt(associatedData: [], plaintext: [2])
        #expect(throws: NoiseError.authenticationFailed) {
            try right.receive.decrypt(associatedData: [], ciphertext: second)
        }
        #expect(try right.receive.decrypt(associatedData: [], ciphertext: first) == [1])
        #expect(throws: NoiseError.authenticationFailed) {
            try right.receive.decrypt(associatedData: [], ciphertext: first)
        }
        #expect(try right.receive.decrypt(associatedData: [], ciphertext: second) == [2])
        #expect(right.receive.nonce == 2)
        // A direction's key doesn't open the other direction's messages.
        let reply = try right.send.encrypt(associatedData: [], plaintext: [3])
        #expect(throws: NoiseError.authenticationFailed) {
            try right.receive.decrypt(associatedData: [], ciphertext: reply)
        }
        #expect(try left.receive.decrypt(associatedData: [], ciphertext: reply) == [3])
    }

    @Test("a new key is agreed without a message, and the old one opens nothing more")
    func rekey() throws {
        var (left, right) = try Self.complete()
        left.send.rekey()
        let sealed = try left.send.encrypt(associatedData: [], plaintext: [1])
        #expect(throws: NoiseError.authenticationFailed) {
            try right.receive.decrypt(associatedData: [], ciphertext: sealed)
        }
        right.receive.rekey()
        #expect(try right.receive.decrypt(associatedData: [], ciphertext: sealed) == [1])
    }

    @Test("the last nonce is never used")
    func lastNonce() throws {
        var (left, right) = try Self.complete()
        left.send.setNonce(.max - 1)
        right.receive.setNonce(.max - 1)
        let sealed = try left.send.encrypt(associatedData: [], plaintext: [1])
        #expect(try right.receive.decrypt(associatedData: [], ciphertext: sealed) == [1])
        #expect(throws: NoiseError.nonceExhausted) {
            try left.send.encrypt(associatedData: [], plaintext: [1])
        }
        #expect(throws: NoiseError.nonceExhausted) {
            try right.receive.decrypt(associatedData: [], ciphertext: sealed)
        }
        #expect(throws: NoiseError.nonceExhausted) {
            try [UInt8](repeating: 0, count: 17).withUnsafeBytes { payload in
                var out = [UInt8](repeating: 0, count: 40)
                try out.withUnsafeMutableBytes { try left.send.seal(payload: payload, into: $0) }
            }
        }
    }

    @Test("records by pointer and by array are the same", arguments: [0, 5, 1023, 1024, 65_519])
    func dataPath(size: Int) throws {
        var (left, right) = try Self.complete()
        var (otherLeft, _) = try Self.complete()
        let text = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
        for _ in 0..<3 {
            var record = [UInt8](repeating: 0, count: size + 16)
            try record.withUnsafeMutableBytes { out in
                try text.withUnsafeBytes { text in
                    let split = min(5, size)
                    try left.send.seal(
                        header: UnsafeRawBufferPointer(rebasing: text[..<split]),
                        payload: UnsafeRawBufferPointer(rebasing: text[split...]), into: out)
                }
            }
            #expect(record == (try otherLeft.send.encrypt(associatedData: [], plaintext: text)))
            try record.withUnsafeMutableBytes {
                try right.receive.open(ciphertext: UnsafeRawBufferPointer($0), into: $0)
            }
            #expect(Array(record.prefix(size)) == text)
        }
    }
}
