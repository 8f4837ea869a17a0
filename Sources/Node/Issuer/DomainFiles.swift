// The trust domain on this disk: reading it, and making a local one at first use.
//
// Theory of operation
//
//   trust/bundle          the trust bundle, as encoded
//   trust/discovery.key   32 bytes
//   trust/root.key        32 bytes; a local domain's alone, and the mark of one
//   issuer/issuer.key     32 bytes
//   issuer/issuer.cert    the issuer's certificate, as encoded
//
//   A local domain's trust folder is made beside its place, and renamed once it is whole and on the disk:
//   nobody ever sees half of one. Its issuer follows, and can be made again from the root's key. Nothing
//   else that is missing or damaged is ever replaced: the error names the file, and a person decides.

import Glibc
import SidecarProtocol
import Transport

enum DomainFiles {
    /// What every process of the user may read of the domain.
    struct Published: Sendable {
        var bundle: TrustBundle
        var discoveryKey: DiscoveryKey
    }

    /// What changes when one of the domain's public files is replaced.
    struct Stamp: Hashable, Sendable {
        let inode: UInt
        let seconds: Int
        let nanoseconds: Int
    }

    static func stamp(_ paths: MeshPaths) -> [Stamp] {
        [paths.trustBundleFile, paths.discoveryKeyFile, paths.issuerCertificateFile].map(stamp)
    }

    static func stamp(_ path: String) -> Stamp {
        var status = Glibc.stat()
        guard lstat(path, &status) == 0 else { return Stamp(inode: 0, seconds: 0, nanoseconds: 0) }
        return Stamp(
            inode: status.st_ino, seconds: status.st_mtim.tv_sec, nanoseconds: status.st_mtim.tv_nsec)
    }

    /// The domain as a node needs it; nil where there is none yet.
    static func published(in paths: MeshPaths) throws(FileError) -> Published? {
        guard
            let bytes = try OwnFiles.read(
                paths.trustBundleFile, byteCountMaximum: Limits.trustBundleBytesMaximum)
        else {
            guard access(paths.trustFolder, F_OK) != 0 else {
                throw missing(paths.trustBundleFile, paths)
            }
            return nil
        }
        let bundle: TrustBundle
        do { bundle = try TrustBundle(canonical: bytes) } catch {
            throw FileError(
                paths.trustBundleFile, "isn't a trust bundle (\(error))", fix: restoring(paths))
        }
        guard let key = try secret(paths.discoveryKeyFile, paths),
            let discoveryKey = DiscoveryKey(key.bytes)
        else { throw missing(paths.discoveryKeyFile, paths) }
        return Published(bundle: bundle, discoveryKey: discoveryKey)
    }

    /// The domain as its issuer needs it. Makes a local one where this user has none.
    static func issuer(in paths: MeshPaths, at now: Now) throws(FileError) -> IssuerDomain {
        try OwnFiles.makeFolder(paths.state)
        let lock = open(paths.state + "/trust.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard lock >= 0 else { throw FileError(paths.state + "/trust.lock", call: "open") }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 {
            guard errno == EINTR else { throw FileError(paths.state + "/trust.lock", call: "flock") }
        }
        guard let published = try published(in: paths) else { return try makeLocal(in: paths, at: now) }
        var domain = try read(published, in: paths, at: now)
        if let (part, problem) = domain.inconsistency {
            throw FileError(file(part, paths), problem, fix: restoring(paths))
        }
        if domain.needsRenewal(at: now.wall) {
            do {
                if let renewed = try domain.renewed(at: now.wall, serial: .random(in: 1...UInt64.max)) {
                    domain = renewed
                    try OwnFiles.replace(
                        paths.issuerCertificateFile, with: domain.issuerCertificate.encoded)
                }
            } catch let error as FileError {
                throw error
            } catch {
                throw FileError(paths.issuerCertificateFile, "\(error)", fix: restoring(paths))
            }
        }
        return domain
    }

    private static func read(
        _ published: Published, in paths: MeshPaths, at now: Now
    ) throws(FileError) -> IssuerDomain {
        var rootKey: SigningKeyPair?
        if let seed = try secret(paths.rootKeyFile, paths) { rootKey = SigningKeyPair(seed: seed) }
        guard
            let bytes = try OwnFiles.read(
                paths.issuerCertificateFile, byteCountMaximum: Limits.certificateBytesMaximum)
        else {
            guard let rootKey else { throw missing(paths.issuerCertificateFile, paths) }
            return try makeIssuer(published, rootKey, in: paths, at: now)
        }
        let certificate: Certificate
        do { certificate = try Certificate(canonical: bytes) } catch {
            throw FileError(paths.issuerCertificateFile, "\(error)", fix: restoring(paths))
        }
        guard let key = try secret(paths.issuerKeyFile, paths) else {
            throw missing(paths.issuerKeyFile, paths)
        }
        return IssuerDomain(
            bundle: published.bundle, discoveryKey: published.discoveryKey,
            issuerKey: SigningKeyPair(seed: key), issuerCertificate: certificate, rootKey: rootKey)
    }
}

