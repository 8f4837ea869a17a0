import ArgumentParser
import Glibc
import SidecarProtocol

struct BundleVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "bundle",
        abstract: "Gather what somebody who helps needs to see, in one archive without secrets.",
        discussion: """
            Of each workload that runs: config, status, flows, metrics and the end of its logs; of the host: \
            versions, mesh check, the node's status and log, the trust domain, and the last ended flows. Keys \
            are never read. What looks like a secret in the rest (a password in a command line, a token in a \
            log) is taken out, and MANIFEST says how many there were. Names and addresses stay: look at it \
            before you give it away.

            Exit codes: 0 written; 1 it couldn't be.
            """)

    @Option(
        name: .shortAndLong,
        help: "The archive; mesh-bundle-TIME.tar.gz in this folder without it.", completion: .file())
    var output: String?

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let now = WallClock.now()
        let stamp = WallClock.rfc3339(now).filter { $0.isNumber || $0 == "T" || $0 == "Z" }
        let path = output ?? "mesh-bundle-\(stamp).tar.gz"
        var content = BundleContent(options.place)
        try content.gather()
        var archive = Archive(modified: now)
        for (name, text) in content.files { archive.add("mesh-bundle/" + name, Array(text.utf8)) }
        archive.add("mesh-bundle/MANIFEST", Array(content.manifest(at: now).utf8))
        let bytes = archive.gzip
        try BundleVerb.write(bytes, to: path)
        if options.json {
            let json = JSON.object([
                "path": .text(path), "bytes": .number(bytes.count),
                "files": .list(content.files.map { .text($0.name) }), "redacted": .number(content.redacted),
            ])
            return Answer(text: "\(json)\n")
        }
        return Answer(
            text: "\(path): \(content.files.count + 1) files, \(Amount.bytes(bytes.count)), "
                + "\(content.redacted) values taken out. Look at it before you give it away.\n")
    }

    /// Never over a file that is there, nor through somebody's link.
    private static func write(_ bytes: [UInt8], to path: String) throws(Complaint) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Complaint(
                "\(path) can't be made: \(errorText(errno))", fix: "give another name by --output")
        }
        defer { close(descriptor) }
        guard writeAll(descriptor, bytes) else {
            throw Complaint("\(path) can't be written: \(errorText(errno))", fix: "free the disk")
        }
    }
}
