// Prometheus' text format (version 0.0.4): reading one instance's answer, and merging several.
//
// Theory of operation
//
//   A scraper wants each family once, with one TYPE, and its samples together. Instances each answer with
//   all of their own. Merging therefore goes by family, and tells instances apart by two labels that are
//   added to every sample. What one instance says must not spoil the rest: a line that isn't well formed,
//   a series said twice, or a family whose type another instance has stated differently is left out.

struct MetricFamily {
    let name: String
    var type: String
    var help: String
    var samples: [MetricSample] = []
}

struct MetricSample {
    let name: String
    /// Values are kept quoted and escaped, as they came.
    var labels: [(name: String, value: String)]
    let value: String

    var text: String {
        let list = labels.map { "\($0.name)=\($0.value)" }.joined(separator: ",")
        return list.isEmpty ? "\(name) \(value)\n" : "\(name){\(list)} \(value)\n"
    }
}

enum PrometheusText {
    /// The families of one answer, in its order.
    static func families(in text: String) -> [MetricFamily] {
        var families: [MetricFamily] = []
        var places: [String: Int] = [:]
        func place(_ name: String) -> Int {
            if let place = places[name] { return place }
            families.append(MetricFamily(name: name, type: "untyped", help: ""))
            places[name] = families.count - 1
            return families.count - 1
        }
        for line in text.split(separator: "\n") {
            if line.hasPrefix("#") {
                let words = line.split(separator: " ", maxSplits: 3)
                guard words.count >= 3, words[0] == "#", isName(words[2]) else { continue }
                let rest = words.count == 4 ? String(words[3]) : ""
                if words[1] == "HELP" { families[place(String(words[2]))].help = rest }
                if words[1] == "TYPE", types.contains(rest) { families[place(String(words[2]))].type = rest }
            } else if let sample = MetricSample(parsing: line) {
                let family = familyNames(of: sample.name).first { name in
                    places[name].map { families[$0].has(sample.name) } ?? false
                }
                families[place(family ?? sample.name)].samples.append(sample)
            }
        }
        return families
    }

    private static let types = ["counter", "gauge", "histogram", "summary", "untyped"]

    /// The names of the families that a sample may belong to.
    private static func familyNames(of name: String) -> [String] {
        [name]
            + ["_bucket", "_sum", "_count"].filter(name.hasSuffix).map { String(name.dropLast($0.count)) }
    }

    static func isName(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        return text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: ":"):
                true
            default: false
            }
        }
    }

    /// One text from several instances' answers.
    static func merged(_ answers: [(labels: [(name: String, value: String)], text: String)]) -> String {
        var merged: [String: MetricFamily] = [:]
        var seen: Set<String> = []
        for answer in answers {
            for family in families(in: answer.text) where !family.samples.isEmpty {
                var target =
                    merged[family.name] ?? MetricFamily(name: family.name, type: family.type, help: "")
                guard target.type == family.type else { continue }
                if target.help.isEmpty { target.help = family.help }
                for var sample in family.samples {
                    sample.add(answer.labels)
                    if seen.insert(sample.series).inserted { target.samples.append(sample) }
                }
                merged[family.name] = target
            }
        }
        return merged.values.sorted { $0.name < $1.name }.map(\.text).joined()
    }

    fileprivate static func quoted(_ text: String) -> String {
        var out = "\""
        for character in text {
            switch character {
            case "\\": out += "\\\\"
            case "\"": out += "\\\""
            case "\n": out += "\\n"
            default: out.append(character)
            }
        }
        return out + "\""
    }
}

extension MetricFamily {
    /// Whether a sample of this name is one of this family's.
    fileprivate func has(_ sample: String) -> Bool {
        if sample == name { return type != "histogram" }
        switch type {
        case "histogram": return ["_bucket", "_sum", "_count"].contains { name + $0 == sample }
        case "summary": return ["_sum", "_count"].contains { name + $0 == sample }
        default: return false
        }
    }

    fileprivate var text: String {
        let head = help.isEmpty ? "" : "# HELP \(name) \(help)\n"
        return head + "# TYPE \(name) \(type)\n" + samples.map(\.text).joined()
    }
}

extension MetricSample {
    /// `name{label="value",…} value`, possibly with a time, which is dropped: a scraper has its own.
    init?(parsing line: Substring) {
        let name = line.prefix { $0 != "{" && $0 != " " }
        guard PrometheusText.isName(name) else { return nil }
        var rest = line.dropFirst(name.count)
        var labels: [(name: String, value: String)] = []
        if rest.first == "{" {
            guard let (read, after) = MetricSample.labels(rest.dropFirst()) else { return nil }
            labels = read
            rest = after
        }
        let words = rest.split(separator: " ")
        guard (1...2).contains(words.count), MetricSample.isValue(words[0]) else { return nil }
        self.init(name: String(name), labels: labels, value: String(words[0]))
    }

    private static func isValue(_ text: Substring) -> Bool {
        ["NaN", "+Inf", "-Inf"].contains(text)
            || (text.utf8.allSatisfy { "+-.0123456789eE".utf8.contains($0) } && Double(text) != nil)
    }

    private static func labels(_ text: Substring) -> ([(name: String, value: String)], Substring)? {
        var labels: [(name: String, value: String)] = []
        var rest = text.drop { $0 == " " }
        while let first = rest.first, first != "}" {
            let name = rest.prefix { $0 != "=" && $0 != " " }
            rest = rest.dropFirst(name.count).drop { $0 == " " }
            guard PrometheusText.isName(name), rest.first == "=",
                let (value, after) = quoted(rest.dropFirst().drop { $0 == " " }),
                !labels.contains(where: { $0.name == name })
            else { return nil }
            labels.append((String(name), value))
            rest = after.drop { $0 == " " }
            if rest.first == "," { rest = rest.dropFirst().drop { $0 == " " } }
        }
        return rest.first == "}" ? (labels, rest.dropFirst()) : nil
    }

    /// A quoted value, its quotes and escapes kept.
    private static func quoted(_ text: Substring) -> (String, Substring)? {
        guard text.first == "\"" else { return nil }
        var isEscaped = false
        for index in text.indices.dropFirst() {
            if isEscaped {
                guard "\\\"n".contains(text[index]) else { return nil }
                isEscaped = false
            } else if text[index] == "\\" {
                isEscaped = true
            } else if text[index] == "\"" {
                return (String(text[...index]), text[text.index(after: index)...])
            }
        }
        return nil
    }

    /// Puts labels before one's own, where it doesn't have them.
    fileprivate mutating func add(_ added: [(name: String, value: String)]) {
        let new = added.filter { new in !labels.contains { $0.name == new.name } }
        labels = new.map { ($0.name, PrometheusText.quoted($0.value)) } + labels
    }

    /// What a series is known by: its labels in any order.
    fileprivate var series: String {
        name + labels.map { "\($0.name)=\($0.value)" }.sorted().joined(separator: ",")
    }
}
