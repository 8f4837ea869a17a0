// What an issuer keeps of the domain's policy: the newest head that it has seen. It goes into each leaf's
// answer, so that nobody can show a new sidecar an older policy.

package struct SavedPolicyHead: Hashable, Sendable {
    /// Another domain on the same disk begins anew.
    package let domain: TrustDomainID
    package let head: PolicyHead

    package init(domain: TrustDomainID, head: PolicyHead) {
        self.domain = domain
        self.head = head
    }

    package func encoded() -> [UInt8] {
        CBOR.array([
            .unsigned(SavedPolicyHead.version), .bytes(domain.bytes), .unsigned(head.epoch),
            .bytes(head.hash),
        ]).encoded()
    }

    package init(canonical bytes: [UInt8]) throws(CBORError) {
        guard case .array(let parts) = try CBOR(canonical: bytes), parts.count == 4,
            parts[0] == .unsigned(SavedPolicyHead.version), case .bytes(let id) = parts[1],
            let domain = TrustDomainID(id), case .unsigned(let epoch) = parts[2],
            case .bytes(let hash) = parts[3], let head = PolicyHead(epoch: epoch, hash: hash)
        else { throw .unexpected(field: "saved policy head") }
        self.init(domain: domain, head: head)
    }

    private static let version: UInt64 = 1
}

extension Limits {
    package static let savedPolicyHeadBytesMaximum = 256
}
