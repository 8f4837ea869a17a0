import ArgumentParser
import SidecarProtocol

struct TrustInit: Verb {
    static let configuration = CommandConfiguration(
        commandName: "init", abstract: "Make a trust domain, its root in a folder of its own.",
        discussion: """
            The folder holds the root's private key: keep it offline. Hosts join by mesh trust request, sign and \
            install.

            Exit codes: 0 made; 1 the folder holds a root already, or can't be written.
            """)

    @Argument(help: "The domain's name, such as mesh.example.org.") var domain: String
    @Option(name: .customLong("root"), help: "The folder to make.") var folder: String
    @Option(help: "How long the root is valid, in days.") var days: UInt64 = 3650
    @Flag(help: "Answer in JSON.") var json = false

    func validate() throws {
        guard TrustDomain.isName(domain) else {
            throw ValidationError("\(domain) isn't a domain's name; use labels of a-z, 0-9 and -, with dots")
        }
        guard (1...36_500).contains(days) else { throw ValidationError("--days must be 1 to 36500") }
    }

    func answer() throws -> Answer {
        let root = RootFolder(path: folder)
        try KeyFiles.makeFolder(folder)
        let secret = try KeyFiles.random()
        let key = SigningKeyPair(seed: secret)
        let now = KeyFiles.now()
        let contents = CertificateContents(
            kind: .root, trustDomain: domain, subject: nil, signingKey: key.publicKey,
            notBefore: now - Limits.certificateBackdating, notAfter: now + .seconds(days * 86_400),
            serial: try KeyFiles.serial())
        let bundle = try TrustBundle(firstOf: domain, roots: [try contents.signed(by: key)])
        try KeyFiles.create(root.rootKeyFile, secret.withUnsafeBytes { Array($0) })
        try KeyFiles.create(root.discoveryKeyFile, try KeyFiles.random().withUnsafeBytes { Array($0) })
        try KeyFiles.create(root.bundleFile, bundle.encoded)
        return Answer(
            text: json
                ? "\(JSON.object(["trust_domain": .text(domain), "id": .text(bundle.id.description)]))\n"
                : """
                \(domain) made, with the id \(bundle.id)
                Its root's key is \(root.rootKeyFile): keep this folder offline.
                On each host: mesh trust request, here: mesh trust sign, there: mesh trust install.

                """)
    }
}
