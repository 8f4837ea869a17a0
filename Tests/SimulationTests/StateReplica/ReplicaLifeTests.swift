import SidecarProtocol
import Simulator
import Testing

@Suite("A replica of a state, with its log")
struct ReplicaLifeTests {
    static let group = StateGroup([UInt8](repeating: 7, count: 16))!

    private func replica(
        _ number: UInt8 = 1, _ fsync: StateLogConfiguration.FsyncPolicy = .always
    ) -> SimulatedReplica {
        let replica = SimulatedReplica(number, group: ReplicaLifeTests.group, fsync: fsync)
        replica.settle()
        return replica
    }

    /// A second more than asked for, so that messages are carried at least once.
    private func carry(_ replicas: [SimulatedReplica], seconds: Int = 0) {
        replicas.carryMessages(seconds: seconds + 1)
    }

    private func meet(_ one: SimulatedReplica, _ other: SimulatedReplica) {
        one.meet(other.id)
        other.meet(one.id)
    }

    @Test("a restart finds every type of key, and begins a new epoch")
    func restart() {
        let replica = replica()
        #expect(replica.isReady)
        #expect(replica.ask("SET", "s", "text") == "+OK\r\n")
        #expect(replica.ask("INCRBY", "n", "5") == ":5\r\n")
        #expect(replica.ask("HSET", "h", "f", "v") == ":1\r\n")
        #expect(replica.ask("RPUSH", "l", "a", "b", "c") == ":3\r\n")
        #expect(replica.ask("SADD", "m", "x") == ":1\r\n")
        #expect(replica.ask("ZADD", "z", "1.5", "y") == ":1\r\n")
        #expect(replica.ask("SET", "e", "1", "EX", "100") == "+OK\r\n")
        let first = replica.ask("INFO", "crdt")
        replica.restart()
        replica.settle()
        #expect(replica.isReady && replica.failure == nil)
        #expect(replica.ask("GET", "s") == "$4\r\ntext\r\n")
        #expect(replica.ask("INCRBY", "n", "1") == ":6\r\n")
        #expect(replica.ask("HGET", "h", "f") == "$1\r\nv\r\n")
        #expect(replica.ask("LRANGE", "l", "0", "-1") == "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n")
        #expect(replica.ask("SMEMBERS", "m") == "*1\r\n$1\r\nx\r\n")
        #expect(replica.ask("ZSCORE", "z", "y") == "$3\r\n1.5\r\n")
        #expect(replica.ask("TTL", "e") == ":100\r\n")
        #expect(first.contains(".1\r\n") && replica.ask("INFO", "crdt").contains(".2\r\n"))
    }

    @Test("killed at any operation of the disk, a replica has what it answered", arguments: [false, true])
    func kill(powerFails: Bool) {
        var random = SeededRandom(seed: powerFails ? 11 : 12)
        for limit in stride(from: 0, to: 160, by: 3) {
            let replica = replica()
            let begun = replica.operations
            var answered = 0
            let client = replica.connect()
            for number in 1...40 {
                replica.send("SET", "k\(number)", String(number), from: client)
                while replica.operations - begun < limit, replica.step() {}
                answered += replica.takeReplies(client).components(of: "+OK\r\n")
                if replica.operations - begun >= limit { break }
            }
            if powerFails { replica.losePower(random: &random) } else { replica.restart() }
            replica.settle()
            #expect(replica.isReady, "after \(limit) operations: \(replica.failure ?? "")")
            for number in 0..<answered {
                let text = String(number + 1)
                #expect(replica.ask("GET", "k\(text)") == "$\(text.utf8.count)\r\n\(text)\r\n")
            }
        }
    }

