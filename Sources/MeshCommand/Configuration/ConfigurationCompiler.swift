// From a config file to a `WorkloadConfiguration`, or to everything that is wrong with it.

import SidecarProtocol

/// A configuration, and which keys its file names; the others have their defaults.
package struct CompiledConfiguration {
    package let configuration: WorkloadConfiguration
    package let keys: Set<String>
}

package struct ConfigurationCompiler {
    /// The keys of a config file, in the order that they are printed.
    static let keys = [
        "mesh", "workload", "namespace", "version", "command", "user", "serves", "accepts", "calls",
        "egress", "datapath", "consistency", "fsync", "conditional", "memory",
        "sockets", "listen", "advertise", "records", "otlp",
    ]

    /// One's own trust domain, where it is known.
    private let trustDomain: String?
    private var namespace = "default"
    private var named: Set<String> = []
    private var problems: [ConfigurationProblem] = []
    /// The lines of each key's entries, for what `contradictions()` finds.
    private var lines: [String: [Int]] = [:]

    /// - Parameters:
    ///   - bytes: the file's content.
    ///   - file: its name, for the error's text.
    ///   - trustDomain: one's own; without it, a name of three parts is refused.
    package static func compile(
        _ bytes: [UInt8], file: String, trustDomain: String? = nil
    ) throws(ConfigurationFailure) -> CompiledConfiguration {
        var compiler = ConfigurationCompiler(trustDomain: trustDomain)
        let configuration = compiler.configuration(bytes)
        guard let configuration, compiler.problems.isEmpty else {
            let sorted = compiler.problems.sorted { $0.line < $1.line }
            throw ConfigurationFailure(file: file, problems: Array(sorted.prefix(20)))
        }
        return CompiledConfiguration(configuration: configuration, keys: compiler.named)
    }

    private init(trustDomain: String?) { self.trustDomain = trustDomain }

    private mutating func configuration(_ bytes: [UInt8]) -> WorkloadConfiguration? {
        do throws(ConfigurationProblem) {
            let root = try YAMLDocument.read(bytes)
            guard case .mapping(let pairs) = root.content else {
                throw ConfigurationProblem(
                    line: root.line, "the file holds \(root.isNull ? "no value" : root.spelling)",
                    fix: "begin with \"mesh: 1\", then a key a line")
            }
            return try configuration(pairs, line: root.line)
        } catch {
            problems.append(error)
            return nil
        }
    }

    private mutating func configuration(
        _ pairs: [(key: YAMLValue, value: YAMLValue)], line: Int
    ) throws(ConfigurationProblem) -> WorkloadConfiguration? {
        var values = try keyed(pairs, known: ConfigurationCompiler.keys, what: "a config file")
        try ConfigurationCompiler.checkSchema(pairs.first, line: line)
        named = Set(values.keys)
        values["mesh"] = nil
        if let value = values.removeValue(forKey: "namespace") {
            read { () throws(ConfigurationProblem) in
                let text = try ConfigurationCompiler.text(value, "namespace")
                return try value.checked { () throws(ConfigurationError) in
                    try ConfigurationGrammar.namespace(text)
                }
            }.map { namespace = $0 }
        }
        guard let named = values.removeValue(forKey: "workload") else {
            problems.append(
                ConfigurationProblem(line: line, "the workload has no name", fix: "add \"workload: NAME\""))
            return nil
        }
        let own = namespace
        let workload = read { () throws(ConfigurationProblem) in
            let name = try ConfigurationCompiler.text(named, "workload")
            return try named.checked { () throws(ConfigurationError) in
                try ConfigurationGrammar.workload(namespace: own, name: name)
            }
        }
        // A stand-in lets the other keys be judged in the same run.
        guard let stand = workload ?? (try? WorkloadName(namespace: "default", name: "unnamed")) else {
            return nil
        }
        var configuration = WorkloadConfiguration(workload: stand)
        for (key, value) in values { fill(&configuration, key, value) }
        for contradiction in configuration.contradictions() {
            let lines = lines[contradiction.key] ?? []
            let line = lines.indices.contains(contradiction.index) ? lines[contradiction.index] : line
            problems.append(ConfigurationProblem(line: line, contradiction.error))
        }
        return configuration
    }

    static func checkSchema(
        _ first: (key: YAMLValue, value: YAMLValue)?, line: Int
    ) throws(ConfigurationProblem) {
        guard let first, case .text("mesh", _) = first.key.content else {
            throw ConfigurationProblem(
                line: line, "the file doesn't begin with its schema", fix: "make \"mesh: 1\" its first key")
        }
        guard case .text("1", isPlain: true) = first.value.content else {
            throw ConfigurationProblem(
                line: first.value.line, "the schema mesh: \(first.value.spelling) isn't known",
                fix: "write \"mesh: 1\", or use a newer mesh")
        }
    }

    private mutating func fill(
        _ configuration: inout WorkloadConfiguration, _ key: String, _ value: YAMLValue
    ) {
        switch key {
        case "version":
            single(value, key, into: &configuration.version, ConfigurationGrammar.version)
        case "command": configuration.command = command(value)
        case "user":
            single(value, key, into: &configuration.user) { (text) throws(ConfigurationError) in
                try WorkloadConfiguration.User(parsing: text)
            }
        case "datapath":
            single(value, key, into: &configuration.datapath, ConfigurationGrammar.datapath)
        case "consistency":
            single(value, key, into: &configuration.consistency, ConfigurationGrammar.consistency)
        case "records":
            single(value, key, into: &configuration.records, ConfigurationGrammar.recordKeeping)
        case "otlp":
            single(value, key, into: &configuration.telemetry, ConfigurationGrammar.telemetry)
        case "fsync":
            single(value, key, into: &configuration.state.fsync, ConfigurationGrammar.fsync)
        case "conditional":
            single(value, key, into: &configuration.state.conditional, ConfigurationGrammar.conditional)
        case "memory":
            single(value, key, into: &configuration.state.memory, ConfigurationGrammar.memory)
        case "serves":
            configuration.serves = list(
                value, key, example: "{port: 8080, protocol: tcp}", ConfigurationCompiler.servicePort)
        case "accepts":
            let (own, domain) = (namespace, trustDomain)
            configuration.accepts = list(value, key, example: "{from: client, ports: [8080]}") {
                (item) throws(ConfigurationProblem) in
                try ConfigurationCompiler.accept(item, namespace: own, trustDomain: domain)
            }
        case "calls":
            let (own, domain) = (namespace, trustDomain)
            configuration.calls = texts(value, key, example: "web") { (text) throws(ConfigurationError) in
                try WorkloadConfiguration.Call(parsing: text, namespace: own, trustDomain: domain)
            }
        case "egress":
            configuration.egress = texts(value, key, example: "api.example.com:443") {
                (text) throws(ConfigurationError) in
                try WorkloadConfiguration.Egress(parsing: text)
            }
        case "sockets":
            configuration.sockets = texts(
                value, key, example: "/run/example.sock", ConfigurationGrammar.socketPath)
        case "listen":
            configuration.listen = texts(value, key, example: "0.0.0.0:7400") {
                (text) throws(ConfigurationError) in
                try ConfigurationGrammar.endpoint(text, allowsAnyAddress: true)
            }
        default:
            configuration.advertise = texts(value, key, example: "192.0.2.7:7400") {
                (text) throws(ConfigurationError) in
                try ConfigurationGrammar.endpoint(text, allowsAnyAddress: false)
            }
        }
    }
}

