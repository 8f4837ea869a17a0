import Glibc
import SidecarProtocol

/// The workload's own VIP, which depends on its trust domain.
enum OwnAddress {
    /// How long the node may take to make a local domain, the first time that this user starts anything.
    private static let firstUseMillisecondsMaximum = 5_000

    /// Reads the domain's bundle; where there is none yet, waits for the node that was started to make it.
    ///
    /// - Parameter waits: false for a dry run, which has started no node and then gets 0.
    static func of(
        _ workload: WorkloadName, in paths: MeshPaths, waits: Bool
    ) throws(LaunchFailure) -> UInt32 {
        let file = paths.trustBundleFile
        for _ in 0..<firstUseMillisecondsMaximum / 2 {
            if let bytes = SmallFile.read(file) {
                do throws(CertificateError) {
                    let bundle = try TrustBundle(canonical: bytes)
                    return VirtualAddresses.preferred(workload, domain: bundle.id)
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
            guard waits else { return 0 }
            usleep(2_000)
        }
        throw LaunchFailure(
            "the node made no trust domain within \(firstUseMillisecondsMaximum / 1_000) s",
            fix: "read \(paths.state)/node.log")
    }
}
