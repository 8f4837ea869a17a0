import Testing

@testable import SidecarProtocol

@Suite("Streams")
struct StreamTests {
    @Test("entries are added, counted, read and removed as Redis does it")
    func entries() {
        let state = TestState()
        let client = state.open()
        #expect(state.call("xadd s 1-1 a 1", client) == "$3 1-1")
        #expect(state.call("xadd s 1-* b 2 c 3", client) == "$3 1-2")
        #expect(state.call("xadd s 7 d 4", client) == "$3 7-0")
        #expect(state.call("xadd s 7-0 d 4", client).hasPrefix("-ERR The ID specified in XADD is equal"))
        #expect(
            state.call("xadd s 0-0 d 4", client) == "-ERR The ID specified in XADD must be greater than 0-0")
        #expect(state.call("xadd s x d 4", client).hasPrefix("-ERR Invalid stream ID"))
        #expect(state.call("xadd s * d", client).hasPrefix("-ERR wrong number of arguments"))
        #expect(state.call("xadd none nomkstream * d 4", client) == "$-1")
        #expect(state.call("xlen s", client) == ":3" && state.call("type s", client) == "+stream")
        #expect(
            state.call("xrange s 1 1", client) == "*2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 1-2 *4 $1 b $1 2 $1 c $1 3"
        )
        #expect(state.call("xrange s (1-1 + count 1", client) == "*1 *2 $3 1-2 *4 $1 b $1 2 $1 c $1 3")
        #expect(state.call("xrevrange s + - count 1", client) == "*1 *2 $3 7-0 *2 $1 d $1 4")
        #expect(
            state.call("xrange s + -", client) == "*0" && state.call("xrange s - + count 0", client) == "*-1")
        #expect(state.call("xread streams s t 1-2 0", client) == "*1 *2 $1 s *1 *2 $3 7-0 *2 $1 d $1 4")
        #expect(state.call("xread streams s 7", client) == "*-1")
        #expect(state.call("xdel s 1-1 1-1 5-5", client) == ":1" && state.call("xlen s", client) == ":2")
        #expect(state.call("set k v", client) == "+OK")
        #expect(state.call("xadd k * a 1", client).hasPrefix("-WRONGTYPE"))
        #expect(state.call("get s", client).hasPrefix("-WRONGTYPE"))
    }

    @Test("a stream without entries is there, and gives no id twice")
    func last() {
        let state = TestState()
        let client = state.open()
        state.call("xadd s 5-5 a 1", client)
        #expect(state.call("xdel s 5-5", client) == ":1")
        #expect(state.call("exists s", client) == ":1" && state.call("xlen s", client) == ":0")
        #expect(state.call("xadd s 5-5 a 1", client).hasPrefix("-ERR The ID specified in XADD is equal"))
        #expect(state.call("xadd s 5-* a 1", client) == "$3 5-6")
        let other = TestState()
        other.apply(state.mutations())
        #expect(other.digest == state.digest)
        state.call("xtrim s maxlen 0", client)
        other.apply(state.mutations())
        #expect(other.digest == state.digest)
        #expect(
            other.call("xadd s 5-6 a 1", other.open()).hasPrefix("-ERR The ID specified in XADD is equal"))
    }

    @Test("trimming keeps the latest, and an approximate bound as many as lie together")
    func trimming() {
        let state = TestState()
        let client = state.open()
        for number in 1...350 { state.call("xadd s \(number) n \(number)", client) }
        #expect(state.call("xtrim s maxlen ~ 10", client) == ":300")
        #expect(state.call("xtrim s minid 340", client) == ":39" && state.call("xlen s", client) == ":11")
        #expect(state.call("xadd s maxlen = 3 * n last", client).hasPrefix("$"))
        #expect(state.call("xlen s", client) == ":3")
        #expect(state.call("xrange s - + count 1", client) == "*1 *2 $5 349-0 *2 $1 n $3 349")
        #expect(state.call("xtrim s maxlen 5 limit 2", client).hasPrefix("-ERR syntax error, LIMIT"))
        #expect(state.call("xtrim s maxlen -1", client) == "-ERR The MAXLEN argument must be >= 0.")
        #expect(
            state.call("xtrim s maxlen 1 minid 1", client).hasPrefix("-ERR syntax error, MAXLEN and MINID"))
    }

    @Test("who waits for entries gets those that come after what was asked for")
    func waiting() {
        let state = TestState()
        let (first, second, writer) = (state.open(), state.open(), state.open())
        state.call("xadd s 1 a 1", writer)
        #expect(state.call("xread block 0 streams t s 0 $", first) == "")
        #expect(state.call("xread block 100 count 1 streams s 9", second) == "")
        state.call("xadd s 2 b 2", writer)
        #expect(state.take(first) == "*1 *2 $1 s *1 *2 $3 2-0 *2 $1 b $1 2")
        #expect(state.take(second) == "")
        state.advance(milliseconds: 100)
        #expect(state.take(second) == "*-1")
        state.call("hello 3", first)
        #expect(state.call("xread block 0 streams s $", first) == "")
        state.apply([
            .setEntry("s", id: EntryID(milliseconds: 3, sequence: 0).bytes, StreamWords.packed(["c", "3"]))
        ])
        #expect(state.take(first) == "%1 $1 s *1 *2 $3 3-0 *2 $1 c $1 3")
    }

    @Test(
        "ids of the time follow each other, also where the clock is behind, and no two replicas make the same"
    )
    func ids() {
        var configuration = StateConfiguration()
        var all = Set<String>()
        for own in [UInt64(7), 65_535] {
            configuration.keyspace.streamSequence = own
            let state = TestState(configuration)
            let client = state.open()
            var last = EntryID.least
            for step in 0..<200 {
                if step % 50 == 49 { state.advance(milliseconds: 1) }
                if step == 149 { state.call("xsetid s 1700000009000-3", client) }
                let text = state.call("xadd s * a 1", client).split(separator: " ")[1]
                let parts = text.split(separator: "-").compactMap { UInt64($0) }
                let id = EntryID(milliseconds: parts[0], sequence: parts[1])
                #expect(id > last && id.sequence % KeyspaceSettings.streamSequenceStep == own)
                #expect(all.insert(String(text)).inserted, "\(text) twice")
                last = id
            }
        }
        #expect(
            EntryID(EntryID(milliseconds: 1, sequence: .max).bytes)
                == EntryID(milliseconds: 1, sequence: .max))
    }

    @Test("what replicas say of a stream can be nonsense, and harms nothing")
    func nonsense() {
        let state = TestState()
        let client = state.open()
        state.apply([
            .setEntry("s", id: "short", "x"),
            .setEntry("s", id: EntryID(milliseconds: 1, sequence: 1).bytes, "\u{FF}"),
            .setEntry("s", id: EntryID.least.bytes, "x"), .removeEntry("s", id: "x"),
            .removeEntry("t", id: "y"),
        ])
        #expect(state.call("xlen s", client) == ":0")
        #expect(StreamWords.unpacked(StreamWords.packed(["a", ""])) == ["a", ""])
        #expect(StreamWords.unpacked(StreamWords.packed(["a"])) == nil && StreamWords.unpacked("") == nil)
    }
}
