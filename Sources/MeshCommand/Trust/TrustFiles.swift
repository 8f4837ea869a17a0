// The trust domain as its files tell of it. None of its keys is ever read here.

import Glibc
import SidecarProtocol

struct TrustFiles {
    let bundle: TrustBundle
    /// This host's issuer; nil where it has none yet, or where this user may not read it.
    let issuer: Certificate?
    /// Whether the root's key lies on this disk, as it does in a local domain.
    let hasRootKey: Bool

    /// Nil where there is no trust domain yet.
    init?(_ paths: MeshPaths) throws(Complaint) {
        let path = paths.trustBundleFile
        guard FileStatus(paths.trustFolder) != nil else { return nil }
        let bytes = try FileContent.read(path, atMost: Limits.trustBundleBytesMaximum + 1)
        do { bundle = try TrustBundle(canonical: bytes) } catch {
            throw Complaint(
                "\(path) isn't a trust bundle: \(error)", fix: "restore the folder from a backup", exitCode: 1
            )
        }
        let certificate = paths.issuerCertificateFile
        issuer = (try? FileContent.read(certificate, atMost: Limits.certificateBytesMaximum + 1))
            .flatMap { try? Certificate(canonical: $0) }
        hasRootKey = FileStatus(paths.rootKeyFile) != nil
    }

    /// The name of one's own trust domain, where it is known.
    static func ownDomain(_ paths: MeshPaths) -> String? {
        ((try? TrustFiles(paths)) ?? nil)?.bundle.trustDomain
    }
}
