// The own certificate: asked for at the start, renewed while the workload runs.

import NIOCore
import SidecarProtocol
import Transport

extension Driver {
    /// With new keys each time: nothing that is stolen of an old process or certificate lasts. One request at
    /// a time: an issuer that comes back would answer all that waited.
    func requestCredential() {
        guard !isAskingIssuer else { return }
        isAskingIssuer = true
        if stage == .ready, !isNodeConnected { tellLauncher(.needsNode) }
        let staticKey = X25519KeyPair(secret: .random())
        let signingKey = SigningKeyPair(seed: .random())
        issuer.request(request(staticKey, signingKey), signedBy: signingKey) { [unowned self] result in
            isAskingIssuer = false
            switch result {
            case .success(let issued):
                adopt(
                    Credential(
                        certificate: issued.chain.leaf, chain: [issued.chain.issuer],
                        bundle: issued.bundle, staticKey: staticKey, signingKey: signingKey,
                        policyHead: issued.policyHead, discoveryKey: issued.discoveryKey))
            case .failure(let failure): notRenewed("\(failure)")
            }
        }
    }

    private func request(_ staticKey: X25519KeyPair, _ signingKey: SigningKeyPair) -> IssuerRequest {
        let configuration = node.configuration
        return IssuerRequest(
            subject: .workload(workload), isNamed: configuration.isNamed, instance: launch.instance,
            staticKey: staticKey.publicKey, signingKey: signingKey.publicKey,
            workloadVersion: configuration.version,
            configurationHash: SHA256.hash(configuration.encoded()), joins: launch.joins,
            serves: !configuration.serves.isEmpty, executableDigest: launch.executableDigest,
            interpreter: launch.interpreter, replicaSlot: stateSlot?.number)
    }

    /// What can't be used is never taken over, at the start or later: the last good one stays.
    private func adopt(_ credential: Credential) {
        if let problem = problem(of: credential) {
            return notRenewed(
                "the certificate that this host's issuer gave can't be used: \(problem); see mesh trust show")
        }
        if let credentials {
            credentials.renew(credential, at: Now.current().wall)
            for link in links.values { link.renew(credential) }
            counters.renewals += 1
        } else {
            credentials = CredentialSource(credential)
        }
        takeConnections()
        records.renew(credential)
        if node.configuration.records == .required { records.begin() }
        feed(.credential(credential))
        becomeReady()
    }

    private func takeConnections() {
        guard let credentials else { return }
        do { try peerListener?.use(credentials.firstFlightKeys) } catch { fail("\(error)") }
    }

    private func notRenewed(_ why: String) {
        if stage == .starting { return fail(why) }
        counters.renewalFailures += 1
        feed(.renewalFailed(why))
    }

    /// Why peers with this clock wouldn't take the certificate, or who holds a later bundle than it brings: it
    /// is better said here than by each of them.
    private func problem(of credential: Credential) -> String? {
        guard let issuer = credential.chain.first else { return "it comes without its issuer's" }
        if let current = credentials?.current.bundle {
            guard credential.bundle.id == current.id else { return "it is of another trust domain" }
            guard credential.bundle.sequence >= current.sequence else {
                return "its trust bundle, number \(credential.bundle.sequence), is older than"
                    + " \(current.sequence), which is in force here"
            }
        }
        do {
            let chain = CertificateChain(leaf: credential.certificate, issuer: issuer)
            _ = try credential.bundle.verify(chain, at: Now.current().wall, skew: .seconds(0))
            return nil
        } catch { return "\(error)" }
    }
}
