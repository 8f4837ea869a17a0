/// Why a command did nothing, in the words of Redis 7.0.
struct CommandError: Error {
    let text: ByteString

    /// `text` without its code is an `ERR`.
    init(_ text: String) { self.text = ByteString("ERR " + text) }
    init(coded text: String) { self.text = ByteString(text) }
    init(_ before: String, _ bytes: ByteString, _ after: String = "") {
        text = ByteString(Array(("ERR " + before).utf8) + bytes.bytes + Array(after.utf8))
    }

    static let syntax = CommandError("syntax error")
    static let wrongType = CommandError(
        coded: "WRONGTYPE Operation against a key holding the wrong kind of value")
    static let notInteger = CommandError("value is not an integer or out of range")
    static let notFloat = CommandError("value is not a valid float")
    static let noKey = CommandError("no such key")
    static let outOfRange = CommandError("index out of range")
    static let sameObject = CommandError("source and destination objects are the same")
    static let overflow = CommandError("increment or decrement would overflow")
    static let notFinite = CommandError("increment would produce NaN or Infinity")
    static let tooLong = CommandError("string exceeds maximum allowed size (proto-max-bulk-len)")
    static let noMemory = CommandError(coded: "OOM command not allowed when used memory > 'maxmemory'.")
    static let badDatabase = CommandError("DB index is out of range")
    static let notPositive = CommandError("value is out of range, must be positive")

    static func arity(_ name: String) -> CommandError {
        CommandError("wrong number of arguments for '\(name)' command")
    }

    static func expireTime(_ name: String) -> CommandError {
        CommandError("invalid expire time in '\(name)' command")
    }
}
