import Testing

@testable import SidecarProtocol

@Suite("HyperLogLog")
struct HyperLogLogTests {
    private let state = TestState()

    @Test("the hash is MurmurHash64A, with the seed of Redis")
    func hash() {
        // Of a redis-server 7.0.15, by the register that each raises.
        for (text, register, rank) in [
            ("a", 12_711, 2), ("12345678", 10_579, 3), ("0123456789abcdef!", 13_940, 1),
        ] {
            let hash = HyperLogLog.hash(Array(text.utf8))
            #expect(Int(hash & 0x3FFF) == register && (hash >> 14).trailingZeroBitCount + 1 == rank)
        }
    }

    @Test("the string is that of Redis, byte for byte, sparse and dense")
    func bytes() {
        let client = state.open()
        #expect(state.call("pfadd k", client) == ":1" && state.call("pfadd k", client) == ":0")
        #expect(state.mutations() == [.setString("k", ByteString(Self.header(1) + [0x7F, 0xFF]))])
        state.call("pfadd k a b c", client)
        #expect(state.call("pfdebug decode k", client) == Self.ofABC)
        #expect(state.call("pfcount k", client) == ":3")
        #expect(state.call("pfdebug todense k", client) == ":1" && state.call("strlen k", client) == ":12304")
        #expect(state.call("pfcount k", client) == ":3" && state.call("pfadd k a b c", client) == ":0")
    }

    private static func header(_ encoding: UInt8) -> [UInt8] {
        Array("HYLL".utf8) + [encoding] + [UInt8](repeating: 0, count: 10) + [0x80]
    }

    @Test("counts of thousands are right within a few hundredths, and so are those of unions")
    func counts() {
        let client = state.open()
        for round in 0..<50 {
            let words = (0..<100).map { "e\(round * 100 + $0)" }.joined(separator: " ")
            state.call("pfadd a \(words)", client)
            if round >= 25 { state.call("pfadd b \(words) \(words.replacing("e", with: "f"))", client) }
        }
        let (one, union) = (count("pfcount a", client), count("pfcount a b", client))
        #expect(abs(one - 5000) < 150 && abs(union - 7500) < 225)
        #expect(state.call("pfmerge c a b", client) == "+OK" && count("pfcount c", client) == union)
    }

    private func count(_ call: String, _ client: ClientID) -> Int {
        Int(state.call(call, client).dropFirst()) ?? -1
    }

    @Test("a string that is none is refused, and so is one whose registers can't be")
    func corrupted() {
        let client = state.open()
        state.call("set k text", client)
        #expect(state.call("pfadd k a", client) == "-WRONGTYPE Key is not a valid HyperLogLog string value.")
        for tail in [[], [0x7F], [0x7F, 0xFE], [0x7F, 0xFF, 0x00], [0x40]] as [[UInt8]] {
            state.call(["set", "k", ByteString(Self.header(1) + tail)], client)
            #expect(state.call("pfcount k", client) == "-INVALIDOBJ Corrupted HLL object detected")
            #expect(state.call("pfmerge m k", client) == "-INVALIDOBJ Corrupted HLL object detected")
        }
        state.call(["set", "k", ByteString(Self.header(0) + [0])], client)
        #expect(state.call("pfcount k", client).hasPrefix("-WRONGTYPE"))
    }

    /// As a redis-server 7.0.15 answers: of a long run that is cut off the missing byte is 0.
    @Test("a run that is cut off is read as if a zero followed, and what replaces it is cut, too")
    func cutOff() {
        let client = state.open()
        state.call(["set", "k", ByteString(Self.header(1) + [0x7C])], client)
        #expect(state.call("pfdebug decode k", client) == "$7 Z:15361")
        #expect(state.call("object encoding k", client) == "$3 raw")
        #expect(state.call("pfadd k 0123456789abcdef!", client) == ":1")
        // 13,940 zeros, a one, and 1,420 zeros without their second byte.
        #expect(state.value("k")?.string == ByteString(Self.header(1) + [0x76, 0x73, 0x80, 0x45]))
    }

    @Test("what was added before a fault was met stays")
    func partlyAdded() {
        let client = state.open()
        // Registers up to 12,799 only: "a" has its own among them, "0123456789abcdef!" has not.
        state.call(["set", "k", ByteString(Self.header(1) + [0x71, 0xFF])], client)
        let before = state.call("get k", client)
        #expect(state.call("pfadd k a 0123456789abcdef! b", client).hasPrefix("-INVALIDOBJ"))
        #expect(state.call("get k", client) != before)
        #expect(state.mutations().count == 2)
    }

    /// Whatever bytes stand there: an answer, or an error.
    @Test("any bytes behind a header are read without harm", arguments: 0..<UInt64(8))
    func fuzz(seed: UInt64) {
        let client = state.open()
        var numbers = SeededNumbers(state: seed)
        for _ in 0..<300 {
            let tail = (0..<numbers.below(40)).map { _ in UInt8(numbers.below(256)) }
            state.call(["set", "k", ByteString(Self.header(1) + tail)], client)
            for call in [
                "pfcount k", "pfadd k a b c d e f", "pfdebug decode k", "pfmerge k k", "pfcount k k",
            ] {
                #expect(!state.call(call, client).isEmpty)
            }
        }
    }

    private static let ofABC = "$44 Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603"
}
