// What the kernel allows: namespaces, and the devices of both datapaths.

import Glibc

enum NamespaceChecks {
    static func findings(_ probe: NamespaceProbe) -> [Finding] {
        [namespaces(probe), proc(probe), veth(probe), tap(probe)]
    }

    /// A number in /proc/sys; nil where the kernel doesn't have it.
    static func sysctl(_ name: String) -> Int? {
        let path = "/proc/sys/" + name.split(separator: ".").joined(separator: "/")
        guard let bytes = try? FileContent.read(path, atMost: 64) else { return nil }
        return Int(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }

    static func namespaces(_ probe: NamespaceProbe) -> Finding {
        let subject = "user namespaces"
        guard let code = probe.namespaces else {
            return .bad(subject, "trying to make them failed", fix: "run mesh check again")
        }
        guard code != 0 else {
            let most = sysctl("user.max_user_namespaces").map { ", \($0) at most" } ?? ""
            return .ok(subject, "can be made\(most)")
        }
        if sysctl("kernel.unprivileged_userns_clone") == 0 {
            return .bad(
                subject, "ordinary users may not make them (kernel.unprivileged_userns_clone is 0)",
                fix: "as root: sysctl -w kernel.unprivileged_userns_clone=1")
        }
        for name in ["user", "net", "pid", "mnt"] where sysctl("user.max_\(name)_namespaces") == 0 {
            return .bad(
                subject, "none may be made (user.max_\(name)_namespaces is 0)",
                fix: "as root: sysctl -w user.max_\(name)_namespaces=65536")
        }
        if sysctl("kernel.apparmor_restrict_unprivileged_userns") == 1 {
            return .bad(
                subject, "AppArmor restricts them (kernel.apparmor_restrict_unprivileged_userns is 1)",
                fix: "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
        }
        let why = code == ENOSPC ? "too many exist" : errorText(code)
        return .bad(
            subject, "can't be made: \(why)",
            fix: code == ENOSPC
                ? "as root: raise user.max_user_namespaces (now \(sysctl("user.max_user_namespaces") ?? 0))"
                : "in a container, allow unshare(2) in its seccomp profile")
    }

    static func proc(_ probe: NamespaceProbe) -> Finding {
        let subject = "process namespaces"
        switch probe.proc {
        case 0: return .ok(subject, "can have a /proc of their own")
        case nil:
            return .note(subject, "not tried, since namespaces can't be made", fix: "see user namespaces")
        case let code?:
            return .bad(
                subject, "can't have a /proc of their own: \(errorText(code))",
                fix: "in a container, let its /proc be unmasked")
        }
    }

    static func veth(_ probe: NamespaceProbe) -> Finding {
        let subject = "datapath veth"
        switch probe.veth {
        case 0: return .ok(subject, "veth devices can be made")
        case nil:
            return .note(subject, "not tried, since namespaces can't be made", fix: "see user namespaces")
        case EOPNOTSUPP?:
            return .note(
                subject, "the kernel has no veth devices, so the datapath is slirp",
                fix: "as root: modprobe veth")
        case let code?:
            return .note(
                subject, "a veth device can't be made (\(errorText(code))), so the datapath is slirp",
                fix: "as root: modprobe veth")
        }
    }

    static func tap(_ probe: NamespaceProbe) -> Finding {
        let subject = "datapath slirp, egress"
        let path = "/dev/net/tun"
        let without = "so neither the slirp datapath nor egress works"
        guard let status = FileStatus(path) else {
            return .note(
                subject, "\(path) is missing, \(without)",
                fix: "as root: mkdir -p /dev/net && mknod -m 0666 \(path) c 10 200 (after modprobe tun)")
        }
        guard status.isCharacterDevice else {
            return .note(
                subject, "\(path) is no device, \(without)", fix: "as root: replace it by the device 10:200")
        }
        let mode = "0" + String(status.permissions, radix: 8)
        guard access(path, R_OK | W_OK) == 0 else {
            return .note(
                subject, "\(path) has mode \(mode) and isn't open to this user, \(without)",
                fix: "as root: chmod 0666 \(path)")
        }
        if let code = probe.tap, code != 0 {
            return .note(
                subject, "a TAP device can't be made (\(errorText(code))), \(without)",
                fix: "as root: modprobe tun")
        }
        guard status.permissions == 0o666 else {
            return .note(
                subject, "\(path) has mode \(mode): it works for this user, not for every other",
                fix: "as root: chmod 0666 \(path)")
        }
        return .ok(subject, "TAP devices can be made")
    }
}
