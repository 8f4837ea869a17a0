// One YAML document, as plain values with their lines.
//
// Theory of operation
//
//   Yams composes nodes; this file decides which nodes a config may hold. Three things that YAML offers
//   are refused, since a config that a person reads gains nothing by them: anchors and aliases (which
//   let a small file stand for a huge one), tags (which let a text say that it is something else), and
//   more than one document.
//
//   Anchors must be refused before they can do harm. Yams shares what an alias stands for, so composing
//   is cheap, but hashing a mapping's keys isn't. `refuseBombs` therefore counts, before Yams sees the
//   text, what could be an anchor or an alias: eight anchors and 32 aliases stand for 4⁸ nodes at most.
//   What is left is refused by its node, with its line.
//
//   Scalars stay texts. Resolving `1.10` to a number would lose a digit of a version, and Yams' rules
//   for it are regular expressions, which cost milliseconds at the start of every launch.

import SidecarProtocol
import Yams

/// A value of the document, with the line (from 1) where it begins. A class: of a struct that contains
/// itself, the compiler says at times that it is circular, by the order of the files.
final class YAMLValue {
    indirect enum Content {
        /// `isPlain`: written without quotes.
        case text(String, isPlain: Bool)
        case list([YAMLValue])
        case mapping([(key: YAMLValue, value: YAMLValue)])
    }

    let content: Content
    let line: Int

    init(content: Content, line: Int) {
        self.content = content
        self.line = line
    }

