import Testing

@testable import SidecarProtocol

/// The names and the order of events were compared with redis-server 7.0.15.
@Suite("Keyspace events")
struct KeyspaceEventTests {
    /// A state with one client that writes, and one that hears all events, as `event key` or, of another database,
    /// `event 1:key`.
    private final class Listening {
        let state: TestState
        let writer: ClientID
        private let listener: ClientID

        init(_ classes: String = "EAn", _ configuration: StateConfiguration = StateConfiguration()) {
            state = TestState(configuration)
            (writer, listener) = (state.open(), state.open())
            state.call("config set notify-keyspace-events \(classes)", writer)
            state.call("psubscribe __key*", listener)
        }

        func heard() -> [String] {
            // *4 $8 pmessage $7 __key* $n channel $n message
            var words = state.take(listener).split(separator: " ")[...]
            var events: [String] = []
            while words.count >= 9 {
                let (channel, message) = (words[words.startIndex + 6], words[words.startIndex + 8])
                let parts = channel.split(separator: "@")[1].split(separator: ":", maxSplits: 1)
                let database = parts[0] == "0__" ? "" : "\(parts[0].dropLast(2)):"
                events.append(
                    channel.hasPrefix("__keyevent")
                        ? "\(parts[1]) \(database)\(message)" : "keyspace \(database)\(parts[1]) \(message)")
                words = words.dropFirst(9)
            }
            return events
        }

        func events(of lines: String...) -> [String] {
            for line in lines { state.call(line, writer) }
            return heard()
        }
    }

    @Test(
        "classes are read as Redis reads them, and told in its order",
        arguments: [
            ("", ""), ("gKE", "gKE"), ("EKg", "gKE"), ("$lshzxeKE", "$lshzxeKE"), ("KA", "AK"),
            ("EAm", "AEm"),
            ("An", "A"), ("KEnmdtg", "gtdnKEm"), ("KEg$lshzxetd", "AKE"), ("ggg", "g"),
        ])
    func classes(given: String, told: String) {
        #expect(KeyEventClasses(ByteString(given))?.text == ByteString(told))
    }

    @Test("CONFIG takes and tells them, and refuses another letter")
    func configuration() {
        let state = TestState()
        let client = state.open()
        let get = "config get notify-keyspace-events"
        #expect(state.call(get, client) == "*2 $22 notify-keyspace-events $0 ")
        #expect(state.call("config set notify-keyspace-events AKE", client) == "+OK")
        #expect(state.call("config set notify-keyspace-events KQ", client).contains("Invalid event class"))
        #expect(state.call(get, client) == "*2 $22 notify-keyspace-events $3 AKE")
        // A setting that is refused takes the other ones back.
        state.call("config set notify-keyspace-events K maxclients none", client)
        #expect(state.call(get, client) == "*2 $22 notify-keyspace-events $3 AKE")
    }

