// A trust domain that never leaves its host: what the first use of a machine makes.

/// What an issuer needs: the domain's bundle, its own key, and in a local domain the root's.
package struct IssuerDomain: Sendable {
    package var bundle: TrustBundle
    package var discoveryKey: DiscoveryKey
    package var issuerKey: SigningKeyPair
    package var issuerCertificate: Certificate
    /// A local domain's alone; the root of every other one stays offline.
    package var rootKey: SigningKeyPair?

    package init(
        bundle: TrustBundle, discoveryKey: DiscoveryKey, issuerKey: SigningKeyPair,
        issuerCertificate: Certificate, rootKey: SigningKeyPair?
    ) {
        self.bundle = bundle
        self.discoveryKey = discoveryKey
        self.issuerKey = issuerKey
        self.issuerCertificate = issuerCertificate
        self.rootKey = rootKey
    }
}

extension IssuerDomain {
    /// The first bundle of a new local domain, named `local-<8 hex>` after its root's key.
    package static func localBundle(
        rootKey: SigningKeyPair, at now: WallTime
    ) throws(CertificateError) -> TrustBundle {
        let name = "local-" + rootKey.publicKey.keyID.prefix(4).hex
        // Valid from the beginning: where the clock was wrong at first, it is set right later.
        let root = try CertificateContents(
            kind: .root, trustDomain: name, subject: nil, signingKey: rootKey.publicKey,
            notBefore: WallTime(milliseconds: 0), notAfter: now + Limits.localRootLifetime, serial: 1
        ).signed(by: rootKey)
        return try TrustBundle(firstOf: name, roots: [root])
    }

    /// A certificate for a host's issuer, which may name every workload of the domain.
    package static func issuerCertificate(
        of trustDomain: String, host: String, key: SigningPublicKey, rootKey: SigningKeyPair,
        at now: WallTime, serial: UInt64
    ) throws(CertificateError) -> Certificate {
        var contents = CertificateContents(
            kind: .issuer, trustDomain: trustDomain, subject: .host(host), signingKey: key,
            notBefore: now - Limits.certificateBackdating, notAfter: now + Limits.issuerLifetime,
            serial: serial)
        contents.names = [IdentityPattern(namespace: .any, name: .any)]
        return try contents.signed(by: rootKey)
    }

    /// Whether half of the issuer's life is over, or it isn't valid by this clock. Only a local domain's is
    /// renewed on the spot.
    package func needsRenewal(at now: WallTime) -> Bool {
        guard rootKey != nil else { return false }
        let life = CertificateLife(of: issuerCertificate)
        return now < issuerCertificate.notBefore || now >= life.half
    }

    /// Renews the issuer's certificate under the same key. Nil where only an offline root could.
    package func renewed(
        at now: WallTime, serial: UInt64
    ) throws(CertificateError) -> IssuerDomain? {
        guard let rootKey, case .host(let host)? = issuerCertificate.subject else { return nil }
        var domain = self
        domain.issuerCertificate = try IssuerDomain.issuerCertificate(
            of: bundle.trustDomain, host: host, key: issuerKey.publicKey, rootKey: rootKey, at: now,
            serial: serial)
        return domain
    }

    /// What doesn't fit together, in words, with the file's role; nil where all does.
    package var inconsistency: (part: Part, problem: String)? {
        guard issuerCertificate.kind == .issuer, issuerCertificate.trustDomain == bundle.trustDomain,
            bundle.roots.contains(where: { issuerCertificate.isSigned(by: $0.signingKey) })
        else {
            return (.issuerCertificate, "isn't signed by a root of the trust bundle")
        }
        guard issuerCertificate.signingKey == issuerKey.publicKey else {
            return (.issuerKey, "isn't the key that the issuer's certificate names")
        }
        if let rootKey, !bundle.roots.contains(where: { $0.signingKey == rootKey.publicKey }) {
            return (.rootKey, "isn't the key of a root of the trust bundle")
        }
        return nil
    }

    package enum Part: Sendable { case issuerKey, issuerCertificate, rootKey }
}

extension WorkloadName {
    /// A host's name as one DNS label: lower case, its first part, other characters as `-`.
    package static func hostLabel(_ hostName: String) -> String {
        let first = hostName.lowercased().prefix { $0 != "." }
        var label = ""
        for scalar in first.unicodeScalars.prefix(Limits.nameBytesMaximum) {
            let isLawful = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            label.unicodeScalars.append(isLawful ? scalar : "-")
        }
        while label.hasPrefix("-") { label.removeFirst() }
        while label.hasSuffix("-") { label.removeLast() }
        return isLabel(label) ? label : "host"
    }
}
