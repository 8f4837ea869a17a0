// The first bytes of a session: which mesh, which version, which domain, and a tag that proves, before
// any Diffie-Hellman, that the sender knows whom it is talking to.
//
//   offset  0  magic "MESH"
//           4  pattern: 0 XK, 1 XX
//           5  lowest and highest version offered
//           7  version chosen
//           8  domain id, 32 bytes
//          40  topic id, 16 bytes
//          56  message 1 of the handshake: 48 bytes (XK) or 32 (XX)
//              tag, 16 bytes
//
// The first 56 bytes are the handshake's prologue: who changes one of them makes the first message that
// is sealed unreadable. The tag is a keyed BLAKE2b over everything before it. Its key comes from the
// responder's static key (XK) or from the domain's discovery key (XX), so a stranger who scans ports, or
// floods them with first messages, costs one hash and gets no answer.

package struct Preamble: Hashable, Sendable {
    package enum Pattern: UInt8, Hashable, Sendable {
        case xk = 0
        case xx = 1

        var handshake: HandshakePattern {
            switch self {
            case .xk: .XK
            case .xx: .XX
            }
        }

        /// An ephemeral key, and in XK the tag of an empty payload.
        var messageByteCount: Int {
            switch self {
            case .xk: 48
            case .xx: 32
            }
        }
    }

    package static let magic = Array("MESH".utf8)
    /// Without message 1 and tag.
    package static let byteCount = 56
    package static let tagByteCount = 16
    /// The versions that this program speaks.
    package static let versions: ClosedRange<UInt8> = 1...1

    package let pattern: Pattern
    package let offered: ClosedRange<UInt8>
    package let chosen: UInt8
    package let domain: TrustDomainID
    package let topic: TopicID

    package init(
        pattern: Pattern, offered: ClosedRange<UInt8>, chosen: UInt8, domain: TrustDomainID, topic: TopicID
    ) {
        self.pattern = pattern
        self.offered = offered
        self.chosen = chosen
        self.domain = domain
        self.topic = topic
    }

    package var encoded: [UInt8] {
        Preamble.magic + [pattern.rawValue, offered.lowerBound, offered.upperBound, chosen]
            + domain.bytes + topic.bytes
    }
}

/// Preamble, message 1 and tag, as they arrived.
package struct FirstFlight: Hashable, Sendable {
    package let preamble: Preamble
    package let message: [UInt8]
    private let signed: [UInt8]
    private let tag: [UInt8]

    /// The tag as two numbers, which take no memory of their own.
    struct Tag: Hashable {
        let high: UInt64
        let low: UInt64
    }

    var shortTag: Tag {
        tag.withUnsafeBytes {
            Tag(high: $0.bigEndian(at: 0, as: UInt64.self), low: $0.bigEndian(at: 8, as: UInt64.self))
        }
    }

    /// The bytes that a first flight has, or nil while too few are there to tell.
    package static func byteCount(_ start: UnsafeRawBufferPointer) throws(SessionError) -> Int? {
        guard zip(start, Preamble.magic).allSatisfy(==) else { throw .malformedPreamble }
        guard start.count > 4 else { return nil }
        guard let pattern = Preamble.Pattern(rawValue: start[4]) else { throw .malformedPreamble }
        return Preamble.byteCount + pattern.messageByteCount + Preamble.tagByteCount
    }

    package init(parsing bytes: [UInt8]) throws(SessionError) {
        guard
            let count = try bytes.withBytes({ (raw) throws(SessionError) in
                try FirstFlight.byteCount(raw)
            }), count == bytes.count, let pattern = Preamble.Pattern(rawValue: bytes[4]),
            bytes[5] <= bytes[6], (bytes[5]...bytes[6]).contains(bytes[7]),
            let domain = TrustDomainID(Array(bytes[8..<40])), let topic = TopicID(Array(bytes[40..<56]))
        else { throw .malformedPreamble }
        preamble = Preamble(
            pattern: pattern, offered: bytes[5]...bytes[6], chosen: bytes[7], domain: domain, topic: topic)
        message = Array(bytes[Preamble.byteCount..<count - Preamble.tagByteCount])
        signed = Array(bytes[..<(count - Preamble.tagByteCount)])
        tag = Array(bytes[(count - Preamble.tagByteCount)...])
    }

    /// - Parameter key: of `tagKey`.
    package static func encode(_ preamble: Preamble, message: [UInt8], key: [UInt8]) -> [UInt8] {
        let signed = preamble.encoded + message
        return signed + BLAKE2b.hash(signed, key: key, count: Preamble.tagByteCount)
    }

    package func isTagged(with key: [UInt8]) -> Bool {
        isEqualInConstantTime(tag, BLAKE2b.hash(signed, key: key, count: Preamble.tagByteCount))
    }

    package static func tagKey(staticKey: X25519PublicKey) -> [UInt8] {
        BLAKE2b.hash(Array("mesh/1 preamble of a static key".utf8), key: staticKey.bytes)
    }

    package static func tagKey(discoveryKey: [UInt8]) -> [UInt8] {
        BLAKE2b.hash(Array("mesh/1 preamble of a domain".utf8), key: discoveryKey)
    }
}
