import ArgumentParser
import SidecarProtocol

struct TrustSign: Verb {
    static let configuration = CommandConfiguration(
        commandName: "sign", abstract: "Sign a host's request with the domain's root.",
        discussion: """
            Run it where the root's folder is, after comparing the key that the host printed. Takes the request of \
            a policy key (mesh trust policy-key), too.

            Exit codes: 0 signed; 1 the request isn't one, or the root can't be used.
            """)

    @Argument(help: "The request.") var request: String
    @Option(name: .customLong("root"), help: "The root's folder.") var folder: String
    @Option(help: "How long the certificate is valid, in days.") var days: UInt64 = 90
    @Option(
        name: .customLong("name"),
        help: "Workloads that the host may issue for: namespace/name, with * for a part. May be repeated.")
    var names: [String] = ["*/*"]
    @Option(help: "The file to write.") var out = "mesh-trust.grant"
    @Flag(help: "Answer in JSON.") var json = false

    func validate() throws {
        guard (1...3_650).contains(days) else { throw ValidationError("--days must be 1 to 3650") }
    }

    func answer() throws -> Answer {
        let root = RootFolder(path: folder)
        let bundle = try root.bundle()
        let key = SigningKeyPair(seed: try KeyFiles.key(root.rootKeyFile))
        guard bundle.roots.contains(where: { $0.signingKey == key.publicKey }) else {
            throw Complaint(
                "\(root.rootKeyFile) isn't a root of \(root.bundleFile)", fix: "restore the folder")
        }
        let bytes = try FileContent.read(request, atMost: Limits.certificateBytesMaximum + 1)
        if let wish = try? PolicyKeyRequest(canonical: bytes) { return try sign(wish, bundle, key) }
        let wish: TrustRequest
        do { wish = try TrustRequest(canonical: bytes) } catch {
            throw Complaint(
                "\(request) isn't a trust request: \(error)", fix: "make it by mesh trust request")
        }
        let now = KeyFiles.now()
        var contents = CertificateContents(
            kind: .issuer, trustDomain: bundle.trustDomain, subject: .host(wish.host),
            signingKey: wish.issuerKey, notBefore: now - Limits.certificateBackdating,
            notAfter: now + .seconds(days * 86_400), serial: try KeyFiles.serial())
        for name in names {
            contents.names.append(
                try IdentityPattern(parsing: name, namespace: "default", trustDomain: bundle.trustDomain))
        }
        guard
            let discoveryKey = DiscoveryKey(
                try KeyFiles.key(root.discoveryKeyFile).withUnsafeBytes { Array($0) })
        else { throw Complaint("\(root.discoveryKeyFile) isn't a key", fix: "restore the folder") }
        let grant = TrustGrant(
            bundle: bundle, discoveryKey: discoveryKey, issuer: try contents.signed(by: key))
        try KeyFiles.create(out, grant.encoded())
        if json {
            let facts: JSON = .object([
                "grant": .text(out), "host": .text(wish.host), "key_id": .text(wish.issuerKey.keyID.hex),
                "names": .list(contents.names.map { .text($0.description) }),
            ])
            return Answer(text: "\(facts)\n")
        }
        let patterns = contents.names.map(\.description).joined(separator: ", ")
        return Answer(
            text: """
                \(out) lets host \(wish.host) (key \(wish.issuerKey.keyID.hex)) issue for \(patterns), \(days) days
                On that host: mesh trust install \(out)

                """)
    }

    private func sign(
        _ wish: PolicyKeyRequest, _ bundle: TrustBundle, _ root: SigningKeyPair
    ) throws -> Answer {
        guard wish.domain == bundle.id else {
            throw Complaint(
                "\(request) asks for the domain \(wish.domain), and this root's is \(bundle.id)",
                fix: "name that domain's folder by --root")
        }
        let certificate = try PolicyKey.certify(wish.key, of: bundle, by: root, days: days)
        try KeyFiles.create(out, certificate.encoded)
        let keyID = wish.key.keyID.hex
        return Answer(
            text: json
                ? "\(JSON.object(["grant": .text(out), "key_id": .text(keyID)]))\n"
                : """
                \(out) lets the key \(keyID) sign policies of \(bundle.trustDomain), \(days) days
                On its host: mesh trust policy-key --install \(out)

                """)
    }
}
