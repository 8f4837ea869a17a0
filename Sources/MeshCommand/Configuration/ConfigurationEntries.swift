// The entries of a config file's lists, and the plain values inside them.

import SidecarProtocol

extension ConfigurationCompiler {
    static func servicePort(_ item: YAMLValue) throws(ConfigurationProblem) -> ServicePort {
        let example = "{port: 8080, protocol: tcp}"
        guard case .mapping(let pairs) = item.content else {
            throw ConfigurationProblem(
                line: item.line, "serves holds \(item.spelling)", fix: "write \(example)")
        }
        var values = try uniqueKeys(pairs, known: ["port", "protocol"], what: "an entry of serves")
        guard let port = values.removeValue(forKey: "port") else {
            throw ConfigurationProblem(
                line: item.line, "an entry of serves has no port", fix: "write \(example)")
        }
        let number = try number(port)
        guard let named = values.removeValue(forKey: "protocol") else { return ServicePort(number, .tcp) }
        let name = try text(named, "protocol")
        return ServicePort(
            number,
            try named.checked { () throws(ConfigurationError) in try ConfigurationGrammar.flowProtocol(name) }
        )
    }

    static func accept(
        _ item: YAMLValue, namespace: String, trustDomain: String?
    ) throws(ConfigurationProblem) -> WorkloadConfiguration.Accept {
        let example = "{from: client, ports: [8080]}"
        switch item.content {
        case .list:
            throw ConfigurationProblem(line: item.line, "accepts holds a list", fix: "write \(example)")
        case .text:
            let name = try text(item, "accepts")
            if let colon = name.firstIndex(of: ":") {
                throw ConfigurationProblem(
                    line: item.line, "accepts holds \"\(name)\"",
                    fix: "write {from: \(name[..<colon]), ports: [\(name[name.index(after: colon)...])]}")
            }
            return WorkloadConfiguration.Accept(
                from: try pattern(item, name, namespace: namespace, trustDomain: trustDomain), ports: [])
        case .mapping(let pairs):
            var values = try uniqueKeys(pairs, known: ["from", "ports"], what: "an entry of accepts")
            guard let from = values.removeValue(forKey: "from") else {
                throw ConfigurationProblem(
                    line: item.line, "an entry of accepts doesn't say from whom", fix: "write \(example)")
            }
            let ports = try values.removeValue(forKey: "ports").map(ConfigurationCompiler.ports) ?? []
            return WorkloadConfiguration.Accept(
                from: try pattern(
                    from, try text(from, "from"), namespace: namespace, trustDomain: trustDomain),
                ports: ports)
        }
    }

    static func ports(_ value: YAMLValue) throws(ConfigurationProblem) -> [UInt16] {
        guard case .list(let items) = value.content, !items.isEmpty else {
            throw ConfigurationProblem(
                line: value.line, "ports holds \(value.isEmptyList ? "an empty list" : value.spelling)",
                fix: "write a list such as [8080], or leave ports out to accept on all that serves lists")
        }
        var ports: [UInt16] = []
        for item in items {
            let port = try number(item)
            guard !ports.contains(port) else {
                throw ConfigurationProblem(
                    line: item.line, "ports names \(port) twice", fix: "keep one of them")
            }
            ports.append(port)
        }
        return ports
    }

    static func pattern(
        _ value: YAMLValue, _ text: String, namespace: String, trustDomain: String?
    ) throws(ConfigurationProblem) -> IdentityPattern {
        try value.checked { () throws(ConfigurationError) in
            try ConfigurationGrammar.pattern(text, namespace: namespace, trustDomain: trustDomain)
        }
    }
}

// MARK: - Plain values

extension ConfigurationCompiler {
    static func uniqueKeys(
        _ pairs: [(key: YAMLValue, value: YAMLValue)], known: [String], what: String
    ) throws(ConfigurationProblem) -> [String: YAMLValue] {
        var values: [String: YAMLValue] = [:]
        for (key, value) in pairs {
            guard case .text(let name, _) = key.content, known.contains(name) else {
                let near = key.text.flatMap { Spelling.nearest(to: $0, among: known) }
                throw ConfigurationProblem(
                    line: key.line, "\(what) has no key \(key.spelling)",
                    fix: near.map { "did you mean \"\($0)\"?" } ?? "use \(known.joined(separator: ", "))")
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw ConfigurationProblem(
                    line: key.line, "the key \"\(name)\" stands more than once", fix: "keep one of them")
            }
        }
        return values
    }

    static func text(
        _ value: YAMLValue, _ key: String, allowsEmpty: Bool = false
    ) throws(ConfigurationProblem) -> String {
        guard case .text(let text, let isPlain) = value.content else {
            throw ConfigurationProblem(
                line: value.line, "\(key) holds \(value.spelling), not a text", fix: "write a single value")
        }
        guard !value.isNull else {
            throw ConfigurationProblem(
                line: value.line, "\(key) holds nothing",
                fix: isPlain && !text.isEmpty
                    ? "put \"\(text)\" in quotes, or remove it" : "add a value, or remove it")
        }
        guard allowsEmpty || !text.isEmpty else {
            throw ConfigurationProblem(line: value.line, "\(key) holds an empty text", fix: "add a value")
        }
        return text
    }

    static func number(_ value: YAMLValue) throws(ConfigurationProblem) -> UInt16 {
        guard case .text(let text, isPlain: true) = value.content, !value.isNull else {
            throw ConfigurationProblem(
                line: value.line, "a port is \(value.spelling), not a number",
                fix: "write a number from 1 to 65535, without quotes")
        }
        return try value.checked { () throws(ConfigurationError) in try ConfigurationGrammar.port(text) }
    }
}

extension YAMLValue {
    fileprivate var isEmptyList: Bool {
        if case .list(let items) = content { return items.isEmpty }
        return false
    }

    /// Gives an error of the grammar this value's line.
    func checked<T>(
        _ body: () throws(ConfigurationError) -> T
    ) throws(ConfigurationProblem) -> T {
        do {
            return try body()
        } catch {
            throw ConfigurationProblem(line: line, error)
        }
    }
}
