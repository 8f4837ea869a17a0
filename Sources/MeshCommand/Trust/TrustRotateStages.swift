import ArgumentParser
import Glibc
import SidecarProtocol

struct TrustRotateAdd: Verb {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Stage 1: a new root beside the old one.",
        discussion: "Exit codes: 0 done, or nothing speaks against it; 1 not so, or some didn't renew.")

    @OptionGroup var options: RotationOptions
    @Option(help: "How long the new root is valid, in days.") var days: UInt64 = 3650
    @Option(help: "With --root: the bundle for the hosts.") var out = "mesh-trust.bundle"

    func validate() throws {
        guard (1...36_500).contains(days) else { throw ValidationError("--days must be 1 to 36500") }
    }

    func answer() throws -> Answer {
        let root = try options.root()
        let bundle = try root.bundle()
        guard bundle.roots.count == 1 else {
            throw Complaint(
                "the bundle has \(bundle.roots.count) roots: a rotation is under way",
                fix: "go on with it: mesh trust show tells its stage")
        }
        if let answer = try options.rehearse("add", .roots(bundle.roots.map { $0.signingKey.keyID.hex })) {
            return answer
        }
        let secret = try KeyFiles.random()
        let key = SigningKeyPair(seed: secret)
        let now = KeyFiles.now()
        let following: TrustBundle
        do {
            let contents = CertificateContents(
                kind: .root, trustDomain: bundle.trustDomain, subject: nil, signingKey: key.publicKey,
                notBefore: now - Limits.certificateBackdating, notAfter: now + .seconds(days * 86_400),
                serial: try KeyFiles.serial())
            following = try bundle.following(roots: bundle.roots + [try contents.signed(by: key)])
        } catch { throw Complaint("no root can be made: \(error)", fix: "check the clock") }
        // The key first: a bundle whose root's key is lost couldn't be gone on with.
        try KeyFiles.replace(root.nextKeyFile, secret.withUnsafeBytes { Array($0) })
        try replace(following, root)
        return try options.done(
            "add",
            "\(bundle.trustDomain) has a second root, \(key.publicKey.keyID.hex); next: mesh trust rotate sign"
                + (options.isLocal ? "" : "\nOn each host first: mesh trust install \(out)"), following)
    }

    private func replace(_ bundle: TrustBundle, _ root: RootFolder) throws(Complaint) {
        guard options.isLocal else { return try root.replaceBundle(bundle, for: out) }
        try TrustLock.hold(options.paths) { () throws(Complaint) in try root.replaceBundle(bundle, for: nil) }
    }
}

struct TrustRotateSign: Verb {
    static let configuration = CommandConfiguration(
        commandName: "sign", abstract: "Stage 2: the issuer's certificate by the new root.",
        discussion: "Exit codes: 0 done, or nothing speaks against it; 1 not so, or some didn't renew.")

    @OptionGroup var options: RotationOptions

    func answer() throws -> Answer {
        let root = try options.root()
        let bundle = try root.bundle()
        guard bundle.roots.count > 1, let newest = bundle.roots.last else {
            throw Complaint("the bundle has one root", fix: "begin with mesh trust rotate add")
        }
        if let answer = try options.rehearse(
            "sign", .issuer(newest.signingKey.keyID.hex, bundle: bundle.sequence))
        {
            return answer
        }
        // Done before, where a former attempt was cut short after it.
        let isSwapped = try root.key(root.rootKeyFile).publicKey == newest.signingKey
        let key = try root.key(isSwapped ? root.rootKeyFile : root.nextKeyFile)
        guard key.publicKey == newest.signingKey else {
            throw Complaint(
                "\(root.nextKeyFile) isn't the newest root's", fix: "restore the folder from a backup")
        }
        let change = { () throws(Complaint) in
            if options.isLocal { try signIssuer(key) }
            guard !isSwapped else { return }
            try KeyFiles.move(root.rootKeyFile, root.oldKeyFile)
            try KeyFiles.move(root.nextKeyFile, root.rootKeyFile)
        }
        if options.isLocal { try TrustLock.hold(options.paths, change) } else { try change() }
        return try options.done(
            "sign",
            options.isLocal
                ? "the issuer's certificate is the new root's; next: mesh trust rotate remove"
                : "mesh trust sign uses the new root from now on. On each host: mesh trust request, sign, install;"
                    + " then here: mesh trust rotate remove", bundle)
    }

    private func signIssuer(_ key: SigningKeyPair) throws(Complaint) {
        guard var contents = try TrustFiles(options.paths)?.issuer?.contents else {
            throw Complaint("this host has no issuer's certificate", fix: "the next launch makes one")
        }
        let now = KeyFiles.now()
        contents.notBefore = now - Limits.certificateBackdating
        contents.notAfter = now + Limits.issuerLifetime
        contents.serial = try KeyFiles.serial()
        do {
            let certificate = try contents.signed(by: key)
            try KeyFiles.replace(options.paths.issuerCertificateFile, certificate.encoded)
        } catch let complaint as Complaint {
            throw complaint
        } catch { throw Complaint("no certificate can be made: \(error)", fix: "check the clock") }
    }
}

struct TrustRotateRemove: Verb {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Stage 3: the old root leaves.",
        discussion: "Exit codes: 0 done, or nothing speaks against it; 1 not so, or some didn't renew.")

    @OptionGroup var options: RotationOptions
    @Option(help: "With --root: the bundle for the hosts.") var out = "mesh-trust.bundle"

    func answer() throws -> Answer {
        let root = try options.root()
        let bundle = try root.bundle()
        guard bundle.roots.count > 1, let newest = bundle.roots.last else {
            throw Complaint("the bundle has one root", fix: "begin with mesh trust rotate add")
        }
        guard try root.key(root.rootKeyFile).publicKey == newest.signingKey else {
            throw Complaint("issuers are still signed by the old root", fix: "mesh trust rotate sign first")
        }
        if let answer = try options.rehearse("remove", .roots([newest.signingKey.keyID.hex])) {
            return answer
        }
        let following: TrustBundle
        do { following = try bundle.following(roots: [newest]) } catch {
            throw Complaint("no bundle can be made: \(error)", fix: "restore the folder from a backup")
        }
        if options.isLocal {
            try TrustLock.hold(options.paths) { () throws(Complaint) in
                try root.replaceBundle(following, for: nil)
            }
        } else {
            try root.replaceBundle(following, for: out)
        }
        unlink(root.oldKeyFile)
        return try options.done(
            "remove",
            "\(bundle.trustDomain) has one root, \(newest.signingKey.keyID.hex)"
                + (options.isLocal ? "" : "; on each host: mesh trust install \(out)"), following)
    }
}
