// EVAL and its relatives (eval.c). The engine is the sidecar's; here is what surrounds it.

/// Runs scripts. It is called while a command runs, and returns when the script is done or was stopped.
package protocol ScriptEngine: AnyObject {
    /// nil: the script can be run; else why not, as Redis would say it, without its code.
    func problem(of script: ByteString) -> String?

    /// Runs a script. `call` runs one command for it and returns its reply as RESP of version 2. What is
    /// returned is the reply to the client, as RESP of the version given.
    func run(
        _ script: ByteString, keys: [ByteString], arguments: [ByteString], version: UInt8,
        call: (ContiguousArray<ByteString>) -> [UInt8]
    ) -> [UInt8]
}

/// Scripts by the SHA-1 of their text.
package struct ScriptCache {
    private var scripts: HashTable<ByteString>

    init(hash: SeededHash) { scripts = HashTable(hash: hash) }

    var count: Int { scripts.count }
    subscript(digest: ByteString) -> ByteString? { scripts[digest.lowercased] }
    mutating func add(_ script: ByteString, _ digest: ByteString) { scripts.set(digest, script) }
    mutating func removeAll() { scripts.removeAll() }
}

extension StateServer {
    private func engine() throws(CommandError) -> any ScriptEngine {
        guard let engine = hooks.scriptEngine else {
            throw CommandError("this server runs no scripts")
        }
        return engine
    }

    mutating func evaluate(isReadOnly: Bool) throws(CommandError) {
        let engine = try engine()
        let script = keyspace.arguments[1]
        let digest = SHA1.hexadecimal(script.bytes)
        if scripts[digest] == nil {
            _ = try ScriptHeader(script)
            if let problem = engine.problem(of: script) { throw CommandError(problem) }
            try keep(script, digest)
        }
        try run(script, engine, isReadOnly)
    }

    mutating func evaluateKept(isReadOnly: Bool) throws(CommandError) {
        let engine = try engine()
        guard let script = scripts[keyspace.arguments[1]] else {
            throw CommandError(coded: "NOSCRIPT No matching script. Please use EVAL.")
        }
        try run(script, engine, isReadOnly)
    }

    private mutating func keep(_ script: ByteString, _ digest: ByteString) throws(CommandError) {
        guard scripts.count < Limits.stateScriptsMaximum else {
            throw CommandError("there are \(Limits.stateScriptsMaximum) scripts: use SCRIPT FLUSH")
        }
        scripts.add(script, digest)
    }

    private mutating func run(
        _ script: ByteString, _ engine: any ScriptEngine, _ isReadOnly: Bool
    ) throws(CommandError) {
        let arguments = keyspace.arguments
        let count = try keyspace.integer(2)
        guard count <= arguments.count - 3 else {
            throw CommandError("Number of keys can't be greater than number of args")
        }
        guard count >= 0 else { throw CommandError("Number of keys can't be negative") }
        let keys = Array(arguments[3..<3 + Int(count)])
        let rest = Array(arguments[(3 + Int(count))...])
        let scriptRun = try admit(ScriptHeader(script), isReadOnly)
        let (version, mayWait, database) = (keyspace.reply.version, keyspace.mayWait, keyspace.selected)
        (keyspace.mayWait, keyspace.isInScript) = (false, true)
        let reply = engine.run(script, keys: keys, arguments: rest, version: version) { words in
            callFromScript(words, scriptRun)
        }
        (keyspace.mayWait, keyspace.isInScript) = (mayWait, false)
        keyspace.reply.version = version
        // SELECT in a script is the script's.
        keyspace.selected = database
        current.database = database
        keyspace.reply.bytes.append(contentsOf: reply)
    }

    /// Whether a script with this header may begin now.
    private func admit(_ header: ScriptHeader, _ isReadOnly: Bool) throws(CommandError) -> ScriptRun {
        let isFull = configuration.memoryMaximum > 0 && keyspace.footprint > configuration.memoryMaximum
        let runsWithoutMemory = header.runsWithoutMemory || header.writesNothing
        if !header.isAbsent, !header.writesNothing {
            if let writeRefusal { throw CommandError(coded: writeRefusal) }
            if isReadOnly {
                throw CommandError("Can not execute a script with write flag using *_ro command.")
            }
        }
        if !header.isAbsent, isFull, !runsWithoutMemory {
            throw CommandError(
                coded:
                    "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
            )
        }
        return ScriptRun(
            isReadOnly: isReadOnly || header.writesNothing, isShortOfMemory: isFull && !runsWithoutMemory,
            changesBefore: keyspace.changes)
    }

