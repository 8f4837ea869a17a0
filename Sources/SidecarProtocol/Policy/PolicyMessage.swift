// What two holders of a policy say to each other: sidecars inside their session, a sidecar and its node,
// nodes of two hosts, and `mesh policy apply` and a node.
//
// Each states its head; who has the older one asks for the newer, part by part, since a policy may be
// larger than a record. A request is answered by several parts, so that a long policy takes few turns.

package enum PolicyMessage: Hashable, Sendable {
    /// The sender's head. Inside a session a frame of its own says it.
    case head(PolicyHead)
    /// The policy of this head, from this byte on.
    case request(PolicyHead, offset: UInt32)
    case part(PolicyPart)
    /// A `FreshnessBeacon`, as signed.
    case beacon([UInt8])
    /// Of a later version; to be skipped.
    case unknown(kind: UInt64)
}

/// Some bytes of a signed policy.
package struct PolicyPart: Hashable, Sendable {
    package var head: PolicyHead
    package var offset: UInt32
    /// Of the whole policy: at most `Limits.policyBytesMaximum`.
    package var total: UInt32
    package var bytes: [UInt8]

    package init(head: PolicyHead, offset: UInt32, total: UInt32, bytes: [UInt8]) {
        self.head = head
        self.offset = offset
        self.total = total
        self.bytes = bytes
    }
}

extension PolicyMessage {
    package var item: CBOR {
        switch self {
        case .head(let head): .array([.unsigned(1), head.item])
        case .request(let head, let offset): .array([.unsigned(2), head.item, .unsigned(UInt64(offset))])
        case .part(let part):
            .array([
                .unsigned(3), part.head.item, .unsigned(UInt64(part.offset)), .unsigned(UInt64(part.total)),
                .bytes(part.bytes),
            ])
        case .beacon(let bytes): .array([.unsigned(4), .bytes(bytes)])
        case .unknown(let kind): .array([.unsigned(kind)])
        }
    }

    package init(_ item: CBOR) throws(CBORError) {
        guard case .array(let parts) = item, case .unsigned(let kind)? = parts.first else {
            throw .unexpected(field: "policy message")
        }
        switch kind {
        case 1:
            guard parts.count > 1 else { throw .unexpected(field: "head") }
            self = .head(try PolicyHead(frame: parts[1]))
        case 2:
            guard parts.count > 2, case .unsigned(let offset) = parts[2],
                offset < Limits.policyBytesMaximum
            else { throw .unexpected(field: "request") }
            self = .request(try PolicyHead(frame: parts[1]), offset: UInt32(offset))
        case 3: self = .part(try PolicyPart(parts))
        case 4:
            guard parts.count > 1, case .bytes(let bytes) = parts[1],
                bytes.count <= Limits.beaconBytesMaximum
            else { throw .unexpected(field: "beacon") }
            self = .beacon(bytes)
        default: self = .unknown(kind: kind)
        }
    }
}

extension PolicyPart {
    fileprivate init(_ parts: [CBOR]) throws(CBORError) {
        guard parts.count > 4, case .unsigned(let offset) = parts[2], case .unsigned(let total) = parts[3],
            case .bytes(let bytes) = parts[4], total <= Limits.policyBytesMaximum, offset < total,
            !bytes.isEmpty, bytes.count <= Limits.policyPartBytesMaximum,
            offset + UInt64(bytes.count) <= total
        else { throw .unexpected(field: "part") }
        self.init(
            head: try PolicyHead(frame: parts[1]), offset: UInt32(offset), total: UInt32(total),
            bytes: bytes)
    }
}

extension Limits {
    /// Of a policy, in one message of a session or to a node.
    package static let policyPartBytesMaximum = 32 << 10
    /// Between nodes, whose records are small.
    package static let policyPartBytesBetweenNodes = 3 << 10
    /// Parts that answer one request.
    package static let policyPartsOfRequest = 8
    /// How long the answer to a request may take, and a whole policy.
    package static let policyRequestSpan = MonotonicTime.Span.seconds(2)
    package static let policyTransferSpan = MonotonicTime.Span.seconds(20)
    /// Heads that were refused, and aren't asked for again.
    package static let policyRefusedMaximum = 16
}
