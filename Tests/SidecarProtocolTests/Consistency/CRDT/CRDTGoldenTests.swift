import Testing

@testable import SidecarProtocol

// The time tables of Redis's Active-Active documentation (data types, one page each), and what they leave out.

@Suite("Concurrent changes end as Active-Active says")
struct CRDTGoldenTests {
    var group = ModelGroup(2)

    private func expectBoth<Value: Equatable>(
        _ value: Value, _ read: (ModelKeyspace) -> Value, _ location: SourceLocation = #_sourceLocation
    ) {
        for replica in group.replicas {
            #expect(read(replica.keyspace) == value, sourceLocation: location)
            #expect(replica.keyspace.mistakes == [], sourceLocation: location)
        }
        #expect(
            group.replicas[0].store.stateHash() == group.replicas[1].store.stateHash(),
            sourceLocation: location)
    }

    @Test("the later SET wins")
    mutating func strings() throws {
        group.run(0, .setString("text", "a"))
        group.advance()
        group.run(1, .setString("text", "b"))
        try group.sync()
        expectBoth("b") { $0.string("text") }
        group.run(0, .setString("text", "c"))
        try group.sync()
        group.run(1, .setString("text", "d"))
        try group.sync()
        expectBoth("d") { $0.string("text") }
    }

    @Test("a counter's increments add up")
    mutating func counters() throws {
        group.run(0, .addToString("counter", 7))
        group.run(1, .addToString("counter", 3))
        try group.sync()
        expectBoth("10") { $0.string("counter") }
        group.run(0, .addToString("counter", -3))
        group.run(1, .addToString("counter", 6))
        try group.sync()
        expectBoth("13") { $0.string("counter") }
    }

    @Test("DEL takes from a counter what it has seen, and no more")
    mutating func counterDelete() throws {
        group.run(1, .addToString("counter", 10))
        try group.sync()
        group.run(0, .delete("counter"))
        group.run(1, .addToString("counter", 5))
        try group.sync()
        expectBoth("5") { $0.string("counter") }
        group.run(0, .addToString("counter", 1))
        group.run(1, .addToString("counter", 2))
        try group.sync()
        expectBoth("8") { $0.string("counter") }
    }

    @Test("SET beside INCR keeps the increment")
    mutating func setBesideIncrement() throws {
        group.run(0, .setString("counter", "5"))
        try group.sync()
        group.run(0, .setString("counter", "100"))
        group.run(1, .addToString("counter", 3))
        try group.sync()
        expectBoth("103") { $0.string("counter") }
    }

    @Test("an increment of a value that lost goes with it")
    mutating func incrementOfLoser() throws {
        group.run(0, .setString("counter", "10"))
        group.run(0, .addToString("counter", 1))
        group.advance()
        group.run(1, .setString("counter", "20"))
        try group.sync()
        expectBoth("20") { $0.string("counter") }
    }

    @Test("a sum beyond 64 bits stops at the end of them")
    mutating func overflow() throws {
        group.run(0, .addToString("counter", .max))
        group.run(1, .addToString("counter", 5))
        try group.sync()
        expectBoth(String(Int64.max)) { $0.string("counter") }
        group.run(1, .addToString("counter", -5))
        try group.sync()
        expectBoth(String(Int64.max)) { $0.string("counter") }
    }

    @Test("a set's concurrent adds are united, and a removal takes what it has seen")
    mutating func sets() throws {
        group.run(0, .addMember("key", "a"))
        group.run(1, .addMember("key", "b"))
        try group.sync()
        expectBoth(["a", "b"]) { $0.set("key") }
        group.run(0, .removeMember("key", "a"))
        group.run(1, .addMember("key", "c"))
        group.run(0, .removeMember("key", "c"))
        try group.sync()
        expectBoth(["b", "c"]) { $0.set("key") }
    }

    @Test("an add beside a removal wins")
    mutating func addWins() throws {
        group.run(0, .addMember("key", "a"))
        try group.sync()
        group.run(0, .removeMember("key", "a"))
        group.run(1, .removeMember("key", "a"))
        group.run(1, .addMember("key", "a"))
        try group.sync()
        expectBoth(["a"]) { $0.set("key") }
    }

    @Test("a hash's concurrent fields are united, and fields are strings or counters")
    mutating func hashes() throws {
        group.run(0, .setField("key1", field: "field1", "a"))
        group.run(1, .setField("key1", field: "field2", "b"))
        group.run(0, .addToField("key1", field: "n", 2))
        group.run(1, .addToField("key1", field: "n", 5))
        try group.sync()
        expectBoth(["field1": "a", "field2": "b", "n": "7"]) { $0.hash("key1") }
        group.run(0, .removeField("key1", field: "field1"))
        group.run(1, .setField("key1", field: "field1", "c"))
        try group.sync()
        expectBoth(["field1": "c", "field2": "b", "n": "7"]) { $0.hash("key1") }
    }

    @Test("a sorted set without a conflict")
    mutating func sortedPlain() throws {
        group.run(0, .setScore("Z", member: "x", 1.1))
        try group.sync()
        group.run(1, .setScore("Z", member: "y", 1.2))
        try group.sync()
        expectBoth(1.1) { $0.score("Z", "x") }
        expectBoth(1.2) { $0.score("Z", "y") }
    }

    @Test("of two ZADD the later wins, and of two at one time the first replica's")
    mutating func sortedAdds() throws {
        group.run(0, .setScore("Z", member: "x", 1.1))
        group.advance()
        group.run(1, .setScore("Z", member: "x", 2.1))
        try group.sync()
        expectBoth(2.1) { $0.score("Z", "x") }
        group.run(0, .setScore("same", member: "x", 1.1))
        group.run(1, .setScore("same", member: "x", 2.1))
        try group.sync()
        expectBoth(1.1) { $0.score("same", "x") }
    }

    @Test("ZINCRBY adds up")
    mutating func sortedIncrements() throws {
        group.run(0, .setScore("Z", member: "x", 1.1))
        try group.sync()
        group.run(0, .addToScore("Z", member: "x", 1.0))
        group.run(1, .addToScore("Z", member: "x", 1.0))
        try group.sync()
        expectBoth(3.1) { $0.score("Z", "x") }
    }

    @Test("ZREM beside ZINCRBY leaves the increment")
    mutating func sortedRemoval() throws {
        group.run(0, .setScore("Z", member: "x", 4.1))
        try group.sync()
        group.run(0, .removeScored("Z", member: "x"))
        group.run(1, .addToScore("Z", member: "x", 2.0))
        #expect(group.replicas[0].keyspace.score("Z", "x") == nil)
        #expect(group.replicas[1].keyspace.score("Z", "x") == 6.1)
        try group.sync()
        expectBoth(2.0) { $0.score("Z", "x") }
    }

    @Test("pushes that have seen each other stand in their order")
    mutating func lists() throws {
        group.run(0, .insertElements("mylist", index: 0, ["hello"]))
        try group.sync()
        group.run(1, .insertElements("mylist", index: 0, ["world"]))
        try group.sync()
        expectBoth(["world", "hello"]) { $0.list("mylist") }
    }

    @Test("concurrent insertions stand in the order of their times")
    mutating func listInsertions() throws {
        group.run(0, .insertElements("L", index: 0, ["x"]))
        try group.sync()
        group.run(0, .insertElements("L", index: 1, ["y1"]))
        group.advance()
        group.run(1, .insertElements("L", index: 1, ["y2"]))
        try group.sync()
        expectBoth(["x", "y1", "y2"]) { $0.list("L") }
    }

    @Test("DEL leaves a list what was pushed beside it")
    mutating func listDelete() throws {
        group.run(0, .insertElements("L", index: 0, ["x"]))
        try group.sync()
        group.run(0, .insertElements("L", index: 0, ["y"]))
        group.run(1, .delete("L"))
        try group.sync()
        expectBoth(["y"]) { $0.list("L") }
    }

    @Test("what two replicas pop at once is gone once")
    mutating func listPops() throws {
        group.run(0, .insertElements("L", index: 0, ["z", "y", "x"]))
        try group.sync()
        group.run(1, .removeElements("L", index: 2, count: 1))
        try group.sync()
        group.run(0, .removeElements("L", index: 1, count: 1))
        try group.sync()
        expectBoth(["z"]) { $0.list("L") }
        group.run(0, .removeElements("L", index: 0, count: 1))
        group.run(1, .removeElements("L", index: 0, count: 1))
        try group.sync()
        expectBoth([]) { $0.list("L") }
    }

    @Test("two runs that are inserted at one place don't mix")
    mutating func listRuns() throws {
        group.run(0, .insertElements("L", index: 0, ["a", "d"]))
        try group.sync()
        group.run(0, .insertElements("L", index: 1, ["b1", "b2", "b3"]))
        group.run(1, .insertElements("L", index: 1, ["c1", "c2", "c3"]))
        try group.sync()
        let list = group.replicas[0].keyspace.list("L")
        #expect(list == ["a", "b1", "b2", "b3", "c1", "c2", "c3", "d"])
        expectBoth(list) { $0.list("L") }
    }

    @Test("an update beside DEL survives")
    mutating func deleteBesideUpdate() throws {
        group.run(0, .setString("s", "old"), .setField("h", field: "a", "1"))
        try group.sync()
        group.run(0, .delete("s"), .delete("h"))
        group.run(1, .setString("s", "new"), .setField("h", field: "b", "2"))
        try group.sync()
        expectBoth("new") { $0.string("s") }
        expectBoth(["b": "2"]) { $0.hash("h") }
    }

    @Test("FLUSHALL takes what it has seen")
    mutating func deleteAll() throws {
        group.run(0, .setString("a", "1"), .addToString("n", 4))
        try group.sync()
        group.run(0, .deleteAll)
        group.run(1, .setString("b", "2"), .addToString("n", 3))
        try group.sync()
        expectBoth(nil) { $0.string("a") }
        expectBoth("2") { $0.string("b") }
        expectBoth("3") { $0.string("n") }
    }

    @Test("the longest expiry wins, and PERSIST is longer than any")
    mutating func expiries() throws {
        let (soon, late) = (WallTime(milliseconds: 2_000_000), WallTime(milliseconds: 3_000_000))
        group.run(0, .setString("k", "v"))
        try group.sync()
        group.run(0, .setExpiry("k", late))
        group.advance()
        group.run(1, .setExpiry("k", soon))
        try group.sync()
        expectBoth(late) { $0.expiries["k"] }
        group.run(1, .setExpiry("k", soon))
        try group.sync()
        expectBoth(soon) { $0.expiries["k"] }
        group.run(0, .setExpiry("k", nil))
        group.run(1, .setExpiry("k", late))
        try group.sync()
        expectBoth(nil) { $0.expiries["k"] }
        expectBoth("v") { $0.string("k") }
    }

    @Test("only the replica that set the winning expiry sends the deletion")
    mutating func expiryOwner() throws {
        group.run(0, .setString("k", "v"), .setExpiry("k", WallTime(milliseconds: 1_000_100)))
        try group.sync()
        group.advance(200)
        let before = group.deltas[1].count
        group.run(1, .expire("k"))
        #expect(group.deltas[1].count == before)
        #expect(group.replicas[1].keyspace.string("k") == nil)
        group.run(0, .expire("k"))
        try group.sync()
        expectBoth(nil) { $0.string("k") }
        #expect(group.replicas.allSatisfy { $0.store.keyCount == 0 })
    }

    @Test("a key that is set again after its time begins anew, on a replica that only hides it")
    mutating func expiryThenSet() throws {
        group.run(0, .setString("k", "v"), .setExpiry("k", WallTime(milliseconds: 1_000_100)))
        try group.sync()
        group.advance(200)
        group.run(1, .expire("k"))
        group.run(1, .setString("k", "new"))
        try group.sync()
        expectBoth("new") { $0.string("k") }
        expectBoth(nil) { $0.expiries["k"] }
    }

    @Test("a key whose expiry was prolonged elsewhere comes back")
    mutating func expiryProlonged() throws {
        group.run(0, .setString("k", "v"), .setExpiry("k", WallTime(milliseconds: 1_000_100)))
        try group.sync()
        group.run(0, .setExpiry("k", WallTime(milliseconds: 2_000_000)))
        group.advance(200)
        group.run(1, .expire("k"))
        try group.sync()
        expectBoth("v") { $0.string("k") }
        expectBoth(WallTime(milliseconds: 2_000_000)) { $0.expiries["k"] }
    }

    @Test("whoever hides an expired key deletes it when its owner doesn't")
    mutating func expiryGrace() throws {
        group.run(0, .setString("k", "v"), .setExpiry("k", WallTime(milliseconds: 1_000_100)))
        try group.sync()
        group.advance(200)
        group.run(1, .expire("k"))
        group.advance(59_999)
        #expect(group.replicas[1].store.deleteExpired(at: ModelReplica.time(group.replicas[1].now)) == nil)
        group.advance(1)
        let delta = group.replicas[1].store.deleteExpired(at: ModelReplica.time(group.replicas[1].now))
        group.deltas[1].append(try #require(delta))
        try group.sync()
        expectBoth(nil) { $0.string("k") }
    }

    @Test("an expiry doesn't outlive its key's incarnation")
    mutating func expiryIncarnation() throws {
        group.run(0, .setString("k", "v"))
        try group.sync()
        group.run(0, .delete("k"))
        group.run(1, .setExpiry("k", WallTime(milliseconds: 2_000_000)))
        try group.sync()
        expectBoth(nil) { $0.string("k") }
        try group.sync()
        group.run(0, .setString("k", "again"))
        try group.sync()
        expectBoth("again") { $0.string("k") }
        expectBoth(nil) { $0.expiries["k"] }
    }

    @Test("of two types of one key the first in order shows, until it is deleted")
    mutating func types() throws {
        group.run(0, .addMember("k", "m"))
        group.run(1, .setField("k", field: "f", "v"))
        try group.sync()
        expectBoth("hash") { $0.type("k") }
        group.run(0, .delete("k"))
        try group.sync()
        expectBoth("none") { $0.type("k") }
        #expect(group.replicas.allSatisfy { $0.store.keyCount == 0 })
    }

    @Test("removing the last element of the type that shows removes the key")
    mutating func typesLast() throws {
        group.run(0, .addMember("k", "m"))
        group.run(1, .setField("k", field: "f", "v"))
        try group.sync()
        group.run(0, .removeField("k", field: "f"))
        try group.sync()
        expectBoth("none") { $0.type("k") }
    }
}