    @Test("what outgrows the log goes into a snapshot, and the next start reads that")
    func snapshot() {
        let replica = replica()
        let text = String(repeating: "x", count: 30_000)
        for round in 0..<60 {
            #expect(replica.ask("SET", "k\(round % 3)", text + String(round)) == "+OK\r\n")
        }
        replica.settle()
        let storage = replica.ask("INFO", "storage")
        #expect(
            !storage.contains("storage_snapshot_records:0\r\n"),
            "\(storage) \(replica.logged) \(replica.disk.files)")
        #expect(replica.disk.files.contains { $0.name.hasPrefix("snapshot-") })
        for _ in 0..<3 {
            replica.restart()
            replica.settle()
            #expect(replica.isReady && replica.failure == nil)
        }
        for key in 0..<3 {
            #expect(replica.ask("GET", "k\(key)").hasSuffix(text + "\(57 + key)\r\n"))
        }
        // The epoch is known though its first record went with the segments before the snapshot.
        #expect(replica.ask("INFO", "crdt").contains(".4\r\n"))
    }

    @Test("BGSAVE makes a snapshot, and LASTSAVE says when")
    func save() {
        let replica = replica()
        let begun = replica.ask("LASTSAVE")
        _ = replica.ask("SET", "a", "1")
        replica.pass(.seconds(5))
        #expect(replica.ask("LASTSAVE") == begun)
        #expect(replica.ask("BGSAVE") == "+Background saving started\r\n")
        replica.settle()
        #expect(replica.disk.files.contains { $0.name.hasPrefix("snapshot-") })
        #expect(replica.ask("LASTSAVE") != begun)
        #expect(replica.ask("SAVE").hasPrefix("-ERR SAVE would stop every client"))
        replica.restart()
        replica.settle()
        #expect(replica.ask("GET", "a") == "$1\r\n1\r\n")
    }

    @Test("a disk that is behind makes clients wait, and nothing is refused or lost", arguments: [1, 2])
    func slowDisk(clients: Int) {
        let replica = replica()
        let text = String(repeating: "x", count: 1 << 20)
        let connections = (0..<clients).map { _ in replica.connect() }
        let count = 2 * Limits.replicatedBacklogBytesMaximum >> 20
        for number in 0..<count {
            replica.send("SET", "k\(number % 7)", text + String(number), from: connections[number % clients])
        }
        #expect(replica.failure == nil)
        #expect(connections.contains { !replica.wantsInput($0) }, "nobody waits")
        for _ in 0..<count {
            replica.settle()
            replica.pass(.milliseconds(1))
        }
        let answered = connections.map { replica.takeReplies($0).components(of: "+OK\r\n") }
        #expect(answered.reduce(0, +) == count)
        replica.restart()
        replica.settle()
        #expect(replica.ask("STRLEN", "k0") == ":\(text.utf8.count + 2)\r\n")
    }

    @Test("a long string that grows a little, often, takes no more memory than its last value")
    func growth() {
        let replica = replica()
        let client = replica.connect()
        replica.send("SETRANGE", "k", String((4 << 20) - 1), "x", from: client)
        replica.settle()
        replica.send(
            (0..<500).flatMap { SimulatedReplica.request(["APPEND", "k", String($0 % 10)]) }, from: client)
        for _ in 0..<100 {
            replica.settle()
            replica.pass(.milliseconds(1))
        }
        #expect(replica.failure == nil)
        #expect(replica.takeReplies(client).hasSuffix(":\((4 << 20) + 500)\r\n"))
        #expect(replica.disk.usedBytes < 64 << 20, "\(replica.disk.usedBytes) bytes")
        replica.restart()
        replica.settle()
        #expect(replica.ask("GETRANGE", "k", "-3", "-1") == "$3\r\n789\r\n")
    }

    @Test("a replica that is met while it reads its log says nothing before, and then all it has")
    func early() {
        let (one, two) = (replica(1), replica(2))
        #expect(one.ask("SET", "k", "v") == "+OK\r\n")
        one.restart()
        meet(one, two)
        one.receive([1], from: two.id)
        #expect(!one.isReady && one.outbox.isEmpty)
        one.settle()
        #expect(one.isReady && !one.outbox.isEmpty)
        carry([one, two], seconds: 3)
        #expect(two.ask("GET", "k") == "$1\r\nv\r\n")
    }

    @Test("writes of two replicas meet, and so does what was published")
    func two() {
        let (one, two) = (replica(1), replica(2))
        let subscriber = two.connect()
        two.send("SUBSCRIBE", "news", from: subscriber)
        _ = two.takeReplies(subscriber)
        meet(one, two)
        #expect(one.ask("INCRBY", "n", "3") == ":3\r\n")
        #expect(two.ask("INCRBY", "n", "4") == ":4\r\n")
        _ = one.ask("PUBLISH", "news", "hello")
        carry([one, two])
        #expect(one.ask("GET", "n") == "$1\r\n7\r\n" && two.ask("GET", "n") == "$1\r\n7\r\n")
        #expect(two.takeReplies(subscriber).contains("hello"))
        #expect(one.ask("WAIT", "1", "100") == ":1\r\n")
        two.restart()
        two.settle()
        #expect(two.ask("GET", "n") == "$1\r\n7\r\n")
    }

    @Test("what one replica changes is told to those who listen at the other, once, and to nobody else")
    func events() {
        let (one, two) = (replica(1), replica(2))
        meet(one, two)
        let subscribers = [one.connect(), two.connect()]
        for (replica, subscriber) in zip([one, two], subscribers) {
            #expect(replica.ask("CONFIG", "SET", "notify-keyspace-events", "EA") == "+OK\r\n")
            replica.send("PSUBSCRIBE", "__key*", from: subscriber)
            _ = replica.takeReplies(subscriber)
        }
        _ = one.ask("SET", "k", "v", "PX", "900000")
        _ = one.ask("APPEND", "k", "w")
        _ = one.ask("SADD", "s", "a", "b", "c")
        _ = one.ask("DEL", "s")
        carry([one, two])
        let told = zip([one, two], subscribers).map { replica, subscriber in
            replica.takeReplies(subscriber).split(separator: "\r\n").compactMap { line -> Substring? in
                line.hasPrefix("__keyevent@0__:") ? line.dropFirst(15) : nil
            }
        }
        #expect(told[0] == ["set", "expire", "append", "sadd", "del"])
        #expect(told[1] == ["set", "expire", "set", "sadd", "del"])
    }

    @Test("a list of many thousands is pushed to and taken from at both ends, on both replicas")
    func longList() {
        let (one, two) = (replica(1), replica(2))
        meet(one, two)
        var expected: [Int] = []
        for number in 0..<3_000 {
            let isLeft = number % 3 == 0
            #expect(one.ask(isLeft ? "LPUSH" : "RPUSH", "l", String(number)) == ":\(expected.count + 1)\r\n")
            if isLeft { expected.insert(number, at: 0) } else { expected.append(number) }
            if number % 5 == 4 {
                let taken = String(expected.removeLast())
                #expect(one.ask("RPOP", "l") == "$\(taken.utf8.count)\r\n\(taken)\r\n")
            }
        }
        carry([one, two], seconds: 2)
        let whole = one.ask("LRANGE", "l", "0", "-1")
        #expect(whole == two.ask("LRANGE", "l", "0", "-1"))
        let words = whole.split(separator: "\r\n").dropFirst().filter { !$0.hasPrefix("$") }
        #expect(words.map(String.init) == expected.map(String.init))
    }

    @Test("one that comes late gets everything, and keeps it")
    func late() {
        let one = replica(1)
        for round in 0..<300 { _ = one.ask("HSET", "h\(round % 7)", "f\(round)", String(round)) }
        one.restart()
        one.settle()
        let two = replica(2)
        meet(one, two)
        carry([one, two], seconds: 3)
        for round in 0..<300 {
            let answer = two.ask("HGET", "h\(round % 7)", "f\(round)")
            #expect(answer.hasSuffix("\r\n\(round)\r\n"), "\(answer)")
        }
        #expect(two.ask("SET", "own", "1") == "+OK\r\n")
        two.restart()
        two.settle()
        #expect(two.ask("GET", "own") == "$1\r\n1\r\n")
        #expect(two.ask("HGET", "h0", "f0") == "$1\r\n0\r\n")
        meet(one, two)
        carry([one, two], seconds: 2)
        #expect(one.ask("GET", "own") == "$1\r\n1\r\n")
    }

    @Test("a replica that won't come back is forgotten on all others, and stays so over restarts")
    func forgotten() {
        let (one, two, three) = (replica(1), replica(2), replica(3))
        let all = [one, two, three]
        for (a, b) in [(one, two), (two, three), (one, three)] { meet(a, b) }
        for (number, replica) in all.enumerated() { _ = replica.ask("SET", "k\(number)", "v") }
        carry(all, seconds: 2)
        let (own, name) = (one.name, three.name)
        #expect(one.ask("CRDT.FORGET", name).contains("is connected: end it first"))
        #expect(one.ask("CRDT.FORGET", own).contains("the replica itself"))
        #expect(one.ask("CRDT.FORGET", "0123456789abcdef").contains("no replica 0123456789abcdef"))
        #expect(one.ask("CRDT.FORGET", "three").contains("'three' is no replica's name"))
        one.part(three.id)
        two.part(three.id)
        #expect(one.ask("CRDT.FORGET", name) == "+OK\r\n")
        #expect(one.standing(of: name) == "left")
        // On the disk before anybody else knows, and not undone by a start.
        one.outbox = []
        one.restart()
        one.settle()
        #expect(one.standing(of: name) == "left")
        two.part(one.id)
        meet(one, two)
        carry([one, two], seconds: 1)
        two.part(one.id)
        two.restart()
        two.settle()
        #expect(two.standing(of: name) != "live")
        meet(one, two)
        carry([one, two], seconds: 12)
        for replica in [one, two] {
            #expect(["retired", nil].contains(replica.standing(of: name)))
            #expect(replica.ask("GET", "k2") == "$1\r\nv\r\n")
        }
        // Should it come all the same, nothing is taken of it.
        three.part(one.id)
        three.part(two.id)
        _ = three.ask("SET", "late", "v")
        meet(one, three)
        carry(all, seconds: 3)
        #expect(one.ask("GET", "late") == "$-1\r\n")
        #expect(one.logged.contains { $0.contains("is refused") })
    }

    @Test("CRDT.REPLICAS and MESH.DIGEST tell who has what, and CRDT.INFO what INFO does")
    func mesh() {
        let (one, two) = (replica(1), replica(2))
        _ = one.ask("SET", "a", "1")
        let digest = one.ask("MESH.DIGEST")
        #expect(digest.hasPrefix("$40\r\n") && digest != two.ask("MESH.DIGEST"))
        meet(one, two)
        carry([one, two], seconds: 2)
        #expect(one.ask("MESH.DIGEST") == digest && two.ask("MESH.DIGEST") == digest)
        let replicas = two.ask("CRDT.REPLICAS")
        #expect(replicas.hasPrefix("*2\r\n") && replicas.contains("connected\r\n:1\r\n"))
        #expect(one.standing(of: one.name) == "own" && one.standing(of: two.name) == "live")
        // Each has seen the other's beginning, and the one write.
        #expect(replicas.contains("\(one.name):1") && replicas.contains("\(two.name):1"))
        #expect(two.ask("CRDT.INFO").contains("crdt_replica\r\n$18\r\n\(two.name)\r\n"))
    }

    @Test("a full disk refuses writes and says so, answers reads, and clears by itself")
    func fullDisk() {
        let replica = replica()
        #expect(replica.ask("SET", "a", "1") == "+OK\r\n")
        replica.disk.capacity = replica.disk.usedBytes
        let text = String(repeating: "x", count: 60_000)
        var refused = ""
        for round in 0..<200 where refused.isEmpty {
            let answer = replica.ask("SET", "b\(round)", text)
            if !answer.hasPrefix("+OK") { refused = answer }
            replica.pass(.milliseconds(10))
            replica.settle()
        }
        #expect(refused.contains("the disk is full"), "\(refused) \(replica.failure ?? "") \(replica.logged)")
        #expect(replica.ask("GET", "a") == "$1\r\n1\r\n")
        #expect(replica.failure == nil)
        replica.disk.capacity = .max
        for _ in 0..<3 {
            replica.pass(.seconds(1))
            replica.settle()
        }
        #expect(replica.ask("SET", "a", "2") == "+OK\r\n")
    }
}

