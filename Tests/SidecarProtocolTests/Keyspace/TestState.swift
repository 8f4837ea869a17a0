@testable import SidecarProtocol

/// A state server on a clock that the test turns, with one connection or several.
final class TestState {
    private var server: StateServer
    private(set) var time = Now(
        monotonic: MonotonicTime(nanoseconds: 1), wall: WallTime(seconds: 1_700_000_000))
    private var outputs: [ClientID: [UInt8]] = [:]
    private(set) var closed: Set<ClientID> = []

    init(_ configuration: StateConfiguration = StateConfiguration(), seed: UInt64 = 1) {
        server = StateServer(configuration: configuration, seed: seed, now: time)
    }

    func open() -> ClientID { server.open(address: "a:1", localAddress: "b:2", now: time)! }

    func advance(milliseconds: Int64) {
        time.monotonic.nanoseconds += UInt64(milliseconds) * 1_000_000
        time.wall.milliseconds += milliseconds
        server.advance(to: time)
        collect()
    }

    func send(_ bytes: [UInt8], _ client: ClientID) {
        bytes.withUnsafeBytes { server.receive($0, from: client, now: time) }
        collect()
    }

    /// Sends words, and answers what has come for the client since.
    @discardableResult
    func call(_ words: [ByteString], _ client: ClientID) -> String {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word.bytes + [13, 10] }
        send(bytes, client)
        return take(client)
    }

    @discardableResult
    func call(_ line: String, _ client: ClientID) -> String {
        call(line.split(separator: " ").map { ByteString($0) }, client)
    }

    func take(_ client: ClientID) -> String {
        String(decoding: outputs.removeValue(forKey: client) ?? [], as: UTF8.self)
            .replacing("\r\n", with: " ").trimmed
    }

    func setHooks(_ hooks: StateHooks) { server.setHooks(hooks) }
    func setWriteRefusal(_ text: String?) { server.writeRefusal = text }
    func close(_ client: ClientID) { server.close(client, now: time) }
    func mutations() -> [Mutation] { server.takeMutations() }

    func apply(_ mutations: [Mutation]) {
        server.apply(mutations, now: time)
        collect()
    }

    var digest: String { String(decoding: server.keyspace.digest(), as: UTF8.self) }
    func value(_ key: ByteString) -> Value? { server.keyspace.databases[0].items[key]?.value }
    var keyCount: Int { server.keyspace.databases.reduce(0) { $0 + $1.items.count } }
    var deadline: MonotonicTime? { server.nextDeadline }
    func wantsInput(_ client: ClientID) -> Bool { server.wantsInput(client) }

    private func collect() {
        server.takeOutput { id, bytes, closes in
            outputs[id, default: []] += bytes
            if closes { closed.insert(id) }
        }
    }
}

extension String {
    fileprivate var trimmed: String { hasSuffix(" ") ? String(dropLast()) : self }
}

/// Random calls of commands that change things.
struct RandomCalls {
    var numbers: SeededNumbers

    mutating func pick(_ words: [String]) -> String { words[numbers.below(words.count)] }

    mutating func next() -> String {
        let key = pick(["a", "b", "c", "d"])
        let other = pick(["a", "b", "c", "d"])
        let member = pick(["x", "y", "z", "1", "2"])
        let number = pick(["0", "1", "-1", "2", "-3"])
        return pick([
            "set \(key) \(member)", "set \(key) \(number) px 5000", "append \(key) \(member)",
            "incrby \(key) \(number)",
            "setrange \(key) 2 \(member)", "getdel \(key)", "getex \(key) persist", "incrbyfloat \(key) 1.5",
            "del \(key)", "rename \(key) \(other)", "copy \(key) \(other) replace", "move \(key) 1",
            "persist \(key)",
            "pexpire \(key) 4000", "pexpire \(key) -1", "hset \(key) \(member) \(number)",
            "hdel \(key) \(member)",
            "hincrby \(key) \(member) \(number)", "hincrbyfloat \(key) \(member) 0.5",
            "lpush \(key) \(member) \(number)",
            "rpush \(key) \(member)", "lpop \(key)", "rpop \(key) 2", "linsert \(key) before \(member) n",
            "lrem \(key) \(number) \(member)", "ltrim \(key) \(number) -2", "lset \(key) 0 \(member)",
            "lmove \(key) \(other) left right", "lmpop 2 \(key) \(other) left count 2", "pexpire \(key) 1500",
            "zmpop 2 \(key) \(other) min", "zrangestore \(key) \(other) 0 -2",
            "sdiffstore \(key) \(other) \(key)", "copy \(key) \(other) db 1",
            "sadd \(key) \(member) \(number)", "srem \(key) \(member)",
            "spop \(key)",
            "smove \(key) \(other) \(member)", "sunionstore \(key) \(key) \(other)",
            "zadd \(key) \(number) \(member)",
            "zincrby \(key) 1.5 \(member)", "zrem \(key) \(member)", "zpopmin \(key)",
            "zremrangebyrank \(key) 0 0",
            "zunionstore \(key) 2 \(key) \(other)", "select 0", "select 1", "swapdb 0 1",
            "msetnx \(key) 1 \(other) 2", "setbit \(key) 9 1", "bitop xor \(key) \(key) \(other)",
            "pfadd \(key) \(member) \(number)", "pfmerge \(key) \(other)",
            "sort \(key) by nosort store \(other)",
            "sort \(key) alpha store \(key)",
            "bitfield \(key) incrby u8 #\(member) 100 overflow fail incrby i5 0 9",
            "xadd \(key) * \(member) \(number)", "xadd \(key) 5-* f \(member)",
            "xadd \(key) maxlen 3 * \(member) \(number)", "xdel \(key) 5-0 5-1", "xtrim \(key) maxlen 2",
            "xsetid \(key) 9999999999999-0",
        ])
    }
}
