import Foundation
import Testing

@testable import SidecarProtocol

/// Replicas that write, crash, lose what wasn't synced, join, leave, and hear each other or not, by a seed.
private struct GossipScenario {
    static let all = ByteString("all")

    var network: ModelNetwork
    var numbers: SeededNumbers
    var commands: RandomCommands
    /// What each has on its disk.
    var disks: [StateImport] = []
    /// Writes that some replica holds, so that they must never be lost.
    var expected: Set<ByteString> = []
    var writes = 0
    var newcomers: UInt64 = 0
    var failures: [String] = []
    /// The furthest that a clock was ahead.
    var latestOffset: Int64 = 0
    /// Replicas leave, and those that crash had everything on their disks; or none leaves, and disks may be old: a
    /// disk from before somebody was forgotten for good is refused.
    let canLeave: Bool

    /// Of every replica.
    let mutant: ReplicatedStore.Mutant

    init(seed: UInt64, _ mutant: ReplicatedStore.Mutant = .none) throws {
        self.mutant = mutant
        network = ModelNetwork(4, seed: seed)
        network.keepsKeyspaces = true
        numbers = SeededNumbers(state: seed)
        canLeave = seed % 2 == 0
        commands = RandomCommands(numbers: SeededNumbers(state: seed &+ 1), subject: .everything)
        for index in 0..<4 {
            disks.append(try network.snapshot(index))
            if numbers.below(2) == 0 {
                network.replicas[index].store.log.bytesMaximum = 200 + numbers.below(3_000)
            }
        }
    }

    mutating func run(steps: Int) throws -> UInt64 {
        for _ in 0..<steps { try step() }
        network.parts = [0, 0, 0, 0]
        network.lost = 0
        network.deaf = []
        // Clocks that were wrong are put right; none goes back behind what the others have believed.
        let latest = network.replicas.map { $0.now + latestOffset }.max() ?? 0
        for index in 0..<4 { network.replicas[index].wallOffset = latest - network.replicas[index].now }
        for _ in 0..<60 where !isSettled { network.tick() }
        check()
        return network.replicas[0].store.stateHash()
    }

    private var isSettled: Bool {
        network.isConverged && network.replicas.allSatisfy { $0.store.version.entries.count <= 4 }
    }

    private mutating func step() throws {
        let index = numbers.below(4)
        for each in 0..<4 {
            network.replicas[each].store.mutant = mutant
            // So that names are forgotten often.
            network.replicas[each].store.retiredMaximum = 1
        }
        switch numbers.below(40) {
        case 0...11: write(index)
        case 12...17:
            let mutations = commands.next(network.replicas[index].keyspace)
            if mutations != [.deleteAll] { network.write(index, mutations) }
        case 18...27: network.deliver(1 + numbers.below(20))
        case 28...32: network.tick(deliverAll: false)
        case 33: network.parts = (0..<4).map { _ in numbers.below(2) }
        case 34: network.deaf = [numbers.below(16), numbers.below(16)]
        case 35: network.lost = numbers.below(4) * 10
        case 36: setClock(index)
        case 37: disks[index] = try network.snapshot(index)
        case 38: try crash(index)
        default: if canLeave, numbers.below(3) == 0 { try leave(index) }
        }
    }

    /// Runs on, or jumps: within the bound of what the others follow, or an hour ahead. Where replicas leave it
    /// only runs on: a newcomer whose clock is behind the others' may be taken for one of long ago.
    private mutating func setClock(_ index: Int) {
        network.replicas[index].now += Int64(numbers.below(20_000))
        if canLeave { return }
        let offset = numbers.below(12) == 0 ? 3_600_000 : Int64(numbers.below(200_000)) - 100_000
        network.replicas[index].wallOffset = offset
        latestOffset = max(latestOffset, offset)
    }

    private mutating func write(_ index: Int) {
        let name = ByteString("w\(writes)")
        writes += 1
        network.write(index, .addMember(GossipScenario.all, name))
        if network.replicas[index].keyspace.type(GossipScenario.all) == "set" { expected.insert(name) }
    }

    private mutating func crash(_ index: Int) throws {
        let maximum = network.replicas[index].store.log.bytesMaximum
        if canLeave || numbers.below(2) == 0 { disks[index] = try network.snapshot(index) }
        try network.restart(index, from: disks[index])
        network.replicas[index].store.log.bytesMaximum = maximum
        // The epoch is on the disk before the first change.
        disks[index] = try network.snapshot(index)
        forgetLost()
    }

    private mutating func leave(_ index: Int) throws {
        let left = network.replicas[index].store.replica.hash
        newcomers += 1
        network.replace(index, ModelReplica(1_000 + newcomers))
        disks[index] = try network.snapshot(index)
        for other in 0..<4 where other != index { network.replicas[other].store.leave(left) }
        forgetLost()
    }

    /// What nobody holds any more was never durable anywhere.
    private mutating func forgetLost() {
        let stores = network.replicas.map { $0.store.entries[GossipScenario.all]?.contents.members }
        expected = expected.filter { name in stores.contains { $0?[name] != nil } }
    }

    private mutating func check() {
        if !network.isConverged {
            failures.append("not converged; refused last: \(network.refusals.suffix(3))")
        }
        for (index, replica) in network.replicas.enumerated() {
            let members = replica.store.entries[GossipScenario.all]?.contents.members
            let lost = expected.filter { members?[$0] == nil }
            if !lost.isEmpty { failures.append("\(lost.count) writes are lost at replica \(index)") }
            if replica.store.version.entries.count > 4 {
                failures.append("\(replica.store.version.entries.count) replicas in the version of \(index)")
            }
            if !replica.keyspace.mistakes.isEmpty {
                failures.append("\(replica.keyspace.mistakes.prefix(3))")
            }
        }
    }
}

@Suite("Replicas that crash, join and leave lose nothing and come to agree")
struct GossipScenarioTests {
    private static let seeds: ClosedRange<UInt64> =
        ProcessInfo.processInfo.environment["MESH_TEST_LONG"] == nil ? 1...60 : 1...3_000

    @Test("whatever the seed")
    func scenarios() throws {
        for seed in GossipScenarioTests.seeds {
            var scenario = try GossipScenario(seed: seed)
            _ = try scenario.run(steps: 400)
            #expect(scenario.failures == [], "seed \(seed)")
            if !scenario.failures.isEmpty { return }
        }
    }

    @Test(
        "and a defect on purpose is noticed",
        arguments: [
            ReplicatedStore.Mutant.ignoresDependencies, .removesUnseen, .advancesEarly, .sealsAlone,
            .retiresEarly,
            .recallsForgotten,
        ])
    func mutants(mutant: ReplicatedStore.Mutant) throws {
        let isNoticed = try (1...200).contains { seed in
            var scenario = try GossipScenario(seed: UInt64(seed), mutant)
            _ = try scenario.run(steps: 400)
            return !scenario.failures.isEmpty
        }
        #expect(isNoticed)
    }

    @Test("and the same way each time")
    func determinism() throws {
        for seed in UInt64(1)...5 {
            var (one, other) = (try GossipScenario(seed: seed), try GossipScenario(seed: seed))
            #expect(try one.run(steps: 300) == other.run(steps: 300))
            #expect(one.network.byteCount == other.network.byteCount)
        }
    }
}
