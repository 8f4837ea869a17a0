// Everything that can happen to a sidecar, as the core sees it.

/// What a sidecar proves itself with: made anew at every renewal.
package struct Credential: Sendable {
    package var certificate: Certificate
    /// From the leaf's issuer upward, without the root.
    package var chain: [Certificate]
    package var bundle: TrustBundle
    package var staticKey: X25519KeyPair
    package var signingKey: SigningKeyPair
    package var policyHead: PolicyHead
    /// Keys the topics' ids and the XX preambles of this domain.
    package var discoveryKey: DiscoveryKey

    package init(
        certificate: Certificate, chain: [Certificate], bundle: TrustBundle, staticKey: X25519KeyPair,
        signingKey: SigningKeyPair, policyHead: PolicyHead, discoveryKey: DiscoveryKey
    ) {
        self.certificate = certificate
        self.chain = chain
        self.bundle = bundle
        self.staticKey = staticKey
        self.signingKey = signingKey
        self.policyHead = policyHead
        self.discoveryKey = discoveryKey
    }

    /// The first of the not-afters of leaf, issuer and root; the beginning of time where the bundle has no
    /// root for it.
    package var validUntil: WallTime {
        guard let issuer = chain.first,
            let root = bundle.roots.first(where: { $0.signingKey.keyID == issuer.issuerKeyID })
        else { return WallTime(milliseconds: 0) }
        return min(certificate.notAfter, issuer.notAfter, root.notAfter)
    }

    package var life: CertificateLife { CertificateLife(of: certificate, end: validUntil) }
}

/// The other end of an established session.
package struct SessionPeer: Sendable {
    package var certificate: Certificate
    /// What signed `certificate`.
    package var issuer: Certificate
    /// The first of the not-afters of leaf, issuer and root, without skew.
    package var validUntil: WallTime
    /// Number of the trust bundle that the chain was last verified by.
    package var bundle: UInt64
    /// Of the session's first handshake; flow ids derive from it.
    package var handshakeHash: [UInt8]
    /// Whether this side dialled.
    package var isInitiator: Bool

    package init(
        _ chain: CertificateChain, validUntil: WallTime, bundle: UInt64, handshakeHash: [UInt8],
        isInitiator: Bool
    ) {
        certificate = chain.leaf
        issuer = chain.issuer
        self.validUntil = validUntil
        self.bundle = bundle
        self.handshakeHash = handshakeHash
        self.isInitiator = isInitiator
    }

    /// The handshake's, which the certificate names.
    package var staticKey: X25519PublicKey { certificate.contents.staticKey! }
    package var chain: CertificateChain { CertificateChain(leaf: certificate, issuer: issuer) }
    /// With the clock skew that a peer is allowed.
    var notAfter: WallTime { validUntil + Limits.peerClockSkew }
}

package struct NameQuestion: Hashable, Sendable {
    package enum Kind: Hashable, Sendable { case a, aaaa, ptr, other }
    package var kind: Kind
    /// Lower case, without the last dot: `web.mesh`, `4.3.18.198.in-addr.arpa`.
    package var name: String

    package init(kind: Kind, name: String) {
        self.kind = kind
        self.name = name
    }
}

package enum MeshInput: Sendable {
    /// The certificate at start, and each renewed one.
    case credential(Credential)
    /// The issuer gave no new one, or one that is of no use: why, and what to do.
    case renewalFailed(String)
    /// The signed policy that was persisted, at start and before or after the first certificate.
    case policy([UInt8])
    /// A signed beacon.
    case beacon([UInt8])
    /// What `readPolicy` asked for.
    case policyRead(Result<ReadPolicy, PolicyError>, as: PolicyHead)
    /// The node says something about policies; inside a session the same comes as a frame.
    case nodePolicy(PolicyMessage)
    /// The sidecar listens for peers here; announced from now on.
    case listening([Endpoint])
    /// A new configuration that was accepted; at start the one of the launch is given to `init`.
    case configuration(WorkloadConfiguration)
    /// The datapath carries IPv6 too.
    case hasIPv6
    /// The connection to the node is there (again): registrations and subscriptions must be repeated.
    case nodeConnected
    /// An announcement, with its leaf and issuer certificates, as encoded.
    case announcement([UInt8], certificates: [[UInt8]])
    case tombstone([UInt8])
    case nameQuery(QueryID, NameQuestion)
    /// The operator wants a session with a callee, as if the workload had asked for its name.
    case wanted(WorkloadName)
    /// The workload connected to a listener, or sent the first datagram of an association.
    case workloadDialled(FlowHandle, source: Endpoint, destination: Endpoint, FlowProtocol)
    case linkEstablished(LinkID, SessionPeer)
    /// A session's peer proved itself anew, with a renewed certificate.
    case linkRenewed(LinkID, SessionPeer)
    /// The link is gone, or a dial failed; `detail` is for the log.
    case linkClosed(LinkID, CloseReason, detail: String)
    /// A frame other than `open`.
    case frame(LinkID, ControlFrame)
    /// The peer asks for a flow; the shell has numbered it.
    case inboundOpen(FlowHandle, LinkID, StreamID, FlowOpen)
    /// The stream that the shell opened for a flow of ours.
    case streamOpened(FlowHandle, StreamID)
    /// The workload accepted, or refused, the connection of an inbound flow.
    case delivered(FlowHandle)
    case deliveryFailed(FlowHandle, CloseReason)
    /// Both directions ended, or one side reset; the flow's permit holds the final counts.
    case flowEnded(FlowHandle, CloseReason)
    /// The host's resolver answered, with nothing where it failed.
    case resolved(QueryID, host: String, [IPAddress], timeToLive: MonotonicTime.Span)
    /// The userland stack opened, or refused, a flow out of the mesh.
    case egressAttempted(source: Endpoint, destination: Endpoint, FlowProtocol, isAllowed: Bool)
    case egressEnded(
        source: Endpoint, destination: Endpoint, FlowProtocol, sent: UInt64, received: UInt64, CloseReason)
    /// The answer to `MeshEffect.probe`.
    case probed(ServicePort, isUp: Bool)
    /// A message of the state's gossip for another replica.
    case replicate([UInt8], to: InstanceID)
    /// Records are about to be lost, or no longer.
    case recordsPressed(Bool)
    /// The wall clock stepped against the monotonic one.
    case clockStepped
    /// `nextDeadline` has come.
    case deadline
    /// The workload has ended: close everything in order.
    case stop
}

extension Certificate {
    /// The identity as records print it.
    var subjectText: String { contents.identity?.description ?? "spiffe://\(contents.trustDomain)" }
}