// MARK: - First use

extension DomainFiles {
    private static func makeLocal(in paths: MeshPaths, at now: Now) throws(FileError) -> IssuerDomain {
        // With an issuer but no trust folder, a domain was here. A new one in its place would be another.
        guard access(paths.issuerCertificateFile, F_OK) != 0 else {
            throw FileError(
                paths.trustFolder, "missing, though \(paths.issuerFolder) is there",
                fix: "restore it from a backup, or move \(paths.issuerFolder) away too to begin anew")
        }
        let (root, discovery) = (SecretBytes.random(), SecretBytes.random())
        let rootKey = SigningKeyPair(seed: root)
        do {
            let published = Published(
                bundle: try IssuerDomain.localBundle(rootKey: rootKey, at: now.wall),
                discoveryKey: DiscoveryKey(discovery.bytes)!)
            try makeTrustFolder(
                paths,
                [
                    (paths.rootKeyFile, root.bytes), (paths.discoveryKeyFile, discovery.bytes),
                    (paths.trustBundleFile, published.bundle.encoded),
                ])
            return try makeIssuer(published, rootKey, in: paths, at: now)
        } catch let error as FileError {
            throw error
        } catch {
            throw FileError(paths.trustFolder, "no local domain: \(error)", fix: "check the clock")
        }
    }

    private static func makeIssuer(
        _ published: Published, _ rootKey: SigningKeyPair, in paths: MeshPaths, at now: Now
    ) throws(FileError) -> IssuerDomain {
        let seed = SecretBytes.random()
        let key = SigningKeyPair(seed: seed)
        let certificate: Certificate
        do {
            certificate = try IssuerDomain.issuerCertificate(
                of: published.bundle.trustDomain, host: WorkloadName.hostLabel(hostName()),
                key: key.publicKey, rootKey: rootKey, at: now.wall, serial: .random(in: 1...UInt64.max))
        } catch {
            throw FileError(paths.issuerCertificateFile, "\(error)", fix: "check the clock")
        }
        try OwnFiles.makeFolder(paths.issuerFolder)
        try OwnFiles.replace(paths.issuerKeyFile, with: seed.bytes)
        try OwnFiles.replace(paths.issuerCertificateFile, with: certificate.encoded)
        return IssuerDomain(
            bundle: published.bundle, discoveryKey: published.discoveryKey, issuerKey: key,
            issuerCertificate: certificate, rootKey: rootKey)
    }

    /// Makes the trust folder, by rename. What an interrupted attempt left beside it is removed: it
    /// never was a domain.
    private static func makeTrustFolder(
        _ paths: MeshPaths, _ files: [(path: String, bytes: [UInt8])]
    ) throws(FileError) {
        let fresh = paths.trustFolder + ".new"
        try OwnFiles.removeFolder(fresh)
        guard mkdir(fresh, 0o700) == 0 else { throw FileError(fresh, call: "mkdir") }
        for file in files {
            try OwnFiles.write(fresh + file.path.dropFirst(paths.trustFolder.count), file.bytes)
        }
        try OwnFiles.synchronize(folder: fresh)
        guard rename(fresh, paths.trustFolder) == 0 else {
            throw FileError(paths.trustFolder, call: "rename")
        }
        try OwnFiles.synchronize(folder: paths.state)
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "host" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

// MARK: - Reading, and what is said of what can't be read

extension DomainFiles {
    /// 32 bytes that only this user can read, or nil where there is no such file.
    private static func secret(_ path: String, _ paths: MeshPaths) throws(FileError) -> SecretBytes? {
        guard var bytes = try OwnFiles.read(path, byteCountMaximum: 4096, isSecret: true) else {
            return nil
        }
        defer { SecretMemory.wipe(&bytes) }
        guard bytes.count == 32 else {
            throw FileError(path, "\(bytes.count) bytes, where a key has 32", fix: restoring(paths))
        }
        return SecretBytes(copying: bytes)
    }

    private static func file(_ part: IssuerDomain.Part, _ paths: MeshPaths) -> String {
        switch part {
        case .issuerKey: paths.issuerKeyFile
        case .issuerCertificate: paths.issuerCertificateFile
        case .rootKey: paths.rootKeyFile
        }
    }

    private static func missing(_ path: String, _ paths: MeshPaths) -> FileError {
        FileError(path, "missing", fix: restoring(paths))
    }

    private static func restoring(_ paths: MeshPaths) -> String {
        "restore it from a backup, or move \(paths.trustFolder) and \(paths.issuerFolder) away to begin a"
            + " new trust domain"
    }
}

extension SecretBytes {
    fileprivate var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
