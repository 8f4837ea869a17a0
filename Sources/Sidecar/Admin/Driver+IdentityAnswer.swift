// `GET /identity`: what this sidecar proves itself with, until when, and what its peers do.

import SidecarProtocol
import Transport

extension Driver {
    func identityAnswer() -> AdminResponse {
        guard let source = credentials else { return .text(503, "there is no certificate yet") }
        let credential = source.current
        let now = Now.current()
        return .json { json in
            json.member("identity", credential.certificate.identity?.description)
            json.member("workload", workload.description)
            json.member("instance", launch.instance.description)
            json.member("trust_domain", credential.bundle.trustDomain)
            json.member("trust_domain_id", credential.bundle.id.description)
            json.member("bundle", credential.bundle.sequence)
            json.member("serial", credential.certificate.serial)
            json.member("chain", array: Driver.chain(of: credential)) { writer, certificate in
                writer.object { Driver.write(certificate, at: now.wall, to: &$0) }
            }
            json.member("bundle_roots", strings: credential.bundle.roots.map { $0.signingKey.keyID.hex })
            Driver.write(credential.certificate.executable, to: &json)
            writeRenewal(of: credential, at: now, to: &json)
            json.member("replaced_keys", array: source.replaced) { writer, old in
                writer.object {
                    $0.member("static_key", hex: old.staticKey.publicKey.bytes)
                    $0.member("not_after", old.certificate.notAfter.rfc3339)
                }
            }
            json.member("peers", array: node.sessions) { writer, peer in
                writer.object { Driver.write(peer.peer, bundle: peer.bundle, to: &$0) }
            }
        }
    }

    /// Leaf, issuer, root.
    static func chain(of credential: Credential) -> [Certificate] {
        let issuer = credential.chain.prefix(1)
        let root = credential.bundle.roots.filter { $0.signingKey.keyID == issuer.first?.issuerKeyID }
        return [credential.certificate] + issuer + root
    }

    private func writeRenewal(of credential: Credential, at now: Now, to json: inout JSONWriter) {
        let next = max(credential.life.renewal(at: now.wall), now.wall)
        json.member("valid_until", credential.validUntil.rfc3339)
        json.member("next_renewal", next.rfc3339)
        json.member("renewals", counters.renewals)
        json.member("renewal_failures", counters.renewalFailures)
        json.member("renewal_overdue", node.isRenewalAlarming(at: now.wall))
        json.member("renewal_problem", node.renewalProblem)
    }

    private static func write(_ certificate: Certificate, at now: WallTime, to json: inout JSONWriter) {
        let life = CertificateLife(of: certificate)
        json.member("kind", "\(certificate.kind)")
        json.member("identity", certificate.identity?.description)
        json.member("key_id", hex: certificate.signingKey.keyID)
        if let key = certificate.contents.staticKey { json.member("static_key", hex: key.bytes) }
        json.member("issuer_key_id", hex: certificate.issuerKeyID)
        json.member("serial", certificate.serial)
        json.member("not_before", certificate.notBefore.rfc3339)
        json.member("not_after", certificate.notAfter.rfc3339)
        // Of a root nothing is renewed; its successor is a rotation.
        guard certificate.kind != .root else { return }
        json.member("life_used_percent", life.percentUsed(at: now))
        json.member("overdue", life.isAlarming(at: now))
    }

    private static func write(
        _ executable: CertificateContents.Executable?, to json: inout JSONWriter
    ) {
        guard let executable else { return json.member("executable", nil) }
        json.member("executable") { json in
            json.member("sha256", hex: executable.digest)
            json.member("attested", executable.attested.name)
            json.member("interpreter", executable.interpreter?.path)
            if let script = executable.interpreter { json.member("interpreter_sha256", hex: script.digest) }
        }
    }

    private static func write(_ peer: SessionPeer, bundle: UInt64?, to json: inout JSONWriter) {
        json.member("identity", peer.certificate.identity?.description)
        json.member("serial", peer.certificate.serial)
        if let bundle { json.member("bundle", bundle) } else { json.member("bundle", nil) }
        json.member("valid_until", peer.validUntil.rfc3339)
        json.member("issuer_key_id", hex: peer.certificate.issuerKeyID)
        json.member("root_key_id", hex: peer.issuer.issuerKeyID)
    }

    /// `POST /renew`: begins a renewal. Whoever asked sees in `/identity` that the serial is another.
    func renewAnswer() -> AdminResponse {
        guard let serial = credentials?.current.certificate.serial else {
            return .text(503, "there is no certificate yet")
        }
        requestCredential()
        return .json {
            $0.member("serial", serial)
            $0.member("renewal_failures", counters.renewalFailures)
        }
    }
}

extension CertificateContents.Executable.Attestation {
    var name: String {
        switch self {
        case .own: "self"
        case .issuer: "issuer"
        }
    }
}

// MARK: - Metrics

extension Driver {
    /// When the certificates of the chain end, and whether their renewal is overdue.
    func writeIdentity(to text: inout MetricsText) {
        guard let credential = credentials?.current else { return }
        let now = Now.current().wall
        let chain = Driver.chain(of: credential)
        text.family(
            "mesh_identity_cert_expiration_timestamp_seconds", .gauge,
            "When a certificate of the chain ends, as Unix time."
        ) { family in
            for one in chain { family.sample([("certificate", "\(one.kind)")], one.notAfter.seconds) }
        }
        text.family(
            "mesh_identity_renewal_overdue", .gauge,
            "1 where a certificate has passed 66 % of its life and isn't renewed."
        ) { family in
            for one in chain where one.kind != .root {
                let isOverdue = CertificateLife(of: one).isAlarming(at: now)
                family.sample([("certificate", "\(one.kind)")], isOverdue ? 1 : 0)
            }
        }
        text.single(
            "mesh_identity_renewals_total", .counter, "Certificates that were renewed.", counters.renewals)
    }
}
