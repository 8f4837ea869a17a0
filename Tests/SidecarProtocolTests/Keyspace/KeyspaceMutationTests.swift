import Testing

@testable import SidecarProtocol

@Suite("Mutations say all that a command changed")
struct KeyspaceMutationTests {
    @Test("an equal keyspace that gets the mutations stays equal", arguments: 0..<20)
    func replayed(seed: UInt64) {
        let (first, second) = (TestState(seed: seed), TestState(seed: seed &+ 1000))
        let client = first.open()
        var calls = RandomCalls(numbers: SeededNumbers(state: seed))
        for step in 0..<400 {
            let call = calls.next()
            first.call(call, client)
            if step % 50 == 49 { first.advance(milliseconds: 3000) }
            second.apply(first.mutations())
            #expect(first.digest == second.digest, "seed \(seed), step \(step): \(call)")
            if first.digest != second.digest { return }
        }
    }

    @Test("the same seed and the same calls give the same answers", arguments: 0..<5)
    func deterministic(seed: UInt64) {
        let states = [TestState(seed: 1), TestState(seed: 1)]
        let clients = states.map { $0.open() }
        var calls = RandomCalls(numbers: SeededNumbers(state: seed))
        for _ in 0..<300 {
            let call = calls.next()
            #expect(states[0].call(call, clients[0]) == states[1].call(call, clients[1]))
        }
    }

    @Test("a key whose time has come is as none, though it still stands there", arguments: 0..<20)
    func lateExpiry(seed: UInt64) {
        var configuration = StateConfiguration()
        configuration.allowsDebug = true
        let states = [TestState(configuration), TestState()]
        let clients = states.map { $0.open() }
        #expect(states[0].call("debug set-active-expire 0", clients[0]) == "+OK")
        var calls = RandomCalls(numbers: SeededNumbers(state: seed))
        for step in 0..<600 {
            let call = calls.next()
            if call.hasPrefix("spop") { continue }
            for state in states { state.advance(milliseconds: Int64(step % 7) * 100) }
            let answers = [states[0].call(call, clients[0]), states[1].call(call, clients[1])]
            #expect(answers[0] == answers[1], "seed \(seed), step \(step): \(call)")
            if answers[0] != answers[1] { return }
        }
        states[0].call("debug set-active-expire 1", clients[0])
        for state in states { state.advance(milliseconds: 10_000) }
        #expect(states[0].digest == states[1].digest)
    }

    @Test("a list moves to a destination whose time has come, at once and for one who waited")
    func lateDestination() {
        var configuration = StateConfiguration()
        configuration.allowsDebug = true
        let state = TestState(configuration)
        let (client, waiter) = (state.open(), state.open())
        state.call("debug set-active-expire 0", client)
        for command in ["lmove a b left right", "blmove a b left right 0"] {
            state.call("flushall", client)
            // The destination stands before its source, which takes its place when it is removed.
            state.call("set b text px 10", client)
            if command.hasPrefix("l") { state.call("rpush a 1 2", client) }
            #expect(state.call(command, waiter) == (command.hasPrefix("l") ? "-\(wrongType)" : ""))
            state.advance(milliseconds: 20)
            if command.hasPrefix("b") { state.call("rpush a 1 2", client) }
            #expect((command.hasPrefix("b") ? state.take(waiter) : state.call(command, waiter)) == "$1 1")
            #expect(state.call("lrange a 0 -1", client) == "*1 $1 2")
            #expect(state.call("lrange b 0 -1", client) == "*1 $1 1")
        }
    }

    private let wrongType = "WRONGTYPE Operation against a key holding the wrong kind of value"

    @Test("a zero below zero is a zero in a small sorted set, and itself in a large one")
    func negativeZero() {
        let state = TestState()
        let client = state.open()
        state.call("zadd few -2 a", client)
        #expect(state.call("zincrby new -0.0 a", client) == "$2 -0")
        #expect(state.call("zscore new a", client) == "$1 0")
        state.call("zunionstore none 1 few weights 0", client)
        #expect(state.call("zscore none a", client) == "$1 0")
        #expect(state.call("zrange none 0 0 withscores", client) == "*2 $1 a $1 0")
        #expect(state.call("zunion 1 few weights 0 withscores", client) == "*2 $1 a $2 -0")
        #expect(state.call("object encoding none", client) == "$8 listpack")
        state.call("config set zset-max-listpack-entries 0", client)
        state.call("zadd large -0 a", client)
        #expect(state.call("zscore large a", client) == "$2 -0")
    }

    @Test("keys of other databases, and those that begin with a zero byte, keep apart")
    func databases() {
        let (first, second) = (TestState(), TestState())
        let client = first.open()
        first.call(["set", ByteString([0, 1, 97]), "zero"], client)
        first.call("select 1", client)
        first.call("set a one", client)
        second.apply(first.mutations())
        #expect(first.digest == second.digest && second.keyCount == 2)
    }
}
