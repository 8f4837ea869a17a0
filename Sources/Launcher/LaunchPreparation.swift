// From the command line to a plan: config, user, folders, masks.

import Glibc
import SidecarProtocol

struct LaunchPreparation {
    let arguments: LaunchArguments
    let programs: Programs

    /// What runs, and for whom.
    func configuration() throws(LaunchFailure) -> WorkloadConfiguration {
        var file: WorkloadConfiguration?
        if let path = arguments.configurationFile {
            let account = Account.current()
            file = try CompiledConfiguration.load(
                path, paths: Folders.paths(for: account), account: account, programs: programs)
        }
        return try arguments.overrides.configuration(
            over: file, command: arguments.command, suffix: LaunchPreparation.randomSuffix())
    }

    /// Becomes the user that the configuration names, where root may, and plans the launch as that user.
    func plan(_ configuration: WorkloadConfiguration) throws(LaunchFailure) -> LaunchPlan {
        try LaunchPreparation.refuseInheritedListeners()
        let executable = try LaunchPreparation.findCommand(configuration.command[0])
        var systemAddress: UInt32?
        if case .named(let name) = configuration.user, geteuid() == 0 {
            systemAddress = try become(name, for: configuration.workload)
        }
        let account = Account.current()
        let paths = Folders.paths(for: account)
        try LaunchPreparation.makeFolders(paths, account)
        let ownAddress: UInt32
        if let systemAddress {
            ownAddress = systemAddress
        } else {
            try NodeStart.ensure(paths, programs: programs)
            ownAddress = try OwnAddress.of(configuration.workload, in: paths)
        }
        let configurationFile = try arguments.configurationFile.map(LaunchPreparation.realPath)
        let instance = InstanceID(LaunchPreparation.random(16))!
        var plan = LaunchPlan(
            configuration: configuration, configurationFile: configurationFile, account: account,
            paths: paths,
            identity: try IdentityPlan.choose(configuration.user, account: account),
            ownAddress: ownAddress,
            masks: try MaskPlan.survey(
                configuration, configurationFile: configurationFile, paths: paths, account: account),
            instance: instance, executable: executable, sidecar: try programs.own("mesh-sidecar"),
            environment: [],
            workingFolder: LaunchPreparation.workingFolder(), joins: arguments.joins,
            logsToStandardError: arguments.logsToStandardError)
        plan.notify = Folders.environment("NOTIFY_SOCKET").map {
            NotifyPlan(manager: $0, relay: plan.instanceFolder + "/notify.sock")
        }
        plan.addNameFiles()
        plan.environment = LaunchPreparation.environment(plan)
        return plan
    }

    /// An instance that root starts for a user has its folders in mesh's own places, since a service's home
    /// is often nowhere, and belongs to root's node.
    ///
    /// - Returns: the workload's address in root's trust domain, which the account can't read; nil where
    ///   the account is root.
    private func become(_ name: String, for workload: WorkloadName) throws(LaunchFailure) -> UInt32? {
        let account = try Account.named(name)
        guard account.userID != 0 else { return nil }
        let system = Folders.paths(for: .current())
        try LaunchPreparation.makeFolders(system, .current())
        try NodeStart.ensure(system, programs: programs)
        let ownAddress = try OwnAddress.of(workload, in: system)
        try NameGrant.give(workload, to: account.userID, in: system)
        let runtime = try LaunchPreparation.give(account, below: system.runtime, "MESH_RUNTIME_DIR")
        let state = try LaunchPreparation.give(account, below: system.state, "MESH_STATE_DIR")
        let node = runtime + "/node"
        if symlink(system.nodeFolder, node) < 0, errno != EEXIST {
            throw LaunchFailure("can't make the link \(node): \(errorText(errno))", fix: "")
        }
        try account.become()
        setenv("MESH_RUNTIME_DIR", runtime, 1)
        setenv("MESH_STATE_DIR", state, 1)
        return ownAddress
    }

    /// A folder `user/UID` of the account's own, below one of root's that it can pass through.
    private static func give(
        _ account: Account, below top: String, _ variable: String
    ) throws(LaunchFailure) -> String {
        try checked(chmod(top, 0o711), "can't open \(top) for \(account.name)")
        try Folders.make(top + "/user", owner: 0, mode: 0o711, setting: variable)
        let own = "\(top)/user/\(account.userID)"
        if !Folders.exists(own) {
            try checked(mkdir(own, 0o700), "can't make \(own)")
            try checked(
                chown(own, account.userID, account.groupID), "can't give \(own) to \(account.name)")
        }
        return own
    }

    private static func makeFolders(_ paths: MeshPaths, _ account: Account) throws(LaunchFailure) {
        for (folder, variable) in [
            (paths.runtime, "MESH_RUNTIME_DIR"), (paths.instancesFolder, "MESH_RUNTIME_DIR"),
            (paths.state, "MESH_STATE_DIR"),
        ] { try Folders.make(folder, owner: account.userID, setting: variable) }
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
