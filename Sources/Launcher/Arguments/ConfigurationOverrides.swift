// How flags complete, or stand in for, a config file.

import SidecarProtocol

/// The values that flags gave. Single values override the file's; lists extend it.
package struct ConfigurationOverrides: Equatable, Sendable {
    /// `name` or `namespace/name`.
    package var name: String?
    package var namespace: String?
    package var version: String?
    package var user: WorkloadConfiguration.User?
    package var serves: [ServicePort] = []
    package var accepts: [String] = []
    package var calls: [String] = []
    package var egress: [WorkloadConfiguration.Egress] = []
    package var datapath: WorkloadConfiguration.Datapath?
    package var consistency: WorkloadConfiguration.Consistency?
    package var records: WorkloadConfiguration.RecordKeeping?
    /// The inner nil is `none`.
    package var telemetry: TelemetryEndpoint??
    package var sockets: [String] = []
    package var listen: [String] = []
    package var advertise: [String] = []

    package init() {}

    /// The configuration that runs.
    ///
    /// - Parameters:
    ///   - file: what the config file says, where there is one.
    ///   - command: the words after `--`; empty to keep the file's.
    ///   - suffix: six random letters and digits, for a workload without a name.
    package func configuration(
        over file: WorkloadConfiguration?, command: [String], suffix: String
    ) throws(LaunchFailure) -> WorkloadConfiguration {
        let command = command.isEmpty ? file?.command ?? [] : command
        guard let program = command.first, !program.isEmpty else {
            throw LaunchFailure(
                "there is no command to run", fix: "add it after --, or \"command:\" to the config file")
        }
        do throws(ConfigurationError) {
            let name = try workloadName(over: file, program: program, suffix: suffix)
            var configuration = file ?? WorkloadConfiguration(workload: name.workload)
            configuration.workload = name.workload
            configuration.isNamed = name.isNamed
            configuration.command = command
            try flags(in: name.workload.namespace, command: command).extend(&configuration)
            try check(configuration)
            return configuration
        } catch {
            throw LaunchFailure(error)
        }
    }

    private func workloadName(
        over file: WorkloadConfiguration?, program: String, suffix: String
    ) throws(ConfigurationError) -> (workload: WorkloadName, isNamed: Bool) {
        let space = namespace ?? file?.workload.namespace ?? "default"
        if let name {
            let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard parts.count <= 2 else {
                throw ConfigurationError(
                    "--name: \"\(name)\" has \(parts.count) parts", fix: "write namespace/name")
            }
            if parts.count == 2, let namespace, namespace != parts[0] {
                throw ConfigurationError(
                    "--name \(name) and --namespace \(namespace) contradict each other",
                    fix: "keep one of them")
            }
            return (
                try ConfigurationGrammar.workload(
                    namespace: parts.count == 2 ? parts[0] : space, name: parts[parts.count - 1]),
                true
            )
        }
        if let file, file.isNamed {
            return (try ConfigurationGrammar.workload(namespace: space, name: file.workload.name), true)
        }
        let made = ConfigurationOverrides.madeUpName(program: program, suffix: suffix)
        return (try ConfigurationGrammar.workload(namespace: space, name: made), false)
    }

    /// `<basename>-<suffix>`, as a DNS label.
    static func madeUpName(program: String, suffix: String) -> String {
        let base = program.split(separator: "/").last.map(String.init) ?? program
        var label = base.lowercased().utf8.map { byte in
            let isPlain =
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            return isPlain ? byte : UInt8(ascii: "-")
        }
        label = Array(label.drop { $0 == UInt8(ascii: "-") }.prefix(Limits.nameBytesMaximum - 7))
        while label.last == UInt8(ascii: "-") { label.removeLast() }
        let text = String(decoding: label, as: UTF8.self)
        return (text.isEmpty ? "workload" : text) + "-" + suffix
    }

    /// What a reload puts over the file again; names mean those of the workload's own namespace.
    ///
    /// - Parameter command: the words after `--`.
    package func flags(
        in space: String, command: [String]
    ) throws(ConfigurationError) -> LaunchFlags {
        var flags = LaunchFlags()
        (flags.version, flags.user, flags.datapath) = (version, user, datapath)
        flags.consistency = consistency
        (flags.records, flags.telemetry) = (records, telemetry)
        flags.givesCommand = !command.isEmpty
        (flags.serves, flags.egress, flags.sockets) = (serves, egress, sockets)
        (flags.listen, flags.advertise) = (listen, advertise)
        for text in calls {
            flags.calls.append(
                try WorkloadConfiguration.Call(parsing: text, namespace: space, trustDomain: nil))
        }
        for text in accepts {
            flags.accepts.append(
                try WorkloadConfiguration.Accept(parsing: text, namespace: space, trustDomain: nil))
        }
        return flags
    }

    private func check(_ configuration: WorkloadConfiguration) throws(ConfigurationError) {
        if let contradiction = configuration.contradictions().first { throw contradiction.error }
        guard configuration.isNamed || configuration.consistency == .none else {
            throw ConfigurationError(
                "a workload without a name of its own can't keep state",
                fix: "name it with --name, or with workload in its config file")
        }
        if !configuration.isNamed, let port = configuration.serves.first {
            throw ConfigurationError(
                "a workload without a name can't serve \(port)", fix: "add --name NAME")
        }
        if configuration.encoded().count > Limits.configurationBytesMaximum {
            throw ConfigurationError(
                "the configuration has more than \(Limits.configurationBytesMaximum) bytes in its canonical form",
                fix: "shorten the command or the lists")
        }
    }
}
