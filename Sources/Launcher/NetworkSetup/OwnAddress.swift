import Glibc
import SidecarProtocol

/// The workload's own VIPs, which depend on its trust domain.
package struct OwnAddress: Equatable, Sendable {
    package var v4: UInt32
    /// Nil while there is no domain.
    package var v6: IPAddress?

    /// What stands for it in a dry run before there is a domain.
    package static let unknown = OwnAddress(v4: 0, v6: nil)

    package init(v4: UInt32, v6: IPAddress?) {
        self.v4 = v4
        self.v6 = v6
    }

    /// - Parameter domain: of the workload's certificates.
    package init(_ workload: WorkloadName, domain: TrustDomainID) {
        v4 = VirtualAddresses.preferred(workload, domain: domain)
        v6 = VirtualAddresses.v6(of: v4, domain: domain)
    }

    /// How long the node may take to make a local domain, the first time that this user starts anything.
    private static let firstUseMillisecondsMaximum = 5_000

    /// Reads the domain's bundle; where there is none yet, waits for the node that was started to make it.
    ///
    /// - Parameter waits: false for a dry run, which has started no node and then gets
    ///   `unknown`.
    static func of(
        _ workload: WorkloadName, in paths: MeshPaths, waits: Bool
    ) throws(LaunchFailure) -> OwnAddress {
        let file = paths.trustBundleFile
        for _ in 0..<firstUseMillisecondsMaximum / 2 {
            if let bytes = SmallFile.read(file) {
                do throws(CertificateError) {
                    let bundle = try TrustBundle(canonical: bytes)
                    return OwnAddress(workload, domain: bundle.id)
                } catch {
                    throw LaunchFailure(
                        "the trust bundle \(file) can't be used: \(error)", fix: "restore it from a backup")
                }
            }
            guard errno == ENOENT else {
                throw LaunchFailure(
                    "can't read the trust bundle \(file): \(errorText(errno))",
                    fix: "check its owner and mode")
            }
            guard waits else { return .unknown }
            usleep(2_000)
        }
        throw LaunchFailure(
            "the node made no trust domain within \(firstUseMillisecondsMaximum / 1_000) s",
            fix: "read \(paths.state)/node.log")
    }
}