// MARK: - Shapes

extension ConfigurationCompiler {
    /// Keeps the problem and answers nil where `body` fails.
    @discardableResult
    private mutating func read<T>(_ body: () throws(ConfigurationProblem) -> T) -> T? {
        do {
            return try body()
        } catch {
            problems.append(error)
            return nil
        }
    }

    private mutating func single<T>(
        _ value: YAMLValue, _ key: String, into place: inout T,
        _ parse: (String) throws(ConfigurationError) -> T
    ) {
        let parsed = read { () throws(ConfigurationProblem) -> T in
            let text = try ConfigurationCompiler.text(value, key)
            return try value.checked { () throws(ConfigurationError) in try parse(text) }
        }
        if let parsed { place = parsed }
    }

    private mutating func texts<T>(
        _ value: YAMLValue, _ key: String, example: String, _ parse: (String) throws(ConfigurationError) -> T
    ) -> [T] {
        list(value, key, example: example) { (item) throws(ConfigurationProblem) in
            let text = try ConfigurationCompiler.text(item, key)
            return try item.checked { () throws(ConfigurationError) in try parse(text) }
        }
    }

    private mutating func list<T>(
        _ value: YAMLValue, _ key: String, example: String,
        _ parse: (YAMLValue) throws(ConfigurationProblem) -> T
    ) -> [T] {
        guard let items = items(value, key, example: example) else { return [] }
        var parsed: [T] = []
        for item in items {
            let entry = read { () throws(ConfigurationProblem) -> T in try parse(item) }
            guard let entry else { continue }
            parsed.append(entry)
            lines[key, default: []].append(item.line)
        }
        return parsed
    }

    private mutating func items(_ value: YAMLValue, _ key: String, example: String) -> [YAMLValue]? {
        if case .list(let items) = value.content { return items }
        problems.append(
            ConfigurationProblem(
                line: value.line, "\(key) is \(value.spelling), not a list",
                fix: "write \(key): [\(example)], or \(key): [] for none"))
        return nil
    }

    /// The values by key, where keys are known; unknown ones become problems.
    private mutating func keyed(
        _ pairs: [(key: YAMLValue, value: YAMLValue)], known: [String], what: String
    ) throws(ConfigurationProblem) -> [String: YAMLValue] {
        var values: [String: YAMLValue] = [:]
        for pair in pairs {
            read { () throws(ConfigurationProblem) in
                try ConfigurationCompiler.uniqueKeys([pair], known: known, what: what)
            }.map { values.merge($0) { first, _ in first } }
        }
        return values
    }

    private mutating func command(_ value: YAMLValue) -> [String] {
        if case .text(let text, _) = value.content, !value.isNull {
            let words = Spelling.words(text).map(YAMLText.scalar)
            problems.append(
                ConfigurationProblem(
                    line: value.line, "command is one text, \"\(text.prefix(80))\", and no shell reads it",
                    fix: "write the list [\(words.joined(separator: ", "))]"))
            return []
        }
        guard let items = items(value, "command", example: "nginx, -c, ./nginx.conf") else { return [] }
        var words: [String] = []
        for item in items {
            read { () throws(ConfigurationProblem) in
                let word = try ConfigurationCompiler.text(item, "command", allowsEmpty: !words.isEmpty)
                guard !word.utf8.contains(0) else {
                    throw ConfigurationProblem(
                        line: item.line, "a word of command holds a zero byte", fix: "remove it")
                }
                return word
            }.map { words.append($0) }
        }
        return words
    }
}
