// The command line of mesh-launch. Written by hand: an argument parser would cost every workload more
// memory than the launcher itself.

import SidecarProtocol

/// What the command line says, before it meets the config file.
package struct LaunchArguments: Equatable, Sendable {
    package enum Action: Equatable, Sendable {
        case launch
        case dryRun
        case printConfiguration
        case help
        case version
    }

    package var action = Action.launch
    package var configurationFile: String?
    package var overrides = ConfigurationOverrides()
    package var joins = false
    package var logsToStandardError = false
    /// The words after `--`; empty to run the config file's command.
    package var command: [String] = []

    package init() {}

    /// - Parameter words: the command line without the program's own name.
    package init(parsing words: [String]) throws(LaunchFailure) {
        if words == ["--version"] {
            action = .version
            return
        }
        var rest = words[...]
        while let word = rest.popFirst() {
            if word == "--" {
                command = Array(rest)
                break
            }
            guard word.hasPrefix("-"), word != "-" else {
                throw LaunchFailure(
                    "\"\(word)\" is no option", fix: "put the command after --, as in: mesh-launch -- \(word)"
                )
            }
            try take(word, &rest)
        }
        for word in command where word.utf8.contains(0) {
            throw LaunchFailure("a word of the command holds a zero byte", fix: "remove it")
        }
    }

    private mutating func take(_ word: String, _ rest: inout ArraySlice<String>) throws(LaunchFailure) {
        let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = String(parts[0])
        if let set = LaunchArguments.switches[name] {
            guard parts.count == 1 else {
                throw LaunchFailure("\(name) takes no value", fix: "write \(name) alone")
            }
            set(&self)
        } else if let set = LaunchArguments.options[name] {
            let value: String
            if parts.count == 2 {
                value = String(parts[1])
            } else if let next = rest.popFirst(), next != "--" {
                value = next
            } else {
                throw LaunchFailure("\(name) has no value", fix: "see mesh-launch --help")
            }
            do throws(ConfigurationError) {
                try set(&self, value)
            } catch {
                throw LaunchFailure("\(name): \(error.what)", fix: error.fix)
            }
        } else {
            throw LaunchFailure(
                "there is no option \(name)",
                fix: name == "--version"
                    ? "--version stands alone; a workload's version is --workload-version"
                    : "see mesh-launch --help; a command's own options stand after --")
        }
    }

    private static let switches: [String: @Sendable (inout LaunchArguments) -> Void] = [
        "--help": { $0.action = .help },
        "-h": { $0.action = .help },
        "--dry-run": { $0.action = .dryRun },
        "--print-config": { $0.action = .printConfiguration },
        "--join": { $0.joins = true },
        "--log-stderr": { $0.logsToStandardError = true },
    ]

    private typealias Setter = @Sendable (inout LaunchArguments, String) throws(ConfigurationError) -> Void

    /// Names are kept as text until the namespace is known, which may stand later or in the file.
    private static let options: [String: Setter] = [
        "--config": { $0.configurationFile = $1 },
        "--name": { $0.overrides.name = $1 },
        "--namespace": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.namespace = try ConfigurationGrammar.namespace(value)
        },
        "--workload-version": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.version = try ConfigurationGrammar.version(value)
        },
        "--user": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.user = try WorkloadConfiguration.User(parsing: value)
        },
        "--serve": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.serves.append(try ServicePort(parsing: value))
        },
        "--accept": { $0.overrides.accepts.append($1) },
        "--call": { $0.overrides.calls.append($1) },
        "--egress": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.egress.append(try WorkloadConfiguration.Egress(parsing: value))
        },
        "--datapath": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.datapath = try ConfigurationGrammar.datapath(value)
        },
        "--consistency": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.consistency = try ConfigurationGrammar.consistency(value)
        },
        "--records": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.records = try ConfigurationGrammar.recordKeeping(value)
        },
        "--otlp": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.telemetry = .some(try ConfigurationGrammar.telemetry(value))
        },
        "--socket": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.sockets.append(try ConfigurationGrammar.socketPath(value))
        },
        "--listen": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.listen.append(
                try ConfigurationGrammar.endpoint(value, allowsAnyAddress: true))
        },
        "--advertise": {
            (arguments, value) throws(ConfigurationError) in
            arguments.overrides.advertise.append(
                try ConfigurationGrammar.endpoint(value, allowsAnyAddress: false))
        },
    ]
}
