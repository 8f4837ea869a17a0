import Testing

@testable import SidecarProtocol

@Suite("SORT")
struct KeyspaceSortTests {
    private let state = TestState()

    private func words(_ call: String, _ client: ClientID) -> [String] {
        state.call(call, client).split(separator: " ").map(String.init).filter {
            $0.first != "$" && $0.first != "*"
        }
    }

    @Test("numbers and words are put in order, and a part of them is taken")
    func order() {
        let client = state.open()
        state.call("rpush l 10 9 2 1.5 -3", client)
        #expect(words("sort l", client) == ["-3", "1.5", "2", "9", "10"])
        #expect(words("sort l desc limit 1 2", client) == ["9", "2"])
        #expect(words("sort l alpha", client) == ["-3", "1.5", "10", "2", "9"])
        #expect(words("sort l by nosort limit 1 2", client) == ["9", "2"])
        #expect(words("sort l limit 7 1", client) == [] && state.call("sort none", client) == "*0")
        state.call("rpush l x", client)
        #expect(state.call("sort l", client) == "-ERR One or more scores can't be converted into double")
        #expect(
            state.call("set s 1", client) == "+OK" && state.call("sort s", client).hasPrefix("-WRONGTYPE"))
        #expect(state.call("sort_ro l store d", client) == "-ERR syntax error")
    }

    @Test("weights and what is answered stand in other keys, and in fields of hashes")
    func patterns() {
        let client = state.open()
        state.call("sadd s 1 2 3", client)
        state.call("mset w_1 30 w_2 10 w_3 20 n_2 two", client)
        state.call("hset h_1 w 2", client)
        state.call("hset h_2 w 1", client)
        #expect(words("sort s by w_*", client) == ["2", "3", "1"])
        #expect(words("sort s by h_*->w", client) == ["3", "2", "1"])
        #expect(state.call("sort s get # get n_*", client) == "*6 $1 1 $-1 $1 2 $3 two $1 3 $-1")
        _ = state.mutations()
        #expect(state.call("sort s by w_* get n_* store d", client) == ":3")
        #expect(state.mutations() == [.insertElements("d", index: 0, ["two", "", ""])])
        #expect(state.call("sort none store d", client) == ":0" && state.mutations() == [.delete("d")])
        #expect(state.call("command getkeys sort s store x store d", client) == "*2 $1 s $1 d")
    }
}
