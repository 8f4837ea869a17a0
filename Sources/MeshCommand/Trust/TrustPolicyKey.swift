import ArgumentParser
import Glibc
import SidecarProtocol

struct TrustPolicyKey: Verb {
    static let configuration = CommandConfiguration(
        commandName: "policy-key",
        abstract: "Make this host's key that signs policies, and have a root certify it.",
        discussion: """
            In a local domain, whose root's key is on this disk, or with --root, it is certified at once. \
            Otherwise the request is written; the root's keeper runs mesh trust sign on it, and --install \
            takes what comes back. The key itself never leaves this host. Asked again, it goes on with the \
            same key.

            Exit codes: 0 done; 1 not so.
            """)

    @Option(name: .customLong("root"), help: "The root's folder, where it is at hand.") var folder: String?
    @Option(help: "The certificate that the root's keeper signed: take it over.") var install: String?
    @Option(help: "How long the key is certified for, in days, where that is done at once.")
    var days: UInt64 = 365
    @Option(help: "The request to write.") var out = "mesh-policy-key.request"
    @OptionGroup var options: ReportOptions

    func validate() throws {
        guard (1...3_650).contains(days) else { throw ValidationError("--days must be 1 to 3650") }
        guard folder == nil || install == nil else {
            throw ValidationError("--root and --install exclude each other")
        }
    }

    func answer() throws -> Answer {
        let paths = options.place.paths
        guard let files = try TrustFiles(paths) else {
            throw Complaint(
                "there is no trust domain in \(paths.trustFolder) yet",
                fix: "launch a workload first, which makes a local one, or join one by mesh trust install")
        }
        if let install { return try take(install, files.bundle, paths) }
        try KeyFiles.makeFolder(paths.policyFolder)
        if FileStatus(paths.policyKeyFile) == nil {
            try KeyFiles.create(paths.policyKeyFile, try KeyFiles.random().withUnsafeBytes { Array($0) })
        }
        let key = SigningKeyPair(seed: try KeyFiles.key(paths.policyKeyFile))
        guard let root = try rootKey(files, paths) else { return try ask(key, files.bundle) }
        let certificate = try PolicyKey.certify(key.publicKey, of: files.bundle, by: root, days: days)
        return try put(certificate, files.bundle, paths)
    }

    /// The root's key, where it is named or lies here.
    private func rootKey(_ files: TrustFiles, _ paths: MeshPaths) throws(Complaint) -> SigningKeyPair? {
        let path: String
        if let folder {
            path = RootFolder(path: folder).rootKeyFile
        } else if files.hasRootKey {
            path = paths.rootKeyFile
        } else {
            return nil
        }
        let key = SigningKeyPair(seed: try KeyFiles.key(path))
        guard files.bundle.roots.contains(where: { $0.signingKey == key.publicKey }) else {
            throw Complaint(
                "\(path) isn't a root of \(files.bundle.trustDomain)", fix: "name that domain's folder")
        }
        return key
    }

    private func ask(_ key: SigningKeyPair, _ bundle: TrustBundle) throws -> Answer {
        let request = PolicyKeyRequest(domain: bundle.id, key: key.publicKey)
        try KeyFiles.create(out, request.signed(by: key))
        let keyID = key.publicKey.keyID.hex
        return Answer(
            text: options.json
                ? "\(JSON.object(["request": .text(out), "key_id": .text(keyID)]))\n"
                : """
                \(out) asks for the policy key \(keyID) of \(bundle.trustDomain)
                The root's keeper compares that key and runs: mesh trust sign \(out) --root FOLDER
                Then, here: mesh trust policy-key --install mesh-trust.grant

                """)
    }

    private func take(_ file: String, _ bundle: TrustBundle, _ paths: MeshPaths) throws -> Answer {
        guard FileStatus(paths.policyKeyFile) != nil else {
            throw Complaint("this host has no policy key", fix: "run mesh trust policy-key first")
        }
        let key = SigningKeyPair(seed: try KeyFiles.key(paths.policyKeyFile))
        let bytes = try FileContent.read(file, atMost: Limits.certificateBytesMaximum + 1)
        let certificate: Certificate
        do { certificate = try Certificate(canonical: bytes) } catch {
            throw Complaint("\(file) isn't a certificate: \(error)", fix: "make it by mesh trust sign")
        }
        if let objection = PolicyKey.objection(certificate, key.publicKey, bundle) {
            throw Complaint("\(file) can't be taken: \(objection)", fix: "ask and sign again")
        }
        return try put(certificate, bundle, paths)
    }

    private func put(
        _ certificate: Certificate, _ bundle: TrustBundle, _ paths: MeshPaths
    ) throws(Complaint) -> Answer {
        try KeyFiles.replace(paths.policyCertificateFile, certificate.encoded)
        let keyID = certificate.signingKey.keyID.hex
        let end = WallClock.rfc3339(Int(certificate.notAfter.seconds))
        let facts: JSON = .object([
            "key_id": .text(keyID), "public_key": .text(certificate.signingKey.bytes.hex),
            "not_after": .text(end), "trust_domain": .text(bundle.trustDomain),
        ])
        return Answer(
            text: options.json
                ? "\(facts)\n"
                : """
                this host signs policies of \(bundle.trustDomain) with the key \(keyID), until \(end)
                Try one by mesh policy test FILE, and put it in force by mesh policy apply FILE.

                """)
    }
}
