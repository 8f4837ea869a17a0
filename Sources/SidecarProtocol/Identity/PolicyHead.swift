/// The newest signed policy that a sidecar holds.
package struct PolicyHead: Hashable, Sendable, CustomStringConvertible {
    package let epoch: UInt64
    /// 32 bytes.
    package let hash: [UInt8]

    /// Nil unless `hash` has 32 bytes.
    package init?(epoch: UInt64, hash: [UInt8]) {
        guard hash.count == 32 else { return nil }
        self.epoch = epoch
        self.hash = hash
    }

    private init(domain: TrustDomainID) {
        epoch = 0
        hash = domain.bytes
    }

    /// Before any signed policy: epoch 0, and the domain's id for a hash.
    package static func initial(of domain: TrustDomainID) -> PolicyHead { PolicyHead(domain: domain) }

    package var description: String { "\(epoch)/\(hash.prefix(4).hex)" }
}
