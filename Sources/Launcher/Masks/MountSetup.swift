// The workload's view of the file tree, made by init in user namespace A.
//
// Theory of operation
//
//   init is the first process of the pid namespace and has a mount namespace of A. In this order:
//   1. nothing propagates to or from the host any more;
//   2. what must stay reachable under a mask is held by detached copies of its mounts;
//   3. a fresh /proc shows this pid namespace, with the files through which root could change the host
//      read-only; a fresh /sys shows W's devices, where the kernel allows that;
//   4. masks; 5. the held pieces are attached at their places, which are made again under masks.
//   The workload's mount namespace belongs to B, a lesser user namespace: there, all of this is locked.

import CLinuxShims
import Glibc

struct MountSetup {
    let masks: MaskPlan

    private static let readOnlyParts = ["sys", "sysrq-trigger", "irq", "bus", "fs"]
    /// Where mounts of the host were replaced altogether.
    static let replaced = ["/proc", "/sys"]

    func apply() throws(LaunchFailure) {
        try MountSetup.mounted(mount(nil, "/", nil, MountFlag.recursive | MountFlag.private, nil), "/")
        var held: [(bind: MaskPlan.Bind, tree: Int32)] = []
        for bind in masks.binds {
            held.append(
                (
                    bind,
                    try checked(
                        mesh_open_tree(bind.source, 0), "can't hold \(bind.source)",
                        fix: { $0 == ENOSYS ? "use a kernel of 5.2 or later" : "" })
                ))
        }
        try MountSetup.mountProcesses()
        MountSetup.mountDevices()
        for folder in masks.folders { try MountSetup.mask(folder) }
        for file in masks.files {
            try MountSetup.mounted(mount("/dev/null", file, nil, MountFlag.bind, nil), file)
        }
        for (bind, tree) in held {
            try MountSetup.attach(tree, bind)
            close(tree)
        }
    }

    // MARK: /proc and /sys

    private static func mountProcesses() throws(LaunchFailure) {
        let flags = MountFlag.noSetUserID | MountFlag.noDevices | MountFlag.noExecution
        try checked(mount("proc", "/proc", "proc", flags, nil), "can't mount a fresh /proc") { _ in
            "in a container, let its own /proc be whole (docker: --security-opt systempaths=unconfined, "
                + "podman: --security-opt unmask=ALL)"
        }
        for part in readOnlyParts where Folders.exists("/proc/" + part) {
            try mounted(mount("/proc/" + part, "/proc/" + part, nil, MountFlag.bind, nil), "/proc/" + part)
            try makeReadOnly("/proc/" + part)
        }
    }

    /// Shows W's devices instead of the host's. A kernel may refuse, and then the host's stay, which tell
    /// their names but give no way to them.
    private static func mountDevices() {
        let groups = mesh_open_tree("/sys/fs/cgroup", 1)
        defer { if groups >= 0 { close(groups) } }
        let flags =
            MountFlag.noSetUserID | MountFlag.noDevices | MountFlag.noExecution | MountFlag.readOnly
        guard mount("sysfs", "/sys", "sysfs", flags, nil) == 0 else { return }
        // Programs size themselves by the limits of their control group.
        if groups >= 0 { _ = mesh_move_mount(groups, "/sys/fs/cgroup") }
    }

    // MARK: Masks

    private static func mask(_ folder: String) throws(LaunchFailure) {
        var status = stat()
        let mode = stat(folder, &status) == 0 ? status.st_mode & 0o7777 : 0o700
        let options = "mode=\(String(mode, radix: 8)),size=16m"
        let flags = MountFlag.noSetUserID | MountFlag.noDevices
        try mounted(mount("mesh", folder, "tmpfs", flags, options), folder)
    }

    private static func attach(_ tree: Int32, _ bind: MaskPlan.Bind) throws(LaunchFailure) {
        let target = try place(for: bind.target)
        try checked(mesh_move_mount(tree, target), "can't lay \(bind.source) over \(target)")
        if bind.isReadOnly { try makeReadOnly(target) }
    }

    /// Follows a symbolic link to its end, and makes again what a mask hides of it.
    private static func place(for path: String) throws(LaunchFailure) -> String {
        var path = path
        for _ in 0..<16 {
            var target = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink(path, &target, target.count - 1)
            guard count > 0 else { break }
            let link = String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            path = link.hasPrefix("/") ? link : path[..<path.lastIndex(of: "/")!] + "/" + link
        }
        guard !Folders.exists(path) else { return path }
        var parent = ""
        for part in path.split(separator: "/").dropLast() {
            parent += "/" + part
            mkdir(parent, 0o755)
        }
        let file = try checked(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644), "can't make \(path)") { _ in
            "make it on the host: touch \(path)"
        }
        close(file)
        return path
    }

    /// Keeps the flags that the mount has, since a user namespace may not take any away.
    private static func makeReadOnly(_ path: String) throws(LaunchFailure) {
        var status = statvfs()
        var flags = MountFlag.bind | MountFlag.remount | MountFlag.readOnly
        if statvfs(path, &status) == 0 { flags |= MountFlag.kept(of: UInt(status.f_flag)) }
        try mounted(mount(nil, path, nil, flags, nil), path)
    }

    private static func mounted(_ result: Int32, _ path: String) throws(LaunchFailure) {
        try checked(result, "can't mount over \(path)") { _ in "" }
    }
}

/// The flags of mount(2), by their numbers: glibc gives them as an enumeration that doesn't combine.
enum MountFlag {
    static let readOnly: UInt = 1
    static let noSetUserID: UInt = 2
    static let noDevices: UInt = 4
    static let noExecution: UInt = 8
    static let remount: UInt = 32
    static let bind: UInt = 4096
    static let recursive: UInt = 16384
    static let `private`: UInt = 1 << 18

    /// What a remount must say again, from the flags of statvfs(3): the first four are the same bits.
    static func kept(of status: UInt) -> UInt {
        let (noAccessTimes, noFolderAccessTimes, relativeTimes): (UInt, UInt, UInt) = (1024, 2048, 4096)
        return status
            & (readOnly | noSetUserID | noDevices | noExecution | noAccessTimes | noFolderAccessTimes)
            | (status & relativeTimes == 0 ? 0 : 1 << 21)
    }
}
