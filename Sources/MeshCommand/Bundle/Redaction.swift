// Takes out of texts what looks like a secret, before they leave the machine.
//
// Nothing of the mesh's own keys is ever read into a bundle. What a workload's command line, its
// environment or a log line may hold is another matter: values are taken out that stand behind a name
// such as `password` or `token`, and those whose shape alone says what they are.

enum Redaction {
    static let mark = "[redacted]"

    /// The text without what looks like a secret, and how many of those there were.
    static func apply(_ text: String) -> (text: String, count: Int) {
        var lines: [Substring] = []
        var count = 0
        var isInKey = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let words = LineWords(line)
            // A private key in PEM is taken out whole.
            if isInKey {
                if words.isKeyEnd { isInKey = false }
                continue
            }
            if words.isKeyBegin {
                isInKey = !words.isKeyEnd
                lines.append("\(mark) a private key")
                count += 1
                continue
            }
            let (clean, found) = apply(line: line, words)
            lines.append(clean)
            count += found
        }
        return (lines.joined(separator: "\n"), count)
    }

    /// A pattern takes some microseconds a byte, and flows come as lines of many kilobytes: each is tried
    /// only where a word stands that it needs, and nearly no line has any.
    private static func apply(line: Substring, _ words: LineWords) -> (Substring, Int) {
        var text: String?
        var count = 0
        func replace(_ pattern: Regex<(Substring, Substring)>) {
            text = (text ?? String(line)).replacing(pattern) { match in
                // What stands before the secret stays, and says what was there.
                if match.output.0.hasSuffix(mark) { return String(match.output.0) }
                count += 1
                return String(match.output.1) + mark
            }
        }
        if words.has(["://"]), words.has(["@"]) { replace(userInfo) }
        if words.has(["authorization", "bearer", "basic"]) { replace(authorization) }
        if words.has(names) {
            replace(quotedPair)
            replace(named)
            replace(argument)
        }
        if words.has(shapes) {
            text = (text ?? String(line)).replacing(shape) { _ in
                count += 1
                return mark
            }
        }
        return (text.map { Substring($0) } ?? line, count)
    }

    /// One of these, in small letters, stands in whatever `quotedPair`, `named` and `argument` match.
    private static let names = [
        "passw", "passphrase", "pwd", "secret", "token", "apikey", "api-key", "api_key", "access-key",
        "access_key", "private-key", "private_key", "credential", "cookie",
    ]

    /// The same for `shape`.
    private static let shapes = [
        "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "eyj", "aiza",
        "sk-", "sk_", "rk-", "rk_", "npm_",
    ]

    /// Patterns aren't Sendable, though nothing changes them.
    private nonisolated(unsafe) static let userInfo =
        /([A-Za-z][A-Za-z0-9+.\-]*:\/\/)[^\/\s"'@:]*:[^\/\s"'@]*(?=@)/
    private nonisolated(unsafe) static let authorization =
        /((?i:\bauthorization["']?\s*[:=]\s*["']?|\bbearer\s+|\bbasic\s+))[A-Za-z0-9+\/=._~\-]{8,}(?:\s+[A-Za-z0-9+\/=._~\-]{8,})?/
    /// `"--password","x"`, as a command's words stand in JSON or YAML.
    private nonisolated(unsafe) static let quotedPair =
        /((?i:["']--?[A-Za-z0-9\-_]*(?:password|passwd|passphrase|secret|token|apikey|api-key|api_key|access-key|private-key|credential)[A-Za-z0-9\-_]*["']\s*,\s*["']))(?:[^"'\\]|\\.)+/
    /// `password=x`, `"apiKey": "x"`, `SECRET_TOKEN: x`.
    private nonisolated(unsafe) static let named =
        /((?i:["']?[A-Za-z0-9_\-.]*(?:password|passwd|passphrase|pwd|secret|token|apikey|api-key|api_key|access_key|access-key|private_key|private-key|credential|cookie)[A-Za-z0-9_\-.]*["']?\s*[:=]\s*["']?))(?!null\b|\[redacted\])[^\s"',;&}\]]+/
    /// `--password x`.
    private nonisolated(unsafe) static let argument =
        /((?i:(?:^|\s)--?[A-Za-z0-9\-_]*(?:password|passwd|passphrase|secret|token|apikey|api-key|access-key|private-key|credential)[A-Za-z0-9\-_]*\s+))(?!\[redacted\])[^\s\-"',][^\s"',]*/
    /// AWS, GitHub, GitLab, Slack, Google, Stripe and OpenAI, npm; and JSON web tokens.
    private nonisolated(unsafe) static let shape =
        /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}|\bglpat-[A-Za-z0-9_\-]{16,}|\bxox[abprs]-[A-Za-z0-9\-]{10,}|\bAIza[0-9A-Za-z_\-]{35}|\b[rs]k[-_](?:live|test|proj)?[-_]?[A-Za-z0-9_\-]{20,}|\bnpm_[A-Za-z0-9]{30,}|\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}/
}

/// A line in small letters, for words to be looked up by their bytes.
private struct LineWords {
    private let bytes: [UInt8]

    init(_ line: Substring) {
        bytes = line.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 + 32 : $0 }
    }

    var isKeyBegin: Bool { has(["-----begin "]) && has(["private key"]) }
    var isKeyEnd: Bool { has(["-----end "]) && has(["private key"]) }

    /// Whether one of these stands anywhere in the line.
    func has(_ words: [String]) -> Bool {
        words.contains { word in
            let word = Array(word.utf8)
            return bytes.withUnsafeBufferPointer { line in word.withUnsafeBufferPointer { find($0, in: line) }
            }
        }
    }

    private func find(_ word: UnsafeBufferPointer<UInt8>, in line: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = word.first, word.count <= line.count else { return false }
        for start in 0...(line.count - word.count) where line[start] == first {
            if word.indices.allSatisfy({ line[start + $0] == word[$0] }) { return true }
        }
        return false
    }
}
