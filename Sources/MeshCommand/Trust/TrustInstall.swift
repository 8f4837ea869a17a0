import ArgumentParser
import Glibc
import SidecarProtocol

struct TrustInstall: Verb {
    static let configuration = CommandConfiguration(
        commandName: "install", abstract: "Join the trust domain that granted this host's request.",
        discussion: """
            A local domain that is here is moved aside, never deleted. Workloads must have ended, since
            their identities were the old domain's; the node is ended and starts again by itself.
            Exit codes: 0 installed; 1 the grant doesn't fit, or workloads run.
            """)

    @Argument(help: "The grant.") var grant: String
    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        let bytes = try FileContent.read(grant, atMost: Limits.trustGrantBytesMaximum + 1)
        let given: TrustGrant
        do { given = try TrustGrant(canonical: bytes) } catch {
            throw Complaint("\(grant) isn't a trust grant: \(error)", fix: "make it by mesh trust sign")
        }
        let secret = try requestedKey(paths)
        let key = SigningKeyPair(seed: secret)
        if let objection = given.objection(to: key.publicKey, at: KeyFiles.now()) {
            throw Complaint("\(grant) can't be installed: \(objection)", fix: "ask and sign again")
        }
        let current = try TrustFiles(paths)
        let isSameDomain = current?.bundle.id == given.bundle.id
        if !isSameDomain, !entries(of: paths.instancesFolder).isEmpty {
            throw Complaint("workloads of another domain run here", fix: "end them first: mesh status")
        }
        endNode(paths)
        if !isSameDomain { try moveAside(paths, current) }
        try write(given, secret, paths)
        if options.json {
            let facts: JSON = .object([
                "host": .text(given.issuer.identity?.description ?? ""),
                "trust_domain": .text(given.bundle.trustDomain), "id": .text(given.bundle.id.description),
            ])
            return Answer(text: "\(facts)\n")
        }
        return Answer(
            text: """
                host \(given.issuer.identity?.description ?? "?") joined \(given.bundle.trustDomain) (\(given.bundle.id))

                """)
    }

    /// The key that the request was made with; at a renewal, the issuer's own.
    private func requestedKey(_ paths: MeshPaths) throws(Complaint) -> SecretBytes {
        for file in [paths.requestedKeyFile, paths.issuerKeyFile] where FileStatus(file) != nil {
            return try KeyFiles.key(file)
        }
        throw Complaint("this host has made no request", fix: "run mesh trust request first")
    }

    private func endNode(_ paths: MeshPaths) {
        guard let client = try? NodeClient(paths) else { return }
        client.send(.stop)
        while true {
            switch client.receive(within: 10) {
            case .message: continue
            case .end, .silence, .malformed: return
            }
        }
    }

    private func moveAside(_ paths: MeshPaths, _ current: TrustFiles?) throws(Complaint) {
        guard let current else { return }
        let aside = "\(paths.state)/\(current.bundle.trustDomain).replaced-\(KeyFiles.now().seconds)"
        try KeyFiles.makeFolder(aside)
        for (folder, name) in [(paths.trustFolder, "trust"), (paths.issuerFolder, "issuer")]
        where FileStatus(folder) != nil {
            guard rename(folder, "\(aside)/\(name)") == 0 else {
                throw Complaint("\(folder) can't be moved to \(aside): \(errorText(errno))", fix: "move it")
            }
        }
    }

    /// The trust folder comes last and by rename: before it is there, nothing has changed.
    private func write(
        _ given: TrustGrant, _ secret: SecretBytes, _ paths: MeshPaths
    ) throws(Complaint) {
        try KeyFiles.makeFolder(paths.state)
        try KeyFiles.makeFolder(paths.issuerFolder)
        try KeyFiles.replace(paths.issuerKeyFile, secret.withUnsafeBytes { Array($0) })
        try KeyFiles.replace(paths.issuerCertificateFile, given.issuer.encoded)
        if FileStatus(paths.trustFolder) != nil {
            try KeyFiles.replace(paths.trustBundleFile, given.bundle.encoded)
        } else {
            let fresh = paths.trustFolder + ".new"
            try KeyFiles.makeFolder(fresh)
            try KeyFiles.replace(fresh + "/bundle", given.bundle.encoded)
            try KeyFiles.replace(fresh + "/discovery.key", given.discoveryKey.bytes)
            guard rename(fresh, paths.trustFolder) == 0 else {
                throw Complaint(
                    "\(paths.trustFolder) can't be put in place: \(errorText(errno))", fix: "check the folder"
                )
            }
        }
        unlink(paths.requestedKeyFile)
    }
}
