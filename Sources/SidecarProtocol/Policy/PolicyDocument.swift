// The signed policy of a trust domain (DESIGN.md, section 5): what it says.
//
// Theory of operation
//
//   A domain has one policy at a time, numbered by its epoch. It is written by an operator, signed with a
//   policy key that a root certifies, and spread from sidecar to sidecar and from node to node by its
//   head. It stands beside the configurations of both ends of a flow: a deny rule takes away what they
//   allow, an allow rule is needed besides them where `unmatched` says so. Nothing in a policy can give
//   what the configurations don't.
//
//   The document grows by the rule of `VersionedFields`. Rules and parties don't: a condition that a
//   reader doesn't know would make a rule match more than it was meant to, so any unknown field of theirs
//   refuses the whole document.
//
//   Rules lie in the document as byte strings, each a canonical item of its own, so that a reader of a
//   hundred thousand holds one of them at a time as a tree.

package struct PolicyDocument: Hashable, Sendable {
    package enum Mode: UInt64, Hashable, Sendable, CaseIterable {
        /// Decides, and records what it would have done; cuts nothing.
        case audit = 0
        case enforce = 1

        package var name: String { self == .audit ? "audit" : "enforce" }
    }

    /// What holds for a flow that no rule matches.
    package enum Unmatched: UInt64, Hashable, Sendable, CaseIterable {
        /// Refused: a flow needs an allow rule of the policy besides both configurations.
        case deny = 0
        /// As the configurations say: the policy only takes away.
        case configs = 1

        package var name: String { self == .deny ? "deny" : "configs" }
    }

    package var trustDomain: TrustDomainID
    /// From 1 up; a higher one replaces a lower one.
    package var epoch: UInt64
    package var issuedAt: WallTime
    package var mode: Mode
    package var unmatched: Unmatched
    package var rules: [PolicyRule] = []
    package var revocations: [PolicyRevocation] = []
    package var locks: [PolicyLock] = []
    /// Where there are any, a flow also needs a beacon signed with one of them, no older than the lease.
    package var freshnessKeys: [SigningPublicKey] = []
    /// Heads of one earlier epoch that stood against each other, and that this document replaces.
    package var settles: [PolicyHead] = []
    package internal(set) var version = StructureVersion()
    /// Fields of a later version, kept as they came.
    package internal(set) var unknown: [CBOR.Pair] = []

    package init(
        trustDomain: TrustDomainID, epoch: UInt64, issuedAt: WallTime, mode: Mode, unmatched: Unmatched
    ) {
        self.trustDomain = trustDomain
        self.epoch = epoch
        self.issuedAt = issuedAt
        self.mode = mode
        self.unmatched = unmatched
    }
}

/// An end of everything that a certificate was good for, for ever.
package struct PolicyRevocation: Hashable, Sendable {
    package enum Subject: Hashable, Sendable, CustomStringConvertible {
        case identity(WorkloadName)
        case instance(InstanceID)
        /// The key id (16 bytes) of an issuer, or of a policy key.
        case issuer(keyID: [UInt8])
        /// One certificate, by its serial number.
        case serial(UInt64)

        package var description: String {
            switch self {
            case .identity(let name): "identity \(name)"
            case .instance(let id): "instance \(id)"
            case .issuer(let keyID): "issuer \(keyID.hex)"
            case .serial(let number): "serial \(number)"
            }
        }
    }

    package var subject: Subject
    package var reason: String

    package init(_ subject: Subject, reason: String) {
        self.subject = subject
        self.reason = reason
    }
}

/// A stop for a time: no flow from or to whom it matches.
package struct PolicyLock: Hashable, Sendable {
    package var pattern: IdentityPattern
    package var until: WallTime
    package var reason: String

    package init(_ pattern: IdentityPattern, until: WallTime, reason: String) {
        self.pattern = pattern
        self.until = until
        self.reason = reason
    }
}

extension Limits {
    /// A signed policy: 100,000 rules of 160 bytes, and room for the rest.
    package static let policyBytesMaximum = 16 << 20
    package static let policyRulesMaximum = 100_000
    package static let policyRevocationsMaximum = 65_536
    package static let policyLocksMaximum = 4_096
    package static let policyFreshnessKeysMaximum = 8
    package static let policySettlesMaximum = 8
    /// The name of a rule.
    package static let policyNameBytesMaximum = 63
    /// Why something is revoked or locked.
    package static let policyReasonBytesMaximum = 128
    /// Patterns, versions, executables and labels of one end of a rule, and its topics: of each.
    package static let policyListMaximum = 16
    package static let policyPortsMaximum = 64
    /// Entries of the index that a policy is decided by: patterns of both ends multiplied, and ports.
    package static let policyIndexEntriesMaximum = 4_000_000
}
