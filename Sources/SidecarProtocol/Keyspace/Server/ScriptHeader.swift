/// The line of a script that names its engine, and what it says of the script (script.c, eval.c):
/// `#!lua flags=no-writes,allow-oom`.
struct ScriptHeader {
    /// There is no such line. Then each command is looked at when it is called, and none before.
    var isAbsent = true
    var writesNothing = false
    var runsWithoutMemory = false

    init(_ script: ByteString) throws(CommandError) {
        guard script.bytes.starts(with: Array("#!".utf8)) else { return }
        guard let end = script.bytes.firstIndex(of: UInt8(ascii: "\n")) else {
            throw CommandError("Invalid script shebang")
        }
        let words = script.bytes[..<end].split { $0 <= UInt8(ascii: " ") }.map { ByteString(Array($0)) }
        guard words[0] == ByteString("#!lua") else {
            throw CommandError("Unexpected engine in script shebang: ", words[0])
        }
        isAbsent = false
        for word in words.dropFirst() {
            guard word.bytes.starts(with: Array("flags=".utf8)) else {
                throw CommandError("Unknown lua shebang option: ", word)
            }
            try take(flags: word.bytes.dropFirst(6))
        }
    }

    private mutating func take(flags: ArraySlice<UInt8>) throws(CommandError) {
        guard !flags.isEmpty else { return }
        for flag in flags.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            switch String(decoding: flag, as: UTF8.self) {
            case "no-writes": writesNothing = true
            case "allow-oom": runsWithoutMemory = true
            // There is neither a cluster nor a replica that waits for its master.
            case "allow-stale", "no-cluster", "allow-cross-slot-keys": break
            default: throw CommandError("Unexpected flag in script shebang: ", ByteString(Array(flag)))
            }
        }
    }
}

/// What the commands of a script that runs may do.
struct ScriptRun {
    var isReadOnly: Bool
    /// There was no memory left when it began, and it hasn't said that it does without.
    var isShortOfMemory: Bool
    /// The keyspace's changes when it began.
    let changesBefore: Int
}
