import Testing

@testable import SidecarProtocol

@Suite("The server of the state")
struct StateServerTests {
    @Test("those who wait for a list are served in the order in which they came")
    func fairness() {
        let state = TestState()
        let (first, second, third) = (state.open(), state.open(), state.open())
        #expect(state.call("blpop l 0", first) == "")
        #expect(state.call("brpop l 0", second) == "")
        #expect(state.call("rpush l 1 2 3", third) == ":3")
        #expect(state.take(first) == "*2 $1 l $1 1")
        #expect(state.take(second) == "*2 $1 l $1 3")
        #expect(state.call("lrange l 0 -1", third) == "*1 $1 2")
    }

    @Test("what there is not is told so in Redis's words, or truthfully as empty")
    func absent() {
        let state = TestState()
        let client = state.open()
        #expect(state.call("function flush async", client) == "+OK")
        #expect(state.call("function flush now", client).contains("only supports SYNC|ASYNC"))
        #expect(state.call("function list libraryname x withcode", client) == "*0")
        #expect(state.call("function list x", client) == "-ERR Unknown argument x")
        #expect(state.call("cluster info", client) == "-ERR This instance has cluster support disabled")
        #expect(
            state.call("client getredir", client) == ":-1"
                && state.call("client tracking off", client) == "+OK")
        #expect(state.call("client tracking on", client).hasPrefix("-ERR this server tells no client"))
        #expect(state.call("config rewrite", client) == "-ERR The server is running without a config file")
        #expect(
            state.call("acl users", client) == "*1 $7 default" && state.call("module list", client) == "*0")
        #expect(state.call("bgsave", client) == "-ERR this state is kept on no disk")
        #expect(state.call("lastsave", client) == ":1700000000")
        #expect(
            state.call("command getkeysandflags smove a b x", client)
                == "*2 *2 $1 a *3 +RW +access +delete *2 $1 b *2 +RW +insert")
    }

    @Test("who waited long enough is told so, and goes on with what it sent meanwhile")
    func timeout() {
        let state = TestState()
        let client = state.open()
        state.call("blpop l 1.5", client)
        #expect(state.call("ping", client) == "")
        state.advance(milliseconds: 1499)
        #expect(state.take(client) == "")
        state.advance(milliseconds: 1)
        #expect(state.take(client) == "*-1 +PONG")
    }

    @Test("what a replica pushed wakes who waits, and disturbs who watches")
    func applied() {
        let state = TestState()
        let (first, second) = (state.open(), state.open())
        state.call("blpop l 0", first)
        state.call("watch s", second)
        state.apply([.insertElements("l", index: 0, ["x"]), .setString("s", "1")])
        #expect(state.take(first) == "*2 $1 l $1 x")
        #expect(state.mutations() == [.removeElements("l", index: 0, count: 1)])
        state.call("multi", second)
        state.call("get s", second)
        #expect(state.call("exec", second) == "*-1")
    }

    @Test("a transaction runs whole, or not at all")
    func transactions() {
        let state = TestState()
        let client = state.open()
        state.call("multi", client)
        #expect(state.call("set a 1", client) == "+QUEUED")
        state.call("lpush a x", client)
        #expect(state.call("exec", client).hasPrefix("*2 +OK -WRONGTYPE"))
        state.call("multi", client)
        #expect(state.call("nosuch", client).hasPrefix("-ERR unknown command"))
        #expect(state.call("exec", client) == "-EXECABORT Transaction discarded because of previous errors.")
    }

    @Test("a key is gone when its time has come, with a mutation, whether anybody asks for it or not")
    func expiry() {
        let state = TestState()
        let client = state.open()
        state.call("set a 1 px 100", client)
        _ = state.mutations()
        #expect(state.deadline == state.time.monotonic + .milliseconds(101))
        state.advance(milliseconds: 100)
        #expect(state.keyCount == 1)
        state.advance(milliseconds: 1)
        #expect(state.keyCount == 0 && state.mutations() == [.expire("a")])
    }

    @Test("messages go to channels and patterns, as pushes where RESP3 is spoken")
    func channels() {
        let state = TestState()
        let (first, second, third) = (state.open(), state.open(), state.open())
        #expect(state.call("subscribe c", first) == "*3 $9 subscribe $1 c :1")
        state.call("hello 3", second)
        state.call("psubscribe c*", second)
        #expect(state.call("publish c hi", third) == ":2")
        #expect(state.take(first) == "*3 $7 message $1 c $2 hi")
        #expect(state.take(second) == ">4 $8 pmessage $2 c* $1 c $2 hi")
        #expect(state.call("get a", first).hasPrefix("-ERR Can't execute 'get'"))
        state.close(second)
        #expect(state.call("publish c hi", third) == ":1")
    }

    @Test("who wants no replies hears of its subscriptions, and what comes on them")
    func silentSubscriber() {
        let state = TestState()
        let (silent, other) = (state.open(), state.open())
        state.call("hello 3", silent)
        #expect(state.call("client reply off", silent) == "")
        #expect(state.call("subscribe c", silent) == ">3 $9 subscribe $1 c :1")
        #expect(state.call("ping", silent) == "")
        #expect(state.call("publish c hi", other) == ":1")
        #expect(state.take(silent) == ">3 $7 message $1 c $2 hi")
        #expect(state.call("unsubscribe c", silent) == ">3 $11 unsubscribe $1 c :0")
    }

    @Test("over its memory the server takes nothing more, and goes on when keys are gone")
    func memory() {
        var configuration = StateConfiguration()
        configuration.memoryMaximum = 1000
        let state = TestState(configuration)
        let client = state.open()
        let long = String(repeating: "x", count: 2000)
        #expect(state.call("set a \(long)", client) == "+OK")
        #expect(
            state.call("set b 1", client) == "-OOM command not allowed when used memory > 'maxmemory'.")
        for more in ["0", "1001", "1gb"] {
            #expect(state.call("config set maxmemory \(more)", client).contains("grants 1000 bytes"))
        }
        #expect(state.call("config set maxmemory 999", client) == "+OK")
        #expect(state.call("del a", client) == ":1")
        #expect(state.call("set b 1", client) == "+OK")
        #expect(state.call("config set maxmemory 1000", client) == "+OK")
    }

    @Test("one who asks for much and reads nothing has to wait with the rest of what it asked")
    func backpressure() {
        let state = TestState()
        let client = state.open()
        let value = ByteString([UInt8](repeating: 120, count: Limits.stateUnreadReplyBytesMaximum))
        state.call(["set", "a", value], client)
        let get = Array("*2\r\n$3\r\nget\r\n$1\r\na\r\n".utf8)
        state.send((0..<100).flatMap { _ in get }, client)
        #expect(state.take(client).utf8.count < 3 * Limits.stateUnreadReplyBytesMaximum)
    }

    @Test("a request that is longer than what may wait is read to its end")
    func longRequest() {
        let state = TestState()
        let (client, waiting) = (state.open(), state.open())
        let value = [UInt8](repeating: 120, count: 2 * Limits.stateUnreadInputBytesMaximum)
        state.send(Array("*2\r\n$4\r\nECHO\r\n$\(value.count)\r\n".utf8) + value.dropLast(), client)
        #expect(state.wantsInput(client))
        state.send([120, 13, 10], client)
        #expect(state.take(client).utf8.count > value.count)
        // One who waits for a key is read no further than the limit.
        state.call("blpop l 0", waiting)
        state.send(Array(value.dropLast(value.count / 2 + 1)), waiting)
        #expect(state.wantsInput(waiting))
        state.send([120], waiting)
        state.send([120], waiting)
        #expect(!state.wantsInput(waiting))
    }

    @Test("under `conditional: deny` nothing runs that would be atomic on one replica only")
    func conditional() {
        var configuration = StateConfiguration()
        configuration.consistency = .eventual
        configuration.conditional = .deny
        let state = TestState(configuration)
        let client = state.open()
        #expect(state.call("set a 1", client) == "+OK")
        #expect(state.call("set a 1 nx", client).hasPrefix("-ERR SET would be atomic on this replica only"))
        #expect(state.call("setnx a 1", client).hasPrefix("-ERR SETNX would"))
        #expect(state.call("swapdb 0 1", client).hasPrefix("-ERR SWAPDB is not available"))
        #expect(state.call("info state", client).contains("unsafe_conditional_ops:2"))
    }

    @Test("a limit holds at its value, and not one past it")
    func limits() {
        let state = TestState()
        let client = state.open()
        state.call("sadd s a", client)
        let count = Limits.stateSampleMaximum + 1
        #expect(state.call("srandmember s -\(count)", client) == "-ERR value is out of range")
        #expect(state.call("select \(Limits.stateDatabases - 1)", client) == "+OK")
        #expect(state.call("select \(Limits.stateDatabases)", client) == "-ERR DB index is out of range")
    }
}
