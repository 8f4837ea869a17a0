// A root of a trust domain follows another in three stages, so that at no moment somebody holds a certificate
// that somebody else doesn't believe yet, or no longer:
//
//     add      the bundle holds the old and the new root           every sidecar gets the bundle
//     sign     issuers' certificates are the new root's            every sidecar gets a leaf under it
//     remove   the bundle holds the new root alone
//
// A stage is ripe once the one before has reached everybody, which its rehearsal asks.

import SidecarProtocol

enum RotationStage: String {
    case none
    /// The bundle has a second root, and the issuer is still the first's.
    case added
    case signed

    init(bundle: TrustBundle, issuer: Certificate?) {
        guard bundle.roots.count > 1, let newest = bundle.roots.last else {
            self = .none
            return
        }
        self = issuer?.issuerKeyID == newest.signingKey.keyID ? .signed : .added
    }

    var explanation: String {
        switch self {
        case .none: "none under way"
        case .added: "the new root is in the bundle; next: the issuer's certificate by the new root (sign)"
        case .signed: "the issuer's certificate is the new root's; next: the old root leaves (remove)"
        }
    }
}

extension RootFolder {
    /// The root that follows, until issuers are signed by it.
    var nextKeyFile: String { path + "/root-next.key" }
    /// The root that was followed, until it leaves the bundle.
    var oldKeyFile: String { path + "/root-old.key" }
}
