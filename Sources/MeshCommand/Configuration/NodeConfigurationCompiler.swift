// From a node's config file to a `NodeConfiguration`, or to everything that is wrong with it.

import SidecarProtocol

package struct NodeConfigurationCompiler {
    static let keys = ["mesh", "listen", "advertise", "seeds"]

    private var problems: [ConfigurationProblem] = []

    /// - Parameters:
    ///   - bytes: the file's content.
    ///   - file: its name, for the error's text.
    package static func compile(
        _ bytes: [UInt8], file: String
    ) throws(ConfigurationFailure) -> NodeConfiguration {
        var compiler = NodeConfigurationCompiler()
        var configuration = NodeConfiguration()
        do throws(ConfigurationProblem) {
            configuration = try compiler.configuration(bytes)
        } catch {
            compiler.problems.append(error)
        }
        guard compiler.problems.isEmpty else {
            let sorted = compiler.problems.sorted { $0.line < $1.line }
            throw ConfigurationFailure(file: file, problems: Array(sorted.prefix(20)))
        }
        return configuration
    }

    private mutating func configuration(
        _ bytes: [UInt8]
    ) throws(ConfigurationProblem) -> NodeConfiguration {
        let root = try YAMLDocument.read(bytes)
        guard case .mapping(let pairs) = root.content else {
            throw ConfigurationProblem(
                line: root.line, "the file holds \(root.isNull ? "no value" : root.spelling)",
                fix: "begin with \"mesh: 1\", then a key a line")
        }
        let values = try ConfigurationCompiler.uniqueKeys(
            pairs, known: NodeConfigurationCompiler.keys, what: "a node's config file")
        try ConfigurationCompiler.checkSchema(pairs.first, line: root.line)
        let listen = texts(values["listen"], "listen", example: "0.0.0.0:7400") {
            (text) throws(ConfigurationError) in
            try ConfigurationGrammar.endpoint(text, allowsAnyAddress: true)
        }
        let advertise = texts(values["advertise"], "advertise", example: "192.0.2.7:7400") {
            (text) throws(ConfigurationError) in
            try ConfigurationGrammar.endpoint(text, allowsAnyAddress: false)
        }
        let seeds = texts(
            values["seeds"], "seeds", example: "node-b.example.com:7400", ConfigurationGrammar.seed)
        return NodeConfiguration(listen: listen, advertise: advertise, seeds: seeds)
    }

    private mutating func texts(
        _ value: YAMLValue?, _ key: String, example: String,
        _ parse: (String) throws(ConfigurationError) -> String
    ) -> [String] {
        guard let value else { return [] }
        guard case .list(let items) = value.content else {
            problems.append(
                ConfigurationProblem(
                    line: value.line, "\(key) is \(value.spelling), not a list",
                    fix: "write \(key): [\(example)], or \(key): [] for none"))
            return []
        }
        var parsed: [String] = []
        for item in items {
            do throws(ConfigurationProblem) {
                guard parsed.count < Limits.nodeSeedsMaximum else {
                    throw ConfigurationProblem(
                        line: item.line, "\(key) has more than \(Limits.nodeSeedsMaximum) entries",
                        fix: "keep the most useful ones")
                }
                let text = try ConfigurationCompiler.text(item, key)
                parsed.append(try item.checked { () throws(ConfigurationError) in try parse(text) })
            } catch {
                problems.append(error)
            }
        }
        return parsed
    }
}
