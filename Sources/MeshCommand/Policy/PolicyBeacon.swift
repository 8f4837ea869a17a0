import ArgumentParser
import Glibc
import SidecarProtocol

struct PolicyBeacon: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "beacon", abstract: "Sign and send the beacons that a policy with freshness asks for.",
        discussion: """
            Runs until it is interrupted, and sends one every few seconds. When no key that the policy names \
            sends any more, all traffic of the domain stops within the lease, 30 s: keep it running, on two \
            hosts with two keys if it matters. With --count it ends by itself.

            Exit codes: 0 so many were sent; 1 there is no key, or the node refuses its beacons.
            """)

    @Option(help: "The file of the key to sign with: 32 bytes; this host's policy key, without it.")
    var key: String?

    @Option(help: "Seconds between beacons.") var every: UInt64 = 10
    @Option(help: "End after so many.") var count: UInt64?
    @OptionGroup var options: ReportOptions

    func validate() throws {
        guard (1...20).contains(every) else {
            throw ValidationError("--every \(every) is not possible; use 1 to 20, less than the lease")
        }
    }

    func run() throws {
        let paths = options.place.paths
        guard let files = try TrustFiles(paths) else {
            throw Complaint(
                "there is no trust domain in \(paths.trustFolder) yet", fix: "the first launch makes one")
        }
        let signer = SigningKeyPair(seed: try KeyFiles.key(key ?? paths.policyKeyFile))
        try check(signer.publicKey, paths)
        var sent: UInt64 = 0
        var link = try PolicyLink(paths)
        while true {
            let beacon = FreshnessBeacon.signed(of: files.bundle.id, at: KeyFiles.exactNow(), by: signer)
            var isTaken = try link?.send(beacon: beacon) ?? false
            if !isTaken {
                link = try PolicyLink(paths)
                isTaken = try link?.send(beacon: beacon) ?? false
            }
            // A node that has ended is no reason to stop: the next one needs beacons too.
            if isTaken { sent += 1 }
            try say(sent, isTaken)
            if let count, sent >= count { return }
            sleep(UInt32(isTaken ? every : 1))
        }
    }

    /// A key that the policy doesn't name keeps nobody alive; better said now than found out.
    private func check(_ key: SigningPublicKey, _ paths: MeshPaths) throws(Complaint) {
        guard let policy = try HeldPolicy.read(paths) else { return }
        guard policy.document.freshnessKeys.contains(key) else {
            throw Complaint(
                "the policy in force doesn't name the key \(key.keyID.hex) in freshness",
                fix: "add freshness: {keys: [self]} to it, and apply it")
        }
    }

    private func say(_ sent: UInt64, _ isTaken: Bool) throws {
        if options.json {
            let facts = JSON.object([
                "sent": .number("\(sent)"), "taken": .bool(isTaken),
                "time": .text(WallClock.rfc3339(WallClock.now())),
            ])
            try StandardOutput.write(Array("\(facts)\n".utf8))
        } else if !isTaken {
            StandardError.write("mesh: no node runs here; the beacon is tried again\n")
        } else if sent == 1 {
            try StandardOutput.write(Array("the node takes this key's beacons, one every \(every) s\n".utf8))
        }
    }
}
