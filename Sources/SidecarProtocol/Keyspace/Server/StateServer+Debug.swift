// DEBUG, for tests alone: the configuration says whether it is there (debug.c).

extension StateServer {
    mutating func debug() throws(CommandError) {
        let arguments = keyspace.arguments
        let word = arguments[1]
        if word.isWord("set-active-expire"), arguments.count == 3 {
            expiresActively = arguments[2] != "0"
            keyspace.reply.ok()
        } else if word.isWord("object"), arguments.count >= 3 {
            try describeObject(arguments[2])
        } else if word.isWord("jmap") || word.isWord("quicklist-packed-threshold")
            || word.isWord("reload") || word.isWord("loadaof") || word.isWord("listpack-entries")
            || word.isWord("dict-resizing") || word.isWord("stringmatch-len")
        {
            keyspace.reply.ok()
        } else if word.isWord("change-repl-id") {
            keyspace.reply.ok()
        } else if word.isWord("sleep"), arguments.count == 3 {
            // The loop never sleeps; what a test wants of it is a while in which nothing runs.
            try sleep(arguments[2])
        } else if word.isWord("protocol"), arguments.count == 3 {
            try debugProtocol(arguments[2])
        } else if word.isWord("digest") {
            keyspace.reply.simple(ByteString(keyspace.digest()).text)
        } else if word.isWord("digest-value") {
            keyspace.reply.array(arguments.count - 2)
            for place in 2..<arguments.count {
                keyspace.reply.simple(ByteString(keyspace.digest(of: arguments[place])).text)
            }
        } else if word.isWord("htstats-key"), arguments.count >= 3 {
            keyspace.reply.verbatim(Array("no statistics of hash tables here\n".utf8))
        } else {
            throw CommandError(
                "unknown subcommand or wrong number of arguments for '", word, "'. Try DEBUG HELP.")
        }
    }

    private mutating func sleep(_ seconds: ByteString) throws(CommandError) {
        guard let time = seconds.double, time >= 0, time < 3600 else { throw .notFloat }
        hooks.sleep(.milliseconds(UInt64(time * 1000)))
        keyspace.reply.ok()
    }

    private mutating func describeObject(_ key: ByteString) throws(CommandError) {
        guard let index = keyspace.find(key) else { throw .noKey }
        let value = keyspace.value(at: index)
        keyspace.reply.simple(
            "Value at:0x0 refcount:1 encoding:\(value.encoding) serializedlength:\(value.footprint) "
                + "lru:0 lru_seconds_idle:0")
    }

    private mutating func debugProtocol(_ kind: ByteString) throws(CommandError) {
        switch kind.lowercased.text {
        case "string": keyspace.reply.bulk("Hello World")
        case "integer": keyspace.reply.integer(12_345)
        case "double": keyspace.reply.double(3.141)
        case "null": keyspace.reply.null()
        case "array":
            keyspace.reply.array(3)
            for number in 0..<3 { keyspace.reply.integer(number) }
        case "set":
            keyspace.reply.set(3)
            for number in 0..<3 { keyspace.reply.integer(number) }
        case "map":
            keyspace.reply.map(3)
            for number in 0..<3 {
                keyspace.reply.integer(number)
                keyspace.reply.boolean(number == 1)
            }
        case "attrib":
            if keyspace.reply.isRESP3 {
                keyspace.reply.raw("|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n")
            }
            keyspace.reply.bulk("Some real reply following the attribute")
        case "push":
            keyspace.reply.push(2)
            keyspace.reply.bulk("server-cpu-usage")
            keyspace.reply.integer(42)
        case "verbatim": keyspace.reply.verbatim(Array("This is a verbatim\nstring".utf8))
        case "bignum":
            let digits = "1234567999999999999999999999999999999"
            if keyspace.reply.isRESP3 {
                keyspace.reply.raw("(1234567999999999999999999999999999999\r\n")
            } else {
                keyspace.reply.bulk(digits)
            }
        case "true": keyspace.reply.boolean(true)
        case "false": keyspace.reply.boolean(false)
        default:
            throw CommandError(
                "Wrong protocol type name. Please use one of the following: "
                    + "string|integer|double|null|array|set|map|attrib|push|verbatim|true|false")
        }
    }
}
