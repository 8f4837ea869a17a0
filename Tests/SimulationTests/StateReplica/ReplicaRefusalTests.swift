import SidecarProtocol
import Simulator
import Testing

@Suite("What a replica refuses of others, and says of it")
struct ReplicaRefusalTests {
    private func pair() -> [SimulatedReplica] {
        let replicas = [1, 2].map { SimulatedReplica($0, group: ReplicaLifeTests.group) }
        for replica in replicas { replica.settle() }
        replicas[0].meet(replicas[1].id)
        replicas[1].meet(replicas[0].id)
        return replicas
    }

    private func fact(_ name: String, of replica: SimulatedReplica) -> String {
        let line = replica.ask("INFO", "crdt").split(separator: "\r\n").first { $0.hasPrefix(name + ":") }
        return String(line?.dropFirst(name.count + 1) ?? "?")
    }

    @Test("changes from too far ahead are named in INFO, and once a minute in the log, until they are taken")
    func ahead() {
        let replicas = pair()
        let (one, other) = (replicas[0], replicas[1])
        replicas.carryMessages(seconds: 3)
        other.now.wall = other.now.wall + .seconds(3600)
        #expect(other.ask("SET", "far", "1") == "+OK\r\n")
        replicas.carryMessages(seconds: 30)
        let name = fact("crdt_replica", of: other)
        let said = fact("crdt_clocks_ahead", of: one).split(separator: ":")
        #expect(said.count == 2 && said[0] == name, "\(said)")
        #expect((3_560_000...3_600_000).contains(Int(said.last ?? "") ?? 0), "\(said)")
        func lines() -> [String] { one.logged.filter { $0.contains("the changes of replica \(name) lie ") } }
        #expect(lines().count == 1, "\(lines())")
        #expect(lines()[0].contains("ms ahead of this host's clock, of which 300000 ms are"))
        replicas.carryMessages(seconds: 40)
        #expect(lines().count == 2 && lines()[1].contains("more times since"), "\(lines())")
        #expect(one.ask("GET", "far") == "$-1\r\n")

        one.now.wall = one.now.wall + .seconds(3300)
        replicas.carryMessages(seconds: 5)
        #expect(one.ask("GET", "far") == "$1\r\n1\r\n")
        #expect(fact("crdt_clocks_ahead", of: one) == "")
    }

    @Test("two reasons of one replica are both said, and so is one reason of two replicas")
    func reasons() {
        var notes = RefusalNotes()
        let peers = [1, 2].map { InstanceID([UInt8](repeating: $0, count: 16))! }
        let time = MonotonicTime(nanoseconds: 0)
        let malformed = GossipRefusal.malformed(.truncated(at: 1))
        #expect(notes.note(malformed, of: peers[0], at: time) == 0)
        #expect(notes.note(.malformed(.truncated(at: 2)), of: peers[0], at: time) == nil)
        #expect(notes.note(.unknownPeer, of: peers[0], at: time) == 0)
        #expect(notes.note(malformed, of: peers[1], at: time) == 0)
        let before = MonotonicTime(nanoseconds: Limits.refusalLogInterval.nanoseconds - 1)
        #expect(notes.note(malformed, of: peers[0], at: before) == nil)
        #expect(notes.note(malformed, of: peers[0], at: time + Limits.refusalLogInterval) == 2)
    }

    @Test("a replica that was forgotten learns of it, in its log and in INFO")
    func forgotten() {
        let replicas = pair()
        let (one, other) = (replicas[0], replicas[1])
        replicas.carryMessages(seconds: 3)
        let name = fact("crdt_replica", of: other)
        one.part(other.id)
        other.part(one.id)
        #expect(one.ask("CRDT.FORGET", String(name.prefix { $0 != "." })) == "+OK\r\n")
        #expect(fact("crdt_refused", of: one) == "0" && fact("crdt_refused_by", of: other) == "")
        one.meet(other.id)
        other.meet(one.id)
        replicas.carryMessages(seconds: 5)
        #expect(other.ask("SET", "k", "v") == "+OK\r\n")
        replicas.carryMessages(seconds: 5)
        #expect(one.ask("GET", "k") == "$-1\r\n")
        #expect(fact("crdt_refused_by", of: other) == fact("crdt_replica", of: one))
        #expect((Int(fact("crdt_refused", of: one)) ?? 0) > 5)
        let said = other.logged.filter { $0.contains("refuses this one, \(name)") }
        #expect(said.count == 1 && said[0].contains("what is written here stays here"), "\(other.logged)")
    }

    @Test("under `conditional: warn` each command that decides here alone is named once")
    func conditional() {
        let replica = SimulatedReplica(1, group: ReplicaLifeTests.group)
        replica.settings.server.conditional = .warn
        replica.restart()
        replica.settle()
        for _ in 0..<3 { #expect(replica.ask("SETNX", "k", "v").hasPrefix(":")) }
        #expect(replica.ask("GETDEL", "k") == "$1\r\nv\r\n")
        #expect(replica.ask("SET", "k", "v") == "+OK\r\n")
        let said = replica.logged.filter { $0.contains("(conditional: warn)") }
        #expect(said.map { $0.prefix { $0 != " " } } == ["SETNX", "GETDEL"])
    }

    @Test("CONFIG GET tells what the log's policy of syncs is")
    func policy() {
        for (policy, name) in [(StateLogConfiguration.FsyncPolicy.always, "always"), (.none, "no")] {
            let replica = SimulatedReplica(1, group: ReplicaLifeTests.group, fsync: policy)
            replica.settle()
            let expected = "*2\r\n$11\r\nappendfsync\r\n$\(name.count)\r\n\(name)\r\n"
            #expect(replica.ask("CONFIG", "GET", "appendfsync") == expected)
        }
    }
}
