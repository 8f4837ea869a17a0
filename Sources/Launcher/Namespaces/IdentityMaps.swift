// Writing the maps of user namespaces.

import Glibc

extension IdentityPlan {
    /// Maps A from within: one id, which anybody may.
    func writeFromInside() throws(LaunchFailure) {
        // An unprivileged process may map a group only after it has given setgroups(2) up.
        try IdentityPlan.set("/proc/self/setgroups", to: "deny")
        try IdentityPlan.set("/proc/self/uid_map", to: IdentityPlan.text(users))
        try IdentityPlan.set("/proc/self/gid_map", to: IdentityPlan.text(groups))
    }

    /// Maps A from outside, for the process that has entered it.
    func writeFromOutside(_ process: pid_t) throws(LaunchFailure) {
        switch writer {
        case .itself: return
        case .launcher:
            try IdentityPlan.set("/proc/\(process)/uid_map", to: IdentityPlan.text(users))
            try IdentityPlan.set("/proc/\(process)/gid_map", to: IdentityPlan.text(groups))
        case .subordinate:
            try IdentityPlan.runMapper("newuidmap", process, users)
            try IdentityPlan.runMapper("newgidmap", process, groups)
        }
    }

    /// Maps B, by a process in A that holds A's capabilities.
    func writeInner(_ process: pid_t) throws(LaunchFailure) {
        try IdentityPlan.set("/proc/\(process)/uid_map", to: IdentityPlan.text(innerUsers))
        try IdentityPlan.set("/proc/\(process)/gid_map", to: IdentityPlan.text(innerGroups))
    }

    private static func set(_ path: String, to value: String) throws(LaunchFailure) {
        guard SmallFile.set(path, to: value) else {
            throw LaunchFailure(
                "can't write \"\(value.split(separator: "\n").joined(separator: ", "))\" to \(path): "
                    + errorText(errno),
                fix: "")
        }
    }

    private static func runMapper(
        _ program: String, _ process: pid_t, _ extents: [Extent]
    ) throws(LaunchFailure) {
        guard case .found(let path) = Programs.search(program) else {
            throw LaunchFailure(
                "user: root needs \(program), which isn't installed", fix: "install the package uidmap")
        }
        var words = [path, String(process)]
        for extent in extents {
            words += [extent.inside, extent.outside, extent.count].map { String($0) }
        }
        var output: [UInt8] = []
        let status = WaitStatus(raw: try Spawn.run(words, output: &output))
        guard status == .exited(code: 0) else {
            throw LaunchFailure(
                "`\(words.joined(separator: " "))` ended with \(status.text)",
                fix: "compare it with /etc/subuid and /etc/subgid")
        }
    }
}
