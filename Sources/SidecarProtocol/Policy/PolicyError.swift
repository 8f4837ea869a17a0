/// Why a policy, or a beacon, isn't taken. Nothing has changed then.
package enum PolicyError: VersionedFieldsError, Equatable, Sendable, CustomStringConvertible {
    /// More than `Limits.policyBytesMaximum`.
    case tooLarge(bytes: Int)
    case malformed(CBORError)
    /// A field that is missing, of a wrong type, impossible, or past its limit.
    case invalid(field: String)
    case unknownCriticalField(UInt64)
    case needsReader(version: UInt64)
    /// It would be signed with rules that can't be meant.
    case problems(first: PolicyProblem, count: Int)
    case wrongDomain(TrustDomainID, expected: TrustDomainID)
    /// The certificate beside it isn't a policy key's of this domain.
    case wrongCertificate
    case badCertificate(CertificateError)
    case unknownRoot(keyID: [UInt8])
    case badCertificateSignature
    case badSignature
    /// It says that it was signed when the policy key's certificate wasn't valid.
    case signedOutsideCertificate
    /// By how much it comes from the future, skew taken off.
    case notYetIssued(milliseconds: Int64)
    case olderEpoch(UInt64, held: UInt64)
    /// Two policies of one epoch stand against each other; only a policy that settles both is taken.
    case frozen(epoch: UInt64)
    case revokedKey(keyID: [UInt8])
    /// The bytes that came aren't those of the head that was asked for.
    case wrongHead(PolicyHead, expected: PolicyHead)
    case unknownFreshnessKey(keyID: [UInt8])
    /// A beacon that is past the lease, by how much.
    case staleBeacon(milliseconds: Int64)
    /// No newer than the one at hand.
    case repeatedBeacon

    package var description: String {
        switch self {
        case .tooLarge(let bytes):
            "the policy has \(bytes) bytes, the limit is \(Limits.policyBytesMaximum): use fewer rules, or"
                + " patterns and labels in place of names"
        case .malformed(let error): "the policy isn't canonical CBOR: \(error)"
        case .invalid(let field): "the policy's \(field) is missing, impossible or past its limit"
        case .unknownCriticalField(let key):
            "the policy has the critical field \(key), which this version doesn't know: update mesh"
        case .needsReader(let version):
            "the policy needs a reader of version \(version), this is \(StructureVersion.current):"
                + " update mesh"
        case .problems(let first, let count):
            count == 1 ? "\(first)" : "\(first); \(count - 1) more"
        case .wrongDomain(let found, let expected):
            "the policy is of the trust domain \(found), not of \(expected)"
        case .wrongCertificate:
            "the certificate beside the policy isn't a policy key's of this trust domain"
        case .badCertificate(let error): "the policy key's certificate can't be read: \(error)"
        case .unknownRoot(let keyID):
            "the policy key is certified by the root \(keyID.hex), which the trust bundle doesn't hold"
        case .badCertificateSignature: "the signature of the policy key's certificate is wrong"
        case .badSignature: "the policy's signature is wrong"
        case .signedOutsideCertificate:
            "the policy was issued when its key's certificate wasn't valid: renew the policy key"
        default: descriptionOfState
        }
    }

    /// Of refusals that rest on what is held already.
    private var descriptionOfState: String {
        switch self {
        case .notYetIssued(let milliseconds):
            "it was issued \(milliseconds) ms from now: check the clocks"
        case .olderEpoch(let epoch, let held): "the policy has epoch \(epoch), the one in force \(held)"
        case .frozen(let epoch):
            "two policies of epoch \(epoch) stand against each other, so none is taken that doesn't settle"
                + " both: sign one with `mesh policy apply --settle`"
        case .revokedKey(let keyID): "the policy in force revokes the policy key \(keyID.hex)"
        case .wrongHead(let found, let expected):
            "the policy that came is \(found), \(expected) was asked for"
        case .unknownFreshnessKey(let keyID):
            "the beacon's key \(keyID.hex) isn't one that the policy names"
        case .staleBeacon(let milliseconds): "the beacon is \(milliseconds) ms past the lease"
        case .repeatedBeacon: "the beacon is no newer than the one at hand"
        default: "the policy is refused"
        }
    }
}