    /// Nothing was written: an empty value, `~` or `null` without quotes.
    var isNull: Bool {
        guard case .text(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    var text: String? {
        if case .text(let text, _) = content { return text }
        return nil
    }

    /// What it is, and its value where that is short, for an error message.
    var spelling: String {
        switch content {
        case .text where isNull: "nothing"
        case .text(let text, _): "\"\(text.prefix(80))\""
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }
}

enum YAMLDocument {
    /// The root of the one document in `bytes`.
    ///
    /// - Parameter beginning: the schema that its first line states.
    static func read(
        _ bytes: [UInt8], atMost maximum: Int = Limits.configurationBytesMaximum,
        beginning: String = "mesh: 1"
    ) throws(ConfigurationProblem) -> YAMLValue {
        guard bytes.count <= maximum else {
            throw ConfigurationProblem(
                line: 1, "the file has \(bytes.count) bytes", fix: "keep it within \(maximum)")
        }
        let text = try validText(bytes)
        try refuseBombs(bytes)
        do {
            // The parser owns the anchors that the nodes point to weakly.
            let parser = try Parser(yaml: text, resolver: .basic, encoding: .utf8)
            return try withExtendedLifetime(parser) {
                guard let root = try parser.singleRoot() else {
                    throw ConfigurationProblem(
                        line: 1, "the file is empty", fix: "begin with \"\(beginning)\"")
                }
                return try value(root, within: 1, depth: 0)
            }
        } catch let problem as ConfigurationProblem {
            throw problem
        } catch let error as YamlError {
            throw ConfigurationProblem(error, in: text)
        } catch {
            throw ConfigurationProblem(line: 1, "the file can't be read as YAML: \(error)", fix: "correct it")
        }
    }

    /// Only UTF-8, without the control characters that neither YAML nor an editor shows.
    private static func validText(_ bytes: [UInt8]) throws(ConfigurationProblem) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            // A newline's byte is never part of another character, so the lines can be judged one by one.
            let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            let first = lines.firstIndex { String(validating: $0, as: UTF8.self) == nil } ?? 0
            throw ConfigurationProblem(
                line: first + 1, "the line holds bytes that are not UTF-8 text", fix: "save the file as UTF-8"
            )
        }
        let isControl = { (byte: UInt8) in byte < 0x20 && !"\t\n\r".utf8.contains(byte) || byte == 0x7F }
        if let index = bytes.firstIndex(where: isControl) {
            throw ConfigurationProblem(
                line: line(of: index, in: bytes),
                "a control character (0x\([bytes[index]].hex)) is in the file",
                fix: "remove it, or write it as an escape inside double quotes")
        }
        return text
    }

    static func line(of index: Int, in bytes: [UInt8]) -> Int {
        1 + bytes[..<min(index, bytes.count)].count { $0 == UInt8(ascii: "\n") }
    }

    private static func refuseBombs(_ bytes: [UInt8]) throws(ConfigurationProblem) {
        var anchors = 0
        var aliases = 0
        for index in bytes.indices.dropLast() {
            let isStart = index == 0 || " \t\n\r[{,:?-".utf8.contains(bytes[index - 1])
            guard isStart, !" \t\n\r&*".utf8.contains(bytes[index + 1]) else { continue }
            if bytes[index] == UInt8(ascii: "&") { anchors += 1 }
            if bytes[index] == UInt8(ascii: "*") { aliases += 1 }
            guard anchors <= 8 || aliases == 0, aliases <= 32 || anchors == 0 else {
                throw ConfigurationProblem(
                    line: line(of: index, in: bytes), "the file seems to be full of anchors and aliases",
                    fix: "write each value out")
            }
        }
    }

    private static func value(
        _ node: Node, within line: Int, depth: Int
    ) throws(ConfigurationProblem) -> YAMLValue {
        let line = node.mark?.line ?? line
        guard depth < 8 else {
            throw ConfigurationProblem(line: line, "values are nested too deeply", fix: "write them flat")
        }
        if node.anchor != nil {
            throw ConfigurationProblem(
                line: line, "an anchor (&name) is in the file", fix: "write each value out")
        }
        switch node {
        case .scalar(let scalar):
            try refuseTag(node, "str", line)
            return YAMLValue(content: .text(scalar.string, isPlain: scalar.style == .plain), line: line)
        case .sequence(let sequence):
            try refuseTag(node, "seq", line)
            var values: [YAMLValue] = []
            for item in sequence { values.append(try value(item, within: line, depth: depth + 1)) }
            return YAMLValue(content: .list(values), line: line)
        case .mapping(let mapping):
            try refuseTag(node, "map", line)
            var pairs: [(key: YAMLValue, value: YAMLValue)] = []
            for (key, item) in mapping {
                let key = try value(key, within: line, depth: depth + 1)
                pairs.append((key, try value(item, within: key.line, depth: depth + 1)))
            }
            return YAMLValue(content: .mapping(pairs), line: line)
        case .alias:
            throw ConfigurationProblem(
                line: line, "an alias (*name) is in the file", fix: "write each value out")
        }
    }

    private static func refuseTag(_ node: Node, _ wanted: String, _ line: Int) throws(ConfigurationProblem) {
        let name = node.tag.description
        guard name == "tag:yaml.org,2002:\(wanted)" else {
            throw ConfigurationProblem(line: line, "a tag (\(name)) is in the file", fix: "remove it")
        }
    }
}

extension ConfigurationProblem {
    /// What the YAML parser says, in the terms of a config file.
    fileprivate init(_ error: YamlError, in text: String) {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _):
            self.init(
                line: mark.line,
                "the file is not YAML: \(context.map { $0.text + ", " } ?? "")\(problem)",
                fix: ConfigurationProblem.advice(problem: problem, context: context?.text ?? ""))
        case .composer(_, let problem, let mark, _) where problem.contains("another document"):
            self.init(
                line: mark.line, "a second document begins", fix: "give each workload a file of its own")
        case .composer(_, let problem, let mark, _) where problem.contains("alias"):
            self.init(
                line: mark.line, "an alias (*name) is in the file",
                fix: "write each value out, and put a pattern that begins with * in \"quotes\"")
        case .composer(_, let problem, let mark, _):
            self.init(line: mark.line, "the file is not YAML: \(problem)", fix: "correct the line")
        case .duplicatedKeysInMapping(let keys, let context):
            self.init(
                line: context.mark.line, "the key \"\(keys.first ?? "")\" stands more than once",
                fix: "keep one of them")
        case .reader(let problem, let offset, _, _):
            let before = text.prefix(offset ?? 0).count { $0.isNewline }
            self.init(line: before + 1, "the file is not YAML: \(problem)", fix: "remove the character")
        case .memory:
            self.init(line: 1, "values are nested too deeply", fix: "write them flat")
        case .no, .writer, .emitter, .representer, .dataCouldNotBeDecoded:
            self.init(line: 1, "the file is not YAML: \(error)", fix: "correct it")
        }
    }

    private static func advice(problem: String, context: String) -> String {
        if problem.contains("nesting level") { return "write the values flat" }
        if context.contains("alias") { return "put a pattern that begins with * in \"quotes\"" }
        if context.contains("anchor") { return "put a text that begins with & in \"quotes\"" }
        if problem.contains("cannot start any token") {
            return "put the value in \"quotes\", and indent by spaces"
        }
        if problem.contains("mapping values are not allowed") {
            return "put a value that holds \": \" in \"quotes\", or correct the indentation"
        }
        return "correct the line, or the one before it"
    }
}
