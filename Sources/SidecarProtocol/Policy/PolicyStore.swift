// The policy that a sidecar, a node or an issuer holds, and what may take its place.
//
// Theory of operation
//
//   A higher epoch replaces a lower one, and nothing else does. A second policy of the same epoch means
//   that somebody signed two: both are kept, the stricter verdict of the two holds, and from then on
//   nothing is taken but a policy that names both among the heads that it settles. So a key in a wrong
//   hand can't go on by itself, and whoever watches sees the alarm.
//
//   What is held, or was held and revoked the key of a later policy, decides first: a policy signed by a
//   revoked key isn't taken.

package struct PolicyStore: Sendable {
    package enum Change: Hashable, Sendable {
        /// In force from now on, in place of all there was.
        case adopted
        /// A second policy of the same epoch: an alarm.
        case conflict
        /// Held already.
        case known
    }

    package let domain: TrustDomainID
    package private(set) var current: SignedPolicy?
    /// Another policy of the same epoch.
    package private(set) var rival: SignedPolicy?

    package init(domain: TrustDomainID) { self.domain = domain }

    /// Epoch 0 before any policy.
    package var head: PolicyHead { current?.head ?? .initial(of: domain) }

    /// One, or two that stand against each other.
    package var heads: [PolicyHead] { [head] + (rival.map { [$0.head] } ?? []) }

    package var isFrozen: Bool { rival != nil }

    package func policy(of head: PolicyHead) -> SignedPolicy? {
        [current, rival].compactMap { $0 }.first { $0.head == head }
    }

    /// Whether a policy with this head would be news. One that settles a conflict has a higher epoch.
    package func wants(_ head: PolicyHead) -> Bool {
        if head.epoch == 0 { return false }
        if head.epoch == self.head.epoch { return rival == nil && head != self.head }
        return head.epoch > self.head.epoch
    }

    /// Takes a policy over that `bundle` stands by.
    package mutating func take(
        _ policy: SignedPolicy, bundle: TrustBundle
    ) throws(PolicyError) -> Change {
        guard policy.head != rival?.head, policy.head != current?.head else { return .known }
        try bundle.verify(policy)
        let epoch = policy.document.epoch
        guard epoch >= head.epoch else { throw .olderEpoch(epoch, held: head.epoch) }
        let keyID = policy.certificate.signingKey.keyID
        for held in [current, rival] {
            let isRevoked = held?.document.revocations.contains { $0.subject == .issuer(keyID: keyID) }
            if isRevoked == true { throw .revokedKey(keyID: keyID) }
        }
        if isFrozen {
            guard epoch > head.epoch, heads.allSatisfy(policy.document.settles.contains) else {
                throw .frozen(epoch: head.epoch)
            }
            rival = nil
        } else if epoch == head.epoch {
            rival = policy
            return .conflict
        }
        current = policy
        return .adopted
    }
}
