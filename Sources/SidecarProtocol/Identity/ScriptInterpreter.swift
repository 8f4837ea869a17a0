/// The program that a script's first line names, or that runs one without such a line.
package struct ScriptInterpreter: Hashable, Sendable {
    /// As the script names it; at most `Limits.interpreterPathBytesMaximum`.
    package var path: String
    /// SHA-256 of the program; nil where it couldn't be read.
    package var digest: [UInt8]?

    /// Nil where the path is empty or too long, or the digest isn't one.
    package init?(path: String, digest: [UInt8]?) {
        guard (1...Limits.interpreterPathBytesMaximum).contains(path.utf8.count),
            digest == nil || digest?.count == 32
        else { return nil }
        self.path = path
        self.digest = digest
    }

    var item: CBOR { .array([.text(path), digest.map { .bytes($0) } ?? .null]) }

    init(_ item: CBOR) throws(CBORError) {
        guard case .array(let parts) = item, parts.count == 2, case .text(let path) = parts[0] else {
            throw .unexpected(field: "interpreter")
        }
        var digest: [UInt8]?
        switch parts[1] {
        case .bytes(let bytes): digest = bytes
        case .null: break
        default: throw .unexpected(field: "interpreter")
        }
        guard let known = ScriptInterpreter(path: path, digest: digest) else {
            throw .unexpected(field: "interpreter")
        }
        self = known
    }
}

extension ScriptInterpreter {
    /// The interpreter and its argument that a file's first bytes name (execve(2): `#!`, at most 255 bytes);
    /// nil where it isn't a script.
    package static func named(in head: some Sequence<UInt8>) -> (path: String, argument: String?)? {
        let line = head.prefix(256).prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
        guard line.count > 2, line.starts(with: Array("#!".utf8)) else { return nil }
        let words = line.dropFirst(2).split(maxSplits: 1, omittingEmptySubsequences: true) {
            $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t")
        }
        guard let first = words.first, let path = String(validating: first, as: UTF8.self) else { return nil }
        guard words.count > 1 else { return (path, nil) }
        var argument = words[1].drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        while let last = argument.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") {
            argument.removeLast()
        }
        return (path, argument.isEmpty ? nil : String(decoding: argument, as: UTF8.self))
    }
}

extension Limits {
    package static let interpreterPathBytesMaximum = 128
}