    @Test(
        "events are Redis's",
        arguments: [
            ("set a 1|set a 2|incr a|append a 3", "new a|set a|set a|incrby a|append a"),
            (
                "set a 1 ex 9|persist a|getex a px 5|expire a -1",
                "new a|set a|expire a|persist a|expire a|del a"
            ),
            (
                "mset a 1 b 2|rename a b|del b nosuch",
                "new a|set a|new b|set b|new b|rename_from a|rename_to b|del b"
            ),
            ("set a 1|move a 1", "new a|set a|new 1:a|move_from a|move_to 1:a"),
            ("set a 1|copy a b|copy a b replace", "new a|set a|new b|copy_to b|new b|copy_to b"),
            ("setbit a 1 1|setbit a 1 1|setrange a 1 x|getdel a", "new a|setbit a|setrange a|del a"),
            ("bitop not a b|setnx a 1|setnx a 1|bitop not a b", "new a|set a|del a"),
            ("pfadd a 1|pfadd a 1|pfmerge b a", "new a|pfadd a|new b|pfadd b"),
            (
                "lpush a 1 2 3|rpush a 4|lset a 0 x|linsert a after x y",
                "new a|lpush a|rpush a|lset a|linsert a"
            ),
            (
                "rpush a 1 2 3|lrem a 1 9|lrem a 1 1|ltrim a 0 -1|ltrim a 5 6",
                "new a|rpush a|lrem a|ltrim a|ltrim a|del a"
            ),
            (
                "rpush a 1 2|lmove a b left right|lmove a a left right|rpoplpush a b",
                "new a|rpush a|new b|rpush b|lpop a|rpush a|lpop a|lpush b|rpop a|del a"
            ),
            ("rpush a 1 2 3|lpop a 2|lmpop 1 a right|lpop a", "new a|rpush a|lpop a|rpop a|del a"),
            ("sadd a 1 2|sadd a 1|srem a 9|srem a 1|spop a", "new a|sadd a|srem a|spop a|del a"),
            (
                "sadd a 1|smove a b 1|sunionstore c a b|sinterstore c a b",
                "new a|sadd a|srem a|del a|new b|sadd b|new c|sunionstore c|del c"
            ),
            (
                "zadd a 1 x|zadd a 1 x|zincrby a 1 x|zadd a incr 1 x|zrem a x",
                "new a|zadd a|zincr a|zincr a|zrem a|del a"
            ),
            (
                "zadd a 1 x 2 y 3 z|zpopmin a|zremrangebyscore a 2 2|zremrangebylex a - +",
                "new a|zadd a|zpopmin a|zremrangebyscore a|zremrangebylex a|del a"
            ),
            (
                "zadd a 1 x|zrangestore b a 0 -1|zunionstore b 1 a|zdiffstore b 2 a a",
                "new a|zadd a|new b|zrangestore b|zunionstore b|del b"
            ),
            (
                "hset a f 1|hsetnx a f 2|hincrby a f 1|hincrbyfloat a f 1|hdel a f",
                "new a|hset a|hincrby a|hincrbyfloat a|hdel a|del a"
            ),
            (
                "xadd a 1-1 f v|xadd a maxlen 1 2-1 f v|xtrim a maxlen 1|xsetid a 9-9|xdel a 2-1",
                "new a|xadd a|xadd a|xtrim a|xsetid a|xdel a"
            ),
            ("rpush a 1|sort a store b|sort nosuch store b", "new a|rpush a|new b|sortstore b|del b"),
            (
                "geoadd a 1 1 x|geosearchstore b a fromlonlat 1 1 byradius 1 m|georadius a 1 1 1 m store b",
                "new a|zadd a|new b|geosearchstore b|georadiusstore b"
            ),
            ("set a 1|flushall|set a 1|swapdb 0 1", "new a|set a|new a|set a"),
        ])
    func names(commands: String, events: String) {
        let listening = Listening()
        for line in commands.split(separator: "|") { listening.state.call(String(line), listening.writer) }
        #expect(listening.heard().joined(separator: "|") == events)
    }

    @Test("only the classes that are wanted are published, in the forms that are wanted")
    func choice() {
        #expect(Listening("KEl").events(of: "set a 1", "lpush b 1") == ["keyspace b lpush", "lpush b"])
        #expect(Listening("K$").events(of: "set a 1", "lpush b 1") == ["keyspace a set"])
        #expect(Listening("A").events(of: "set a 1").isEmpty)
        #expect(Listening("KE").events(of: "set a 1").isEmpty)
        let silent = Listening("KEA")
        #expect(silent.events(of: "config set notify-keyspace-events |", "set a 1").count == 2)
        #expect(silent.state.call(["config", "set", "notify-keyspace-events", ""], silent.writer) == "+OK")
        #expect(silent.events(of: "set a 1", "del a").isEmpty)
    }

    @Test("misses are told to those who ask for them alone")
    func misses() {
        let reads = ["get a", "exists a", "type a", "ttl a", "hget a f", "object encoding a", "getset a 1"]
        let listening = Listening("Em")
        for line in reads { listening.state.call(line, listening.writer) }
        #expect(listening.heard() == Array(repeating: "keymiss a", count: 6))
        #expect(Listening("EAn").events(of: "get a").isEmpty)
    }

