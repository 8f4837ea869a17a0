// Two workloads that exist for a drill only: who they are, and what their permission is.

/// The canaries of one drill: a trust domain of their own that lives in memory, one workload that calls
/// and one that serves. No other sidecar believes them, and they believe no other, so that nothing of a
/// drill can touch a real flow.
package struct CanaryPair: Sendable {
    package struct Canary: Sendable {
        package let instance: InstanceID
        package let credential: Credential
        package let configuration: WorkloadConfiguration
        /// The configuration without the permission for the canary flows.
        package let withdrawn: WorkloadConfiguration
    }

    package let caller: Canary
    package let callee: Canary
    /// What canary flows go to; another port stays permitted, so that the session stays wanted.
    package static let port = ServicePort(1, .tcp)
    private static let otherPort: UInt16 = 2

    /// Bytes of randomness that `init` needs.
    package static let seedByteCount = 9 * 32
    private static let lifetime = MonotonicTime.Span.seconds(600)

    /// - Parameter seed: `seedByteCount` random bytes; another number is a programmer's error.
    package init(seed: [UInt8], at now: WallTime) throws(CertificateError) {
        precondition(seed.count == CanaryPair.seedByteCount)
        func part(_ index: Int) -> [UInt8] { Array(seed[(index * 32)..<(index * 32 + 32)]) }
        let rootKey = SigningKeyPair(seed: part(0))
        let issuerKey = SigningKeyPair(seed: part(1))
        let root = try CanaryPair.contents(.root, nil, rootKey, serial: 1, at: now).signed(by: rootKey)
        var issuer = CanaryPair.contents(.issuer, .host("drill"), issuerKey, serial: 2, at: now)
        issuer.names = [IdentityPattern(namespace: .any, name: .any)]
        let issuerCertificate = try issuer.signed(by: rootKey)
        let bundle = try TrustBundle(firstOf: CanaryPair.domain, roots: [root])
        let names = try CanaryPair.names()
        func canary(
            _ name: WorkloadName, _ first: Int, _ configuration: WorkloadConfiguration,
            withdrawn: WorkloadConfiguration
        ) throws(CertificateError) -> Canary {
            let signingKey = SigningKeyPair(seed: part(first))
            let staticKey = X25519KeyPair(secret: part(first + 1))
            guard let instance = InstanceID(Array(part(first + 2).prefix(16))),
                let discoveryKey = DiscoveryKey(part(2))
            else { throw .invalid(field: "instance") }
            var leaf = CanaryPair.contents(
                .leaf, .workload(name), signingKey, serial: UInt64(first), at: now)
            leaf.instance = instance
            leaf.staticKey = staticKey.publicKey
            leaf.topics = [TopicName.service(name)]
            return Canary(
                instance: instance,
                credential: Credential(
                    certificate: try leaf.signed(by: issuerKey), chain: [issuerCertificate], bundle: bundle,
                    staticKey: staticKey, signingKey: signingKey, policyHead: .initial(of: bundle.id),
                    discoveryKey: discoveryKey), configuration: configuration, withdrawn: withdrawn)
        }
        caller = try canary(
            names.caller, 3, CanaryPair.calls(names, [CanaryPair.port.port, CanaryPair.otherPort]),
            withdrawn: CanaryPair.calls(names, [CanaryPair.otherPort]))
        callee = try canary(
            names.callee, 6, CanaryPair.serves(names, [CanaryPair.port.port, CanaryPair.otherPort]),
            withdrawn: CanaryPair.serves(names, [CanaryPair.otherPort]))
    }

    private static let domain = "drill"

    private static func names() throws(CertificateError) -> (caller: WorkloadName, callee: WorkloadName) {
        guard let caller = try? WorkloadName(namespace: domain, name: "canary-caller"),
            let callee = try? WorkloadName(namespace: domain, name: "canary-callee")
        else { throw .invalid(field: "subject") }
        return (caller, callee)
    }

    private static func calls(
        _ names: (caller: WorkloadName, callee: WorkloadName), _ ports: [UInt16]
    ) -> WorkloadConfiguration {
        var configuration = WorkloadConfiguration(workload: names.caller)
        configuration.calls = ports.map { .init(target: names.callee, port: $0) }
        return configuration
    }

    private static func serves(
        _ names: (caller: WorkloadName, callee: WorkloadName), _ ports: [UInt16]
    ) -> WorkloadConfiguration {
        var configuration = WorkloadConfiguration(workload: names.callee)
        configuration.serves = [port.port, otherPort].map { ServicePort($0, .tcp) }
        let caller = IdentityPattern(
            namespace: .exactly(names.caller.namespace), name: .exactly(names.caller.name))
        configuration.accepts = [.init(from: caller, ports: ports)]
        return configuration
    }

    private static func contents(
        _ kind: CertificateContents.Kind, _ subject: SPIFFEIdentity.Subject?, _ key: SigningKeyPair,
        serial: UInt64, at now: WallTime
    ) -> CertificateContents {
        CertificateContents(
            kind: kind, trustDomain: domain, subject: subject, signingKey: key.publicKey,
            notBefore: now - Limits.certificateBackdating, notAfter: now + lifetime, serial: serial)
    }
}
