// The node's own certificate: its host's, from this host's issuer, renewed at half its life.

import Glibc
import Logging
import NIOCore
import SidecarProtocol
import Transport

/// On one event loop.
final class HostCredential {
    private(set) var current: Credential?
    private let paths: MeshPaths
    private let eventLoop: any EventLoop
    private let logger: Logger
    private let client: IssuerClient
    private let instance: InstanceID
    private let arrived: (Credential) -> Void
    private var delay = Limits.seedDelayMinimum
    private var lastProblem = ""
    private var timer: Scheduled<Void>?

    /// - Parameter arrived: called with each new one.
    init(
        _ paths: MeshPaths, logger: Logger, on eventLoop: any EventLoop,
        arrived: @escaping (Credential) -> Void
    ) {
        self.paths = paths
        self.logger = logger
        self.eventLoop = eventLoop
        self.arrived = arrived
        client = IssuerClient(path: paths.issuerSocket, eventLoop: eventLoop)
        instance = InstanceID(HostCredential.random(16))!
    }

    /// Asks, and goes on asking. The issuer may just be making the domain.
    func renew() {
        guard let host = hostName() else { return retry("the issuer has no certificate yet") }
        let staticKey = X25519KeyPair(secret: .random())
        let signingKey = SigningKeyPair(seed: .random())
        let request = IssuerRequest(
            subject: .host(host), isNamed: true, instance: instance, staticKey: staticKey.publicKey,
            signingKey: signingKey.publicKey, workloadVersion: "",
            configurationHash: [UInt8](repeating: 0, count: 32), joins: true, serves: false,
            executableDigest: nil)
        client.request(request, signedBy: signingKey) { [unowned self] result in
            switch result {
            case .failure(let error): retry("\(error)")
            case .success(let issued):
                take(
                    Credential(
                        certificate: issued.chain.leaf, chain: [issued.chain.issuer],
                        bundle: issued.bundle, staticKey: staticKey, signingKey: signingKey,
                        policyHead: issued.policyHead, discoveryKey: issued.discoveryKey))
            }
        }
    }

    private func take(_ credential: Credential) {
        delay = Limits.seedDelayMinimum
        lastProblem = ""
        current = credential
        let life = credential.certificate.notAfter.milliseconds &- Now.current().wall.milliseconds
        renewLater(.milliseconds(max(life / 2, 100)))
        arrived(credential)
    }

    private func retry(_ problem: String) {
        if problem != lastProblem { logger.notice("no certificate of this host: \(problem)") }
        lastProblem = problem
        renewLater(.nanoseconds(Int64(clamping: delay.nanoseconds)))
        delay = min(delay * 2, Limits.seedDelayMaximum)
    }

    private func renewLater(_ span: TimeAmount) {
        timer?.cancel()
        timer = eventLoop.assumeIsolated().scheduleTask(in: span) { self.renew() }
    }

    /// The one that this host's issuer may name.
    private func hostName() -> String? {
        let bytes = try? OwnFiles.read(
            paths.issuerCertificateFile, byteCountMaximum: Limits.certificateBytesMaximum)
        guard let bytes, let certificate = try? Certificate(canonical: bytes),
            case .host(let host)? = certificate.subject
        else { return nil }
        return host
    }

    static func ephemeral() -> X25519KeyPair { X25519KeyPair(secret: .random()) }

    /// Bytes of the kernel's randomness.
    private static func random(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }
}