    @Test("a key that ends is told once, be it met or not")
    func expiry() {
        let met = Listening("Ex")
        met.state.call("set a 1 px 10", met.writer)
        met.state.call("debug set-active-expire 0", met.writer)
        met.state.advance(milliseconds: 11)
        #expect(met.events(of: "get a", "get a") == ["expired a"])
        let unmet = Listening("KEA")
        unmet.state.call("select 3", unmet.writer)
        unmet.state.call("set a 1 px 10", unmet.writer)
        _ = unmet.heard()
        unmet.state.advance(milliseconds: 11)
        #expect(unmet.heard() == ["keyspace 3:a expired", "expired 3:a"])
        unmet.state.advance(milliseconds: 11)
        #expect(unmet.heard().isEmpty)
    }

    @Test("who waits takes its element with an event, after the one that brought it")
    func waiting() {
        let listening = Listening("EA")
        let waiting = listening.state.open()
        listening.state.call("blpop a 0", waiting)
        #expect(listening.events(of: "rpush a 1") == ["rpush a", "lpop a", "del a"])
        listening.state.call("blmove a b left right 0", waiting)
        #expect(listening.events(of: "rpush a 1") == ["rpush a", "rpush b", "lpop a", "del a"])
    }

    @Test("a transaction's events follow its reply, also on a connection that hears its own")
    func transaction() {
        let listening = Listening("EA")
        let (state, client) = (listening.state, listening.writer)
        state.call("hello 3", client)
        state.call("subscribe __keyevent@0__:set", client)
        for line in ["multi", "set a 1", "set b 2"] { state.call(line, client) }
        #expect(
            state.call("exec", client)
                == "*2 +OK +OK >3 $7 message $18 __keyevent@0__:set $1 a "
                + ">3 $7 message $18 __keyevent@0__:set $1 b")
        #expect(listening.heard() == ["set a", "set b"])
    }

    @Test("what other replicas change is told as what makes such a change, alike ones once")
    func applied() {
        let listening = Listening("EAn")
        listening.state.apply([
            .setString("a", "1"), .addToString("b", 1), .addMember("c", "x"), .addMember("c", "y"),
            .removeMember("c", "x"), .removeMember("c", "y"), .setField("d", field: "f", "v"),
            .removeField("d", field: "f"), .removeMember("nosuch", "x"), .delete("nosuch"), .delete("a"),
        ])
        #expect(
            listening.heard() == [
                "new a", "set a", "new b", "incrby b", "new c", "sadd c", "srem c", "del c", "new d",
                "hset d",
                "hdel d", "del d", "del a",
            ])
        listening.state.apply([
            .insertElements("l", index: 0, ["1", "2"]), .insertElements("l", index: 0, ["0"]),
            .insertElements("l", index: 1, ["x"]), .removeElements("l", index: 1, count: 1),
            .removeElements("l", index: 2, count: 1), .removeElements("l", index: 0, count: 2),
            .setScore("z", member: "m", 1), .addToScore("z", member: "m", 1), .removeScored("z", member: "m"),
            .setExpiry("b", WallTime(milliseconds: 9)), .setExpiry("b", nil), .expire("b"),
        ])
        #expect(
            listening.heard() == [
                "new l", "rpush l", "lpush l", "linsert l", "lrem l", "rpop l", "lpop l", "del l", "new z",
                "zadd z", "zincr z", "zrem z", "del z", "expire b", "persist b", "expired b",
            ])
    }

    @Test("so many events of one command are published, and no more", arguments: [0, 1])
    func limit(more: Int) {
        var keyspace = Keyspace(seed: 1)
        keyspace.settings.events = [.keyevent, .generic]
        for _ in 0..<Limits.stateEventsMaximum + more { keyspace.notify(.generic, "del", "k") }
        #expect(keyspace.takeEvents().count == Limits.stateEventsMaximum)
        #expect(keyspace.takeEvents().isEmpty)
    }
}
