// From the command line to a plan: config, user, folders, masks.

import Glibc
import SidecarProtocol

struct LaunchPreparation {
    let arguments: LaunchArguments
    let programs: Programs
    /// Of whoever starts the launcher, whose node and trust domain these are.
    let account = Account.current()

    /// What runs, and for whom.
    func configuration() throws(LaunchFailure) -> WorkloadConfiguration {
        var file: WorkloadConfiguration?
        if let path = arguments.configurationFile {
            file = try CompiledConfiguration.load(
                path, paths: Folders.paths(for: account), account: account, programs: programs)
        }
        return try arguments.overrides.configuration(
            over: file, command: arguments.command, suffix: LaunchPreparation.randomSuffix())
    }

    /// Becomes the user that the configuration names, where root may, and plans the launch as that user.
    /// The node runs from here on, but for a dry run.
    func plan(_ configuration: WorkloadConfiguration) throws(LaunchFailure) -> LaunchPlan {
        try LaunchPreparation.refuseInheritedListeners()
        try LaunchPreparation.refuseRelativeFolders()
        let executable = ExecutableImage.open(
            try LaunchPreparation.findCommand(configuration.command[0]))
        let system = Folders.paths(for: account)
        if arguments.action == .launch {
            try LaunchPreparation.makeFolders(system, account)
            try NodeStart.ensure(system, programs: programs)
        }
        let ownAddress = try OwnAddress.of(
            configuration.workload, in: system, waits: arguments.action == .launch)
        var paths = system
        var account = self.account
        var digest: GrantedExecutable?
        if case .named(let name) = configuration.user, geteuid() == 0 {
            // As root, whose word it is: the user may not be able to read the file.
            if arguments.action == .launch { digest = executable.granted(cache: system.cache) }
            (account, paths) = try SystemLaunch.become(
                name, workload: configuration.workload, executable: digest, system: system,
                isDry: arguments.action != .launch)
        }
        if arguments.action == .launch { try LaunchPreparation.makeFolders(paths, account) }
        let configurationFile = try arguments.configurationFile.map(LaunchPreparation.realPath)
        let masks = try MaskPlan.survey(
            configuration, configurationFile: configurationFile, paths: paths, account: account)
        var plan = LaunchPlan(
            configuration: configuration, configurationFile: configurationFile, account: account,
            paths: paths, identity: try IdentityPlan.choose(configuration.user, account: account),
            ownAddress: ownAddress, masks: masks, instance: InstanceID(LaunchPreparation.random(16))!,
            executable: executable, sidecar: try programs.own("mesh-sidecar"), environment: [],
            workingFolder: LaunchPreparation.workingFolder(), joins: arguments.joins,
            logsToStandardError: arguments.logsToStandardError)
        plan.digest = digest
        plan.notify = Folders.environment("NOTIFY_SOCKET").map {
            NotifyPlan(manager: $0, relay: plan.instanceFolder + "/notify.sock")
        }
        do throws(ConfigurationError) {
            plan.flags = try arguments.overrides.flags(
                in: configuration.workload.namespace, command: arguments.command)
        } catch { throw LaunchFailure(error) }
        plan.addNameFiles()
        plan.environment = LaunchPreparation.environment(plan)
        return plan
    }

    /// They would be other folders for each who reads them.
    private static func refuseRelativeFolders() throws(LaunchFailure) {
        for name in ["MESH_RUNTIME_DIR", "MESH_STATE_DIR", "MESH_CONFIG_DIR", "MESH_CACHE_DIR"] {
            guard let folder = Folders.environment(name), !folder.hasPrefix("/") else { continue }
            throw LaunchFailure(
                "\(name) is \(folder), which isn't a whole path", fix: "name the folder from / on")
        }
    }

