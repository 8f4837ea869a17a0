/// Swift source with comments and the insides of string literals blanked, so that words and braces that
/// are left are the program's own. Lines stay where they were.
struct SwiftCode {
    let lines: [String]

    init(_ source: String) {
        var scanner = Scanner(source)
        scanner.scanCode(until: nil)
        lines = String(decoding: scanner.output, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The modules that are imported, with their line (from 1). `import struct Foo.Bar` counts as `Foo`.
    var imports: [(module: String, line: Int)] {
        let kinds: Set<Substring> = [
            "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
        ]
        return lines.enumerated().compactMap { index, line in
            var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            while let first = words.first, first.hasPrefix("@") || first == "package" || first == "internal" {
                words.removeFirst()
            }
            guard words.count >= 2, words[0] == "import" else { return nil }
            let named = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
            return (String(named.prefix { $0 != "." }), index + 1)
        }
    }

    /// Lines (from 1) that hold `word` as a whole word.
    func lines(holding word: String) -> [Int] {
        lines.indices.filter { index in
            lines[index].ranges(of: word).contains { range in
                let line = lines[index]
                let before =
                    range.lowerBound == line.startIndex ? nil : line[line.index(before: range.lowerBound)]
                let after = range.upperBound == line.endIndex ? nil : line[range.upperBound]
                return !SwiftCode.isWordPart(before) && !SwiftCode.isWordPart(after)
            }
        }.map { $0 + 1 }
    }

    /// Functions, initialisers and subscripts with a body: the line they begin on and how many they take.
    var functions: [(line: Int, length: Int)] {
        var found: [(line: Int, length: Int)] = []
        var open: [(depth: Int, line: Int)] = []
        var depth = 0
        var parentheses = 0
        var pending: Int?
        for (index, line) in lines.enumerated() {
            if SwiftCode.declaresFunction(line) { pending = index + 1 }
            for character in line {
                switch character {
                case "(": parentheses += 1
                case ")": parentheses -= 1
                case "{":
                    depth += 1
                    // A brace inside parentheses is a default argument's closure.
                    if parentheses == 0, let line = pending {
                        open.append((depth, line))
                        pending = nil
                    }
                case "}":
                    if let last = open.last, last.depth == depth {
                        found.append((last.line, index + 1 - last.line + 1))
                        open.removeLast()
                    } else if parentheses == 0 {
                        // The end of a protocol: its last requirement had no body.
                        pending = nil
                    }
                    depth -= 1
                default: break
                }
            }
        }
        return found
    }

    private static func declaresFunction(_ line: String) -> Bool {
        let words = line.split(whereSeparator: { !isWordPart($0) })
        guard let keyword = words.firstIndex(where: { ["func", "init", "deinit", "subscript"].contains($0) })
        else { return false }
        let modifiers: Set<Substring> = [
            "package", "public", "private", "fileprivate", "internal", "static", "class", "mutating",
            "nonmutating", "consuming", "borrowing", "override", "final", "convenience", "required",
            "nonisolated", "discardableResult", "inlinable", "inline", "__always", "never",
            "usableFromInline",
        ]
        return words[..<keyword].allSatisfy { modifiers.contains($0) }
            && (words[keyword] == "func" || !line.contains(".init"))
    }

    private static func isWordPart(_ character: Character?) -> Bool {
        guard let character else { return false }
        return character.isLetter || character.isNumber || character == "_"
    }
}

/// Copies code, and blanks comments and literals, an interpolation's code included.
private struct Scanner {
    private let source: [UInt8]
    private var position = 0
    private(set) var output: [UInt8] = []

    init(_ text: String) { source = Array(text.utf8) }

    /// Scans until the closing parenthesis of an interpolation, or to the end.
    mutating func scanCode(until closing: UInt8?) {
        var depth = 0
        while position < source.count {
            let byte = source[position]
            if starts("//") {
                while position < source.count, source[position] != 10 { skip() }
            } else if starts("/*") {
                skipBlockComment()
            } else if byte == UInt8(ascii: "\"") || (byte == UInt8(ascii: "#") && hashesOpenString()) {
                skipString()
            } else {
                if byte == UInt8(ascii: "(") { depth += 1 }
                if byte == UInt8(ascii: ")") {
                    if depth == 0, closing == byte { return }
                    depth -= 1
                }
                output.append(byte)
                position += 1
            }
        }
    }

    private func starts(_ text: StaticString, at offset: Int = 0) -> Bool {
        let count = text.utf8CodeUnitCount
        guard position + offset + count <= source.count else { return false }
        return (0..<count).allSatisfy { source[position + offset + $0] == text.utf8Start[$0] }
    }

    private func hashes() -> Int { source[position...].prefix { $0 == UInt8(ascii: "#") }.count }
    private func hashesOpenString() -> Bool { starts("\"", at: hashes()) }

    /// Blanks one byte; a newline stays.
    private mutating func skip(_ count: Int = 1) {
        for _ in 0..<count where position < source.count {
            output.append(source[position] == 10 ? 10 : 32)
            position += 1
        }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if starts("/*") {
                depth += 1
                skip(2)
            } else if starts("*/") {
                depth -= 1
                skip(2)
            } else {
                skip()
            }
        } while depth > 0 && position < source.count
    }

    private mutating func skipString() {
        let hashes = hashes()
        skip(hashes)
        let quotes = starts("\"\"\"") ? 3 : 1
        skip(quotes)
        while position < source.count {
            if source[position] == UInt8(ascii: "\\"), followed(by: UInt8(ascii: "#"), times: hashes, at: 1) {
                skip(1 + hashes)
                if starts("(") {
                    skip()
                    let kept = output.count
                    scanCode(until: UInt8(ascii: ")"))
                    for index in kept..<output.count where output[index] != 10 { output[index] = 32 }
                }
                skip()
            } else if followed(by: UInt8(ascii: "\""), times: quotes, at: 0),
                followed(by: UInt8(ascii: "#"), times: hashes, at: quotes)
            {
                skip(quotes + hashes)
                return
            } else if quotes == 1, source[position] == 10 {
                return
            } else {
                skip()
            }
        }
    }

    private func followed(by byte: UInt8, times: Int, at offset: Int) -> Bool {
        (0..<times).allSatisfy {
            position + offset + $0 < source.count && source[position + offset + $0] == byte
        }
    }
}
