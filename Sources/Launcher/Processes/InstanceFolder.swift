// The folder of one run: made before anything else is started, removed after everything has ended.

import Glibc
import SidecarProtocol

struct InstanceFolder {
    static let launchName = "launch"

    let path: String
    /// Locked for as long as the launcher lives: an unlocked folder is a dead one's.
    private let lock: Int32
    /// Where the sidecar writes what isn't for the workload's terminal.
    let log: Int32

    init(_ plan: LaunchPlan) throws(LaunchFailure) {
        path = plan.instanceFolder
        // Until the folder is locked, nobody may sweep.
        let gate = try InstanceFolder.gate(plan.paths)
        defer { close(gate) }
        try checked(mkdir(path, 0o700), "can't make the folder \(path)") {
            $0 == ENOSPC ? "make room on that disk" : ""
        }
        let launch = path + "/" + InstanceFolder.launchName
        lock = try checked(open(launch, O_RDWR | O_CREAT | O_CLOEXEC, 0o600), "can't make \(launch)")
        try checked(flock(lock, LOCK_EX | LOCK_NB), "can't lock \(launch)")
        let content = InstanceFolder.launchRecord(plan)
        try checked(write(lock, content, content.count), "can't write \(launch)")
        try SmallFile.make(path + "/" + MeshPaths.configurationName, plan.configuration.encoded())
        if plan.flags != LaunchFlags() {
            let flags = plan.flags.encoded(of: plan.configuration.workload)
            try SmallFile.make(path + "/" + MeshPaths.flagsName, flags)
        }
        try SmallFile.make(path + "/resolv.conf", Array(NameFiles.resolver.utf8), mode: 0o644)
        let hosts = NameFiles.hosts(
            plan.configuration.workload, own: plan.ownAddress.v4, host: InstanceFolder.hostName())
        try SmallFile.make(path + "/hosts", Array(hosts.utf8), mode: 0o644)
        let logPath = path + "/" + MeshPaths.sidecarLogName
        log = try checked(
            open(logPath, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600), "can't make \(logPath)")
    }

    /// A lock that is held while a folder is made, and while dead ones are looked for.
    private static func gate(_ paths: MeshPaths) throws(LaunchFailure) -> Int32 {
        let gate = try checked(
            open(paths.instancesFolder, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
            "can't open \(paths.instancesFolder)")
        try checked(flock(gate, LOCK_EX), "can't lock \(paths.instancesFolder)")
        return gate
    }

    /// Who runs here: `[process id, command's base name, start in milliseconds since 1970]`, for people
    /// who look.
    private static func launchRecord(_ plan: LaunchPlan) -> [UInt8] {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let name = plan.configuration.command[0].split(separator: "/").last.map { String($0) } ?? ""
        return CBOR.array([
            .unsigned(UInt64(getpid())), .text(name),
            .unsigned(UInt64(now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000),
        ]).encoded()
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The end of the sidecar's log, for an error that would otherwise vanish with the folder.
    func logTail() -> String {
        guard let text = SmallFile.text(path + "/" + MeshPaths.sidecarLogName) else { return "" }
        return text.split(separator: "\n").suffix(5).map { "\n  \($0)" }.joined()
    }

    func remove() { Folders.remove(path) }

    /// Removes the folders that launchers left that were killed.
    static func sweep(_ paths: MeshPaths) {
        guard let gate = try? gate(paths) else { return }
        defer { close(gate) }
        for name in Folders.list(paths.instancesFolder) {
            let folder = paths.instancesFolder + "/" + name
            let launch = open(folder + "/" + launchName, O_RDONLY | O_CLOEXEC)
            defer { if launch >= 0 { close(launch) } }
            if launch < 0 || flock(launch, LOCK_EX | LOCK_NB) == 0 { Folders.remove(folder) }
        }
    }
}
