// mesh's own folders, its node, and its trust domain.

import Glibc
import SidecarProtocol

enum PlaceChecks {
    static func findings(_ paths: MeshPaths) -> [Finding] {
        [
            folder("runtime folder", paths.runtime), folder("state folder", paths.state), space(paths.state),
            node(paths), otherHosts(paths), trust(paths),
        ]
    }

    /// Whether a folder is the user's own, closed to others and writable, or can be made so.
    static func folder(_ subject: String, _ path: String) -> Finding {
        let owner = geteuid()
        guard let status = FileStatus(path) else {
            let parent = nearest(above: path)
            guard access(parent, W_OK | X_OK) == 0 else {
                return .bad(
                    subject, "\(path) doesn't exist, and \(parent) isn't writable",
                    fix: "make \(path) with mode 0700 and give it to this user")
            }
            return .ok(subject, "\(path) doesn't exist yet, and can be made")
        }
        guard status.isFolder else {
            return .bad(subject, "\(path) is no folder", fix: "remove it")
        }
        guard status.owner == owner || owner == 0 else {
            return .bad(
                subject, "\(path) belongs to the user \(status.owner), not to \(owner)",
                fix: "remove it, or give it to this user")
        }
        guard status.permissions & 0o022 == 0 else {
            return .bad(
                subject,
                "\(path) has mode 0\(String(status.permissions, radix: 8)), so others may write there",
                fix: "chmod 0700 \(path)")
        }
        guard access(path, W_OK | X_OK) == 0 else {
            return .bad(subject, "\(path) isn't writable: \(errorText(errno))", fix: "chmod 0700 \(path)")
        }
        return .ok(subject, path)
    }

    private static func nearest(above path: String) -> String {
        var path = path[...]
        while let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            path = path[..<slash]
            if FileStatus(String(path)) != nil { return String(path) }
        }
        return "/"
    }

    /// Records, tombstones and keys are small, but a full disk stops a launch.
    private static func space(_ path: String) -> Finding {
        var file = statvfs()
        let folder = FileStatus(path) == nil ? nearest(above: path) : path
        guard statvfs(folder, &file) == 0 else {
            return .note(
                "disk", "the room under \(folder) isn't known: \(errorText(errno))", fix: "check the disk")
        }
        let free = Int(
            clamping: UInt64(file.f_bavail).multipliedReportingOverflow(by: UInt64(file.f_frsize))
                .partialValue)
        guard free >= 64 << 20 else {
            return .bad("disk", "\(Amount.bytes(free)) are free for \(path)", fix: "free at least 64 MB")
        }
        return .ok("disk", "\(Amount.bytes(free)) are free for \(path)")
    }

    private static func node(_ paths: MeshPaths) -> Finding {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        if connectUnix(descriptor, to: paths.topicsSocket) { return .ok("node", "runs") }
        switch errno {
        case ENOENT, ECONNREFUSED, ENOTDIR: return .ok("node", "idle; the next launch starts it")
        case let code:
            return .bad(
                "node", "\(paths.topicsSocket) can't be reached: \(errorText(code))",
                fix: "run this as the user whose mesh it is")
        }
    }

    /// Whom the node's own config file has it meet.
    private static func otherHosts(_ paths: MeshPaths) -> Finding {
        let file = paths.nodeConfigurationFile
        guard FileStatus(file) != nil else {
            return .ok("other hosts", "none; \(file) would name them")
        }
        do throws(ConfigurationFailure) {
            let configuration = try NodeConfigurationCompiler.compile(
                try ConfigurationSource.content(file), file: file)
            let (listen, seeds) = (configuration.listen, configuration.otherSeeds)
            return .ok(
                "other hosts",
                "listens on \(listen.isEmpty ? "nothing" : listen.joined(separator: ", ")), seeds "
                    + (seeds.isEmpty ? "none" : seeds.joined(separator: ", ")))
        } catch {
            let first = error.problems.first
            return .bad(
                "other hosts", "\(file):\(first?.line ?? 1): \(first?.error.what ?? "it can't be used")",
                fix: first?.error.fix ?? "")
        }
    }

    /// A local domain's issuer renews itself at half of its life; another's has to be asked for.
    private static func trust(_ paths: MeshPaths) -> Finding {
        do throws(Complaint) {
            guard let files = try TrustFiles(paths) else {
                return .ok("trust", "no trust domain yet; the first launch makes a local one")
            }
            let kind = files.hasRootKey ? "local, its root's key is on this disk" : "its root is elsewhere"
            let domain = "\(files.bundle.trustDomain) (\(kind))"
            let now = WallClock.now()
            let ends = (files.bundle.roots + (files.issuer.map { [$0] } ?? [])).map {
                Int($0.notAfter.seconds)
            }
            guard let end = ends.min(), end > now else {
                return .bad(
                    "trust", "a root or the issuer of \(domain) has ended",
                    fix: "see mesh trust show, and have a new one signed")
            }
            if let issuer = files.issuer {
                let life = CertificateLife(of: issuer)
                guard !life.isAlarming(at: WallTime(seconds: Int64(now))) else {
                    let used = life.percentUsed(at: WallTime(seconds: Int64(now)))
                    return .bad(
                        "trust", "the issuer of \(domain) is at \(used) % of its life and isn't renewed",
                        fix: files.hasRootKey
                            ? "mesh identity renew any workload, and see the node's log"
                            : "mesh trust request, sign and install")
                }
            }
            return .ok("trust", "\(domain), valid until \(WallClock.rfc3339(end))")
        } catch {
            return .bad("trust", error.what, fix: error.fix)
        }
    }
}
