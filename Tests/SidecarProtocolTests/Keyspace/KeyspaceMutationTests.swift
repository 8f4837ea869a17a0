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