extension SimulatedReplica {
    /// As CRDT.REPLICAS names it.
    fileprivate var name: String {
        let words = ask("CRDT.INFO").split(separator: "\r\n")
        return words.firstIndex(of: "crdt_replica").map { String(words[$0 + 2]) } ?? ""
    }

    /// nil: it isn't listed.
    fileprivate func standing(of name: String) -> String? {
        let words = ask("CRDT.REPLICAS").split(separator: "\r\n")
        return words.indices.first { $0 + 6 < words.count && words[$0] == "replica" && words[$0 + 2] == name }
            .map { String(words[$0 + 6]) }
    }
}

extension String {
    fileprivate func components(of part: String) -> Int {
        var (count, rest) = (0, self[...])
        while rest.hasPrefix(part) { (count, rest) = (count + 1, rest.dropFirst(part.count)) }
        return count
    }
}

extension [SimulatedReplica] {
    /// Each second carries messages until there are none.
    func carryMessages(seconds: Int) {
        for _ in 0..<seconds {
            while contains(where: { !$0.outbox.isEmpty }) {
                for replica in self {
                    let batch = replica.outbox
                    replica.outbox = []
                    for (to, message) in batch {
                        first { $0.id == to }?.receive(message, from: replica.id)
                    }
                }
                for replica in self { replica.settle() }
            }
            for replica in self { replica.pass(.seconds(1)) }
        }
    }
}
