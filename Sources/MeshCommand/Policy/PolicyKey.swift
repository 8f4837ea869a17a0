// The key that signs a domain's policies, where an operator keeps one on this host.

import Glibc
import SidecarProtocol

struct PolicyKey {
    let key: SigningKeyPair
    /// By a root of the domain.
    let certificate: Certificate
    let bundle: TrustBundle

    /// The key of this host, its certificate checked against the domain's bundle.
    static func installed(_ paths: MeshPaths) throws(Complaint) -> PolicyKey {
        guard let files = try TrustFiles(paths) else {
            throw Complaint(
                "there is no trust domain in \(paths.trustFolder) yet", fix: "the first launch makes one")
        }
        let make = "make one by mesh trust policy-key"
        guard FileStatus(paths.policyKeyFile) != nil else {
            throw Complaint("this host has no policy key (\(paths.policyKeyFile))", fix: make)
        }
        let key = SigningKeyPair(seed: try KeyFiles.key(paths.policyKeyFile))
        guard FileStatus(paths.policyCertificateFile) != nil else {
            throw Complaint(
                "the policy key of this host isn't certified yet",
                fix: "have its request signed, and run mesh trust policy-key --install")
        }
        let bytes = try FileContent.read(
            paths.policyCertificateFile, atMost: Limits.certificateBytesMaximum + 1)
        let certificate: Certificate
        do { certificate = try Certificate(canonical: bytes) } catch {
            throw Complaint("\(paths.policyCertificateFile) isn't a certificate: \(error)", fix: make)
        }
        if let objection = objection(certificate, key.publicKey, files.bundle) {
            throw Complaint("\(paths.policyCertificateFile) can't be used: \(objection)", fix: make)
        }
        return PolicyKey(key: key, certificate: certificate, bundle: files.bundle)
    }

    /// Why the certificate doesn't make this key one of the domain's policy keys; nil where it does.
    static func objection(
        _ certificate: Certificate, _ key: SigningPublicKey, _ bundle: TrustBundle
    ) -> String? {
        if certificate.kind != .policy { return "it is no policy key's certificate" }
        if certificate.signingKey != key { return "it is another key's" }
        if certificate.trustDomain != bundle.trustDomain {
            return "it is of the trust domain \(certificate.trustDomain), not of \(bundle.trustDomain)"
        }
        guard bundle.roots.contains(where: { certificate.isSigned(by: $0.signingKey) }) else {
            return "no root of the trust bundle signed it"
        }
        let now = KeyFiles.now()
        if now >= certificate.notAfter { return "it has ended" }
        return now < certificate.notBefore ? "it isn't valid yet: check the clock" : nil
    }

    /// A certificate for `key`, signed by a root.
    static func certify(
        _ key: SigningPublicKey, of bundle: TrustBundle, by root: SigningKeyPair, days: UInt64
    ) throws -> Certificate {
        let now = KeyFiles.now()
        let contents = CertificateContents(
            kind: .policy, trustDomain: bundle.trustDomain, subject: nil, signingKey: key,
            notBefore: now - Limits.certificateBackdating, notAfter: now + .seconds(days * 86_400),
            serial: try KeyFiles.serial())
        return try contents.signed(by: root)
    }
}