    /// One command of a script; its reply is the script's, not the client's.
    private mutating func callFromScript(
        _ words: ContiguousArray<ByteString>, _ scriptRun: ScriptRun
    ) -> [UInt8] {
        guard !words.isEmpty else {
            return Array("-ERR Please specify at least one argument for this redis.call() call\r\n".utf8)
        }
        var kept = keyspace.reply
        keyspace.reply = RESPWriter()
        keyspace.arguments = words
        do throws(CommandError) {
            guard table.index(of: words[0]) != nil else {
                throw CommandError("Unknown Redis command called from script")
            }
            let command: Command
            do { command = try commandOfCall() } catch {
                throw table.command(words[0]).map { !$0.allowsCount(words.count) } == true
                    ? CommandError("Wrong number of args calling Redis command from script") : error
            }
            if command.flags.contains(.noscript) {
                throw CommandError("This Redis command is not allowed from script")
            }
            guard command.modes.contains(configuration.consistency.mode) else {
                throw CommandError(
                    "\(command.name.uppercased()) is not available under `consistency: "
                        + "\(configuration.consistency.rawValue)`")
            }
            try admit(command, scriptRun)
            call(command)
        } catch {
            keyspace.reply.error(error.text)
        }
        swap(&kept, &keyspace.reply)
        return kept.bytes
    }

    private func admit(_ command: Command, _ scriptRun: ScriptRun) throws(CommandError) {
        if scriptRun.isReadOnly, !command.flags.isDisjoint(with: [.write, .mayReplicate]) {
            throw CommandError("Write commands are not allowed from read-only scripts.")
        }
        // What has written already isn't stopped half-way.
        guard keyspace.changes == scriptRun.changesBefore else { return }
        if let writeRefusal, command.flags.contains(.write) { throw CommandError(coded: writeRefusal) }
        if scriptRun.isShortOfMemory, command.flags.contains(.denyoom) { throw .noMemory }
    }

    mutating func loadScript() throws(CommandError) {
        let script = keyspace.arguments[2]
        _ = try ScriptHeader(script)
        if let problem = try engine().problem(of: script) { throw CommandError(problem) }
        let digest = SHA1.hexadecimal(script.bytes)
        try keep(script, digest)
        keyspace.reply.bulk(digest)
    }

    mutating func haveScripts() {
        keyspace.reply.array(keyspace.arguments.count - 2)
        for place in 2..<keyspace.arguments.count {
            keyspace.reply.integer(scripts[keyspace.arguments[place]] == nil ? 0 : 1)
        }
    }

    mutating func flushScripts() throws(CommandError) {
        let arguments = keyspace.arguments
        guard
            arguments.count == 2
                || arguments.count == 3 && (arguments[2].isWord("sync") || arguments[2].isWord("async"))
        else { throw CommandError("SCRIPT FLUSH only support SYNC|ASYNC option") }
        scripts.removeAll()
        keyspace.reply.ok()
    }

    /// A script is over before the next command is read.
    mutating func killScript() throws(CommandError) {
        throw CommandError(coded: "NOTBUSY No scripts in execution right now.")
    }
}

/// FIPS 180-4: the name of a script, no protection of anything.
enum SHA1 {
    static func hexadecimal(_ message: [UInt8]) -> ByteString {
        let digits = Array("0123456789abcdef".utf8)
        return ByteString(digest(message).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    private static func digest(_ message: [UInt8]) -> [UInt8] {
        var h: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
        var bytes = message + [0x80]
        while bytes.count % 64 != 56 { bytes.append(0) }
        let bits = UInt64(message.count) * 8
        bytes += stride(from: 56, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bits >> UInt64($0)) }
        for block in stride(from: 0, to: bytes.count, by: 64) {
            var w = (0..<16).map { word in
                (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[block + word * 4 + $1]) }
            }
            for t in 16..<80 { w.append(rotated(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1)) }
            var (a, b, c, d, e) = (h[0], h[1], h[2], h[3], h[4])
            for t in 0..<80 {
                let (f, k): (UInt32, UInt32) =
                    switch t {
                    case ..<20: (b & c | ~b & d, 0x5A82_7999)
                    case ..<40: (b ^ c ^ d, 0x6ED9_EBA1)
                    case ..<60: (b & c | b & d | c & d, 0x8F1B_BCDC)
                    default: (b ^ c ^ d, 0xCA62_C1D6)
                    }
                let next = rotated(a, 5) &+ f &+ e &+ k &+ w[t]
                (e, d, c, b, a) = (d, c, rotated(b, 30), a, next)
            }
            h = zip(h, [a, b, c, d, e]).map { $0 &+ $1 }
        }
        return h.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) } }
    }

    private static func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 {
        word << count | word >> (32 - count)
    }
}
