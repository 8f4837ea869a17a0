import Testing

@testable import SidecarProtocol

@Suite("Strings as bits")
struct KeyspaceBitTests {
    private let state = TestState()

    @Test("a bit is set in a string that grows to hold it")
    func bits() {
        let client = state.open()
        #expect(state.call("setbit k 9 1", client) == ":0")
        #expect(state.call("setbit k 9 1", client) == ":1")
        #expect(state.mutations() == [.setString("k", ByteString([0, 0x40]))])
        #expect(state.call("getbit k 9", client) == ":1" && state.call("getbit k 10000", client) == ":0")
        #expect(state.call("object encoding k", client) == "$3 raw")
        #expect(
            state.call("setbit k 4294967296 1", client)
                == "-ERR bit offset is not an integer or out of range")
        #expect(state.call("setbit k 1 2", client) == "-ERR bit is not an integer or out of range")
        state.call("rpush l a", client)
        #expect(state.call("setbit l 1 1", client).hasPrefix("-WRONGTYPE"))
    }

    @Test("bits are counted and found in ranges of bytes and of bits")
    func ranges() {
        let client = state.open()
        state.call("set k foobar", client)
        #expect(state.call("bitcount k", client) == ":26" && state.call("bitcount k 1 1", client) == ":6")
        #expect(state.call("bitcount k 5 30 BIT", client) == ":17")
        #expect(
            state.call("bitpos k 1 -1", client) == ":41" && state.call("bitpos k 0 3 4 bit", client) == ":3")
        state.call(["set", "ones", ByteString([255, 255])], client)
        #expect(
            state.call("bitpos ones 0", client) == ":16" && state.call("bitpos ones 0 0 -1", client) == ":-1")
        #expect(state.call("bitpos none 0", client) == ":0" && state.call("bitpos none 1", client) == ":-1")
    }

    @Test("strings are combined as if the shorter ended with zeros")
    func combinations() {
        let client = state.open()
        state.call(["set", "a", ByteString([0xF0, 0xFF])], client)
        state.call(["set", "b", ByteString([0x3C])], client)
        _ = state.mutations()
        for (name, bytes) in [("and", [0x30, 0]), ("or", [0xFC, 0xFF]), ("xor", [0xCC, 0xFF])]
            as [(String, [UInt8])]
        {
            #expect(state.call("bitop \(name) d a b", client) == ":2")
            #expect(state.mutations() == [.setString("d", ByteString(bytes))])
        }
        #expect(state.call("bitop not d none", client) == ":0")
        #expect(state.mutations() == [.delete("d")])
    }

    @Test("fields of any width wrap, saturate or fail at their ends")
    func fields() {
        let client = state.open()
        #expect(state.call("bitfield k set u8 #1 200 incrby u8 #1 100 get u8 #1", client) == "*3 :0 :44 :44")
        #expect(
            state.call("bitfield k overflow sat incrby i5 3 100 incrby i5 3 -100", client) == "*2 :15 :-16")
        #expect(state.call("bitfield k overflow fail incrby u2 0 9 get u2 0", client) == "*2 $-1 :0")
        #expect(
            state.call("bitfield k set i64 0 -1 incrby i64 0 -9223372036854775808", client)
                .hasSuffix(":9223372036854775807"))
        #expect(state.call("bitfield_ro k set u8 0 1", client).contains("only supports the GET"))
        #expect(state.call("bitfield k get u64 0", client).contains("Invalid bitfield type"))
    }
}