    private static func makeFolders(_ paths: MeshPaths, _ account: Account) throws(LaunchFailure) {
        // The state's first: the runtime folder may lie in it, and what is made on the way is open to read.
        for (folder, variable) in [
            (paths.state, "MESH_STATE_DIR"), (paths.runtime, "MESH_RUNTIME_DIR"),
            (paths.instancesFolder, "MESH_RUNTIME_DIR"),
        ] { try Folders.make(folder, owner: account.userID, setting: variable) }
        // Only what is there is hidden from the program, which would make them itself. Where they can't be made, on a
        // file system that is only read, it can't either.
        for folder in [paths.config, paths.cache] {
            try? Folders.make(folder, owner: account.userID, setting: "MESH_CONFIG_DIR or MESH_CACHE_DIR")
        }
        let longest = "\(paths.instancesFolder)/0123456789abcdef/\(MeshPaths.adminSocketName)"
        guard longest.utf8.count <= Limits.socketPathBytesMaximum else {
            throw LaunchFailure(
                "the runtime folder \(paths.runtime) is too long for the sockets in it",
                fix: "name a shorter one in MESH_RUNTIME_DIR")
        }
    }

    private static func findCommand(_ name: String) throws(LaunchFailure) -> String {
        switch Programs.search(name) {
        case .found(let path): return path
        case .notExecutable(let path):
            throw LaunchFailure(
                "\(path) can't be executed", fix: "chmod +x it, or name a program",
                exitCode: ExitCode.notExecutable)
        case .notFound:
            throw LaunchFailure(
                "the command \(name) isn't found", fix: "install it, or give its path",
                exitCode: ExitCode.notFound)
        }
    }

    /// Listening sockets of a service manager would be a way around the sidecar.
    private static func refuseInheritedListeners() throws(LaunchFailure) {
        guard let count = Folders.environment("LISTEN_FDS"), count != "0" else { return }
        if let owner = Folders.environment("LISTEN_PID"), owner != String(getpid()) { return }
        throw LaunchFailure(
            "LISTEN_FDS=\(count) hands over sockets of the host's network, which a workload can't have",
            fix: "take the socket unit away, and let the program listen itself (--serve)")
    }

    private static func realPath(_ path: String) throws(LaunchFailure) -> String {
        guard let real = realpath(path, nil) else {
            throw LaunchFailure("can't find the config file \(path): \(errorText(errno))", fix: "")
        }
        defer { free(real) }
        return String(cString: real)
    }

    private static func workingFolder() -> String? {
        guard let path = getcwd(nil, 0) else { return nil }
        defer { free(path) }
        let text = String(cString: path)
        // The kernel says "(unreachable)" of a folder outside the root.
        return text.hasPrefix("/") ? text : nil
    }

    private static func environment(_ plan: LaunchPlan) -> [String] {
        var variables: [String] = []
        var next = environ
        while let variable = next.pointee {
            variables.append(String(cString: variable))
            next += 1
        }
        func set(_ name: String, _ value: String) {
            variables.removeAll { $0.hasPrefix(name + "=") }
            variables.append("\(name)=\(value)")
        }
        if plan.configuration.consistency != .none { set("MESH_STATE_URL", "redis://state.mesh:6379") }
        if let notify = plan.notify { set("NOTIFY_SOCKET", notify.relay) }
        return variables
    }

    static func random(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            // Up to 256 bytes come whole, and after the kernel has gathered enough.
            filled = getentropy(buffer.baseAddress!, count) == 0 ? count : 0
            precondition(filled == count, "getentropy(3) failed")
        }
    }

    private static func randomSuffix() -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789".utf8)
        return String(decoding: random(6).map { letters[Int($0) % letters.count] }, as: UTF8.self)
    }
}

extension LaunchPlan {
    /// resolv.conf and hosts are written to the instance's folder, and seen at their usual places.
    fileprivate mutating func addNameFiles() {
        masks.binds.append(
            MaskPlan.Bind(instanceFolder + "/resolv.conf", at: "/etc/resolv.conf", isReadOnly: true))
        if Folders.exists("/etc/hosts") {
            masks.binds.append(MaskPlan.Bind(instanceFolder + "/hosts", at: "/etc/hosts", isReadOnly: true))
        }
        if let notify {
            masks.binds.append(MaskPlan.Bind(notify.relay, at: notify.relay, isReadOnly: false))
        }
    }
}
