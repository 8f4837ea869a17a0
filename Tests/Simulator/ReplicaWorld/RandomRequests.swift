import SidecarProtocol

/// Requests of every type, at random, on a few keys that the types share, so that replicas often meet.
struct RandomRequests {
    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    /// One or several for one turn, some of them in a transaction.
    mutating func batch() -> [[String]] {
        switch below(12) {
        case 0: return [["MULTI"]] + (0...below(3)).map { _ in one() } + [["EXEC"]]
        case 1: return [["WATCH", key()], ["MULTI"], one(), ["EXEC"]]
        case 2...4: return (0...below(5)).map { _ in one() }
        default: return [one()]
        }
    }

    private mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    private mutating func pick(_ words: [String]) -> String { words[below(words.count)] }
    private mutating func key() -> String { "k\(below(8))" }
    private mutating func field() -> String { "f\(below(5))" }
    private mutating func member() -> String { "m\(below(6))" }
    private mutating func number() -> String { String(below(40) - 20) }
    private mutating func score() -> String { pick(["1", "2.5", "-7.25", "0.1", "1e3", "3.3333333"]) }

    private mutating func text() -> String {
        switch below(60) {
        case 0: String(repeating: "long ", count: 200 + below(400))
        // Doesn't fit one message of the replicas.
        case 1: below(8) == 0 ? String(repeating: "0123456789", count: 9_000) : "v"
        case 2...20: String(below(1_000))
        default: "v\(below(1_000))"
        }
    }

    private mutating func one() -> [String] {
        switch below(100) {
        case 0..<18: string()
        case 18..<32: counter()
        case 32..<45: hash()
        case 45..<56: set()
        case 56..<69: sorted()
        case 69..<83: list()
        case 83..<92: expiry()
        default: any()
        }
    }

    private mutating func string() -> [String] {
        switch below(8) {
        case 0: ["APPEND", key(), text()]
        case 1: ["GETSET", key(), text()]
        case 2: ["MSET", key(), text(), key(), text()]
        case 3: ["SET", key(), text(), pick(["NX", "XX"])]
        case 4: ["GETDEL", key()]
        case 5: ["SETRANGE", key(), String(below(6)), "xy"]
        default: ["SET", key(), text()]
        }
    }

    private mutating func counter() -> [String] {
        switch below(6) {
        case 0: ["INCR", key()]
        case 1: ["DECRBY", key(), number()]
        case 2: ["INCRBYFLOAT", key(), score()]
        case 3: ["SET", key(), number()]
        case 4: ["HINCRBYFLOAT", key(), field(), score()]
        default: ["INCRBY", key(), number()]
        }
    }

    private mutating func hash() -> [String] {
        switch below(6) {
        case 0: ["HDEL", key(), field(), field()]
        case 1: ["HINCRBY", key(), field(), number()]
        case 2: ["HSETNX", key(), field(), text()]
        case 3: ["HGETALL", key()]
        default: ["HSET", key(), field(), text(), field(), text()]
        }
    }

    private mutating func set() -> [String] {
        switch below(7) {
        case 0: ["SREM", key(), member(), member()]
        case 1: ["SPOP", key()]
        case 2: ["SMOVE", key(), key(), member()]
        case 3: [pick(["SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE"]), key(), key(), key()]
        case 4: ["SMEMBERS", key()]
        default: ["SADD", key(), member(), member()]
        }
    }

    private mutating func sorted() -> [String] {
        switch below(8) {
        case 0: ["ZREM", key(), member()]
        case 1: ["ZPOPMIN", key()]
        case 2: ["ZREMRANGEBYRANK", key(), "0", String(below(2))]
        case 3: ["ZUNIONSTORE", key(), "2", key(), key()]
        case 4: ["ZRANGE", key(), "0", "-1", "WITHSCORES"]
        case 5: ["ZINCRBY", key(), score(), member()]
        default: ["ZADD", key(), score(), member(), score(), member()]
        }
    }

    private mutating func list() -> [String] {
        switch below(11) {
        case 0: ["LPOP", key()]
        case 1: ["RPOP", key(), String(1 + below(3))]
        case 2: ["LSET", key(), String(below(4) - 1), text()]
        case 3: ["LINSERT", key(), pick(["BEFORE", "AFTER"]), text(), text()]
        case 4: ["LREM", key(), "0", text()]
        case 5: ["LTRIM", key(), "0", String(3 + below(9))]
        case 6: ["LMOVE", key(), key(), pick(["LEFT", "RIGHT"]), pick(["LEFT", "RIGHT"])]
        case 7: ["LRANGE", key(), "0", "-1"]
        case 8: ["BLPOP", key(), "0.\(1 + below(9))"]
        default: [pick(["LPUSH", "RPUSH"]), key(), text(), text()]
        }
    }

    private mutating func expiry() -> [String] {
        switch below(6) {
        case 0: ["PERSIST", key()]
        case 1: ["SET", key(), text(), "PX", String(1 + below(20_000))]
        case 2: ["SET", key(), text(), "KEEPTTL"]
        case 3: ["TTL", key()]
        case 4: ["PEXPIRE", key(), String(below(5_000) - 100)]
        default: ["EXPIRE", key(), String(1 + below(100))]
        }
    }

    private mutating func any() -> [String] {
        switch below(6) {
        case 0: ["RENAME", key(), key()]
        case 1: ["COPY", key(), key(), "REPLACE"]
        case 2: ["TYPE", key()]
        case 3: ["UNLINK", key(), key()]
        case 4: ["GET", key()]
        default: ["DEL", key()]
        }
    }
}
