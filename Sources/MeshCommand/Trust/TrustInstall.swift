import ArgumentParser
import Glibc
import SidecarProtocol

struct TrustInstall: Verb {
    static let configuration = CommandConfiguration(
        commandName: "install",
        abstract: "Take over what the root's keeper signed: a grant, or a new bundle.",
        discussion: """
            A grant of another domain joins it: a local domain that is here is moved aside, never deleted. \
            Workloads must have ended, since their identities were the old domain's; the node is ended and starts \
            again by itself. A grant, or a bundle, of the same domain is taken over while everything runs, and the \
            workloads renew at once; it is refused where it would cut one.
            Exit codes: 0 installed, or nothing speaks against it; 1 the file doesn't fit, workloads run, or it \
            would cut some.
            """)

    @Argument(help: "The grant, or the bundle.") var grant: String
    @OptionGroup var rehearsal: RehearsalOptions

    var options: ReportOptions { rehearsal.report }

    func answer() throws -> Answer {
        let paths = options.place.paths
        let bytes = try FileContent.read(grant, atMost: Limits.trustGrantBytesMaximum + 1)
        if let bundle = try? TrustBundle(canonical: bytes) { return try install(bundle, paths) }
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
        if isSameDomain { return try renew(given, secret, paths) }
        endNode(paths)
        try moveAside(paths, current)
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

    /// Another issuer's certificate of one's own domain: node and workloads go on.
    private func renew(
        _ given: TrustGrant, _ secret: SecretBytes, _ paths: MeshPaths
    ) throws(Complaint) -> Answer {
        let current = try TrustFiles(paths)?.bundle
        let bundle = current.map { $0.sequence > given.bundle.sequence ? $0 : given.bundle } ?? given.bundle
        guard bundle.roots.contains(where: { given.issuer.isSigned(by: $0.signingKey) }) else {
            throw Complaint(
                "the grant is by a root that has left this host's bundle", fix: "ask and sign again")
        }
        let root = given.issuer.issuerKeyID.hex
        // Who believes the roots that are here may have to learn of this one first.
        let isKnown = current?.roots.contains { $0.signingKey.keyID == given.issuer.issuerKeyID } == true
        let instances = try Instance.all(in: paths)
        // Of a root that is alone in the bundle older bundles may know, too.
        let since = current.map { $0.roots.count > 1 ? $0.sequence : 0 } ?? 0
        if isKnown,
            let answer = try rehearsal.refusal("install", .issuer(root, bundle: since), instances)
        {
            return answer
        }
        if let answer = try refusal(of: bundle, instances) { return answer }
        let given = TrustGrant(bundle: bundle, discoveryKey: given.discoveryKey, issuer: given.issuer)
        try TrustLock.hold(paths) { () throws(Complaint) in try write(given, secret, paths) }
        return try rehearsal.renew(
            instances, "install", "the issuer of \(bundle.trustDomain) here is renewed, signed by \(root)",
            bundle)
    }

    private func install(_ bundle: TrustBundle, _ paths: MeshPaths) throws(Complaint) -> Answer {
        guard let current = try TrustFiles(paths), current.bundle.id == bundle.id else {
            throw Complaint(
                "\(grant) is a bundle of another trust domain than this host's",
                fix: "join that domain by mesh trust request")
        }
        guard bundle.sequence > current.bundle.sequence else {
            throw Complaint(
                "\(grant) is the bundle number \(bundle.sequence), and \(current.bundle.sequence) is here",
                fix: "install the newest")
        }
        guard let issuer = current.issuer,
            bundle.roots.contains(where: { issuer.isSigned(by: $0.signingKey) })
        else {
            throw Complaint(
                "the issuer of this host is signed by a root that \(grant) doesn't hold",
                fix: "have the issuer renewed first: mesh trust request, sign and install")
        }
        let instances = try Instance.all(in: paths)
        if let answer = try refusal(of: bundle, instances) { return answer }
        try TrustLock.hold(paths) { () throws(Complaint) in
            try KeyFiles.replace(paths.trustBundleFile, bundle.encoded)
        }
        return try rehearsal.renew(
            instances, "install", "the bundle number \(bundle.sequence) is in force", bundle)
    }

    private func refusal(of bundle: TrustBundle, _ instances: [Instance]) throws(Complaint) -> Answer? {
        try rehearsal.refusal("install", .roots(bundle.roots.map { $0.signingKey.keyID.hex }), instances)
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
