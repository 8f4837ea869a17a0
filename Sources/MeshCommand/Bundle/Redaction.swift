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
            // A private key in PEM is taken out whole.
            if isInKey {
                if isKeyEnd(line) { isInKey = false }
                continue
            }
            if isKeyBegin(line) {
                isInKey = !isKeyEnd(line)
                lines.append("\(mark) a private key")
                count += 1
                continue
            }
            let (clean, found) = apply(line: line)
            lines.append(clean)
            count += found
        }
        return (lines.joined(separator: "\n"), count)
    }

    private static func isKeyBegin(_ line: Substring) -> Bool {
        line.contains("-----BEGIN ") && line.contains("PRIVATE KEY")
    }

    private static func isKeyEnd(_ line: Substring) -> Bool {
        line.contains("-----END ") && line.contains("PRIVATE KEY")
    }

    /// Cheap words, one of which each pattern needs: nearly no line has any.
    private static let hints = [
        "pass", "pwd", "secret", "token", "key", "credential", "auth", "cookie", "bearer", "://", "akia",
        "asia",
        "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "eyj", "aiza", "sk-", "sk_",
        "npm_",
    ]

    private static func apply(line: Substring) -> (Substring, Int) {
        let lower = line.lowercased()
        guard hints.contains(where: { lower.contains($0) }) else { return (line, 0) }
        var text = String(line)
        var count = 0
        func replace(_ pattern: Regex<(Substring, Substring)>) {
            text = text.replacing(pattern) { match in
                // What stands before the secret stays, and says what was there.
                if match.output.0.hasSuffix(mark) { return String(match.output.0) }
                count += 1
                return String(match.output.1) + mark
            }
        }
        replace(userInfo)
        replace(authorization)
        replace(quotedPair)
        replace(named)
        replace(argument)
        text = text.replacing(shape) { _ in
            count += 1
            return mark
        }
        return (Substring(text), count)
    }

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
