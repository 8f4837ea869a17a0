import Foundation
import Testing

@testable import SidecarProtocol

/// Members of one set that come and go at every replica, while replicas come and go too.
private struct Churn {
    static let key = ByteString("members")

    var network = ModelNetwork(4, seed: 7)
    var numbers = SeededNumbers(state: 7)
    let names: [ByteString]
    var operations = 0

    init(members: Int) {
        names = (0..<members).map { ByteString("member:\($0)") }
        network.keepsKeyspaces = false
    }

    /// A replica joins, all four write, and it leaves for good or starts again.
    mutating func round(_ number: Int, operations count: Int) throws {
        var left = count
        while left > 0 {
            for index in network.replicas.indices where left > 0 {
                toggle(index, min(left, 50))
                left -= 50
            }
            network.deliver()
        }
        for _ in 0..<2 { network.tick() }
        if number % 2 == 0 {
            let name = network.replicas[3].store.replica
            network.replace(3, ModelReplica(UInt64(1_000 + number)))
            network.replicas[number % 3].store.leave(name.hash)
        } else {
            try network.restart(number / 2 % 3)
        }
        for _ in 0..<2 { network.tick() }
    }

    private mutating func toggle(_ index: Int, _ count: Int) {
        let members = network.replicas[index].store.entries[Churn.key]?.contents.members
        var mutations: [Mutation] = []
        var touched: Set<Int> = []
        for _ in 0..<count {
            let number = numbers.below(names.count)
            guard touched.insert(number).inserted else { continue }
            let isThere = members?[names[number]] != nil
            mutations.append(
                isThere ? .removeMember(Churn.key, names[number]) : .addMember(Churn.key, names[number]))
        }
        operations += mutations.count
        network.write(index, mutations)
    }

    /// What a store's snapshot holds beyond the key and the members themselves, in bytes.
    func metadata(_ index: Int) -> (bytes: Int, members: Int) {
        var export = StateExport(network.replicas[index].store)
        var bytes = 0
        while let piece = export.next(1 << 20) { bytes += piece.count }
        let members = network.replicas[index].store.entries[Churn.key]?.contents.members
        let payload = (members?.names ?? []).reduce(Churn.key.count) { $0 + $1.count }
        return (bytes - payload, members?.cells.count ?? 0)
    }
}

@Suite("Figures of the replicated state")
struct StateFigureTests {
    private static let isLong = ProcessInfo.processInfo.environment["MESH_TEST_LONG"] != nil

    @Test(
        "concurrent additions and removals, joins and leaves: 16 bytes a member and a kibibyte, and no growth"
    )
    func metadata() throws {
        // A member that is drawn twice for one delta counts once, so that ten million of them are left.
        let (rounds, operations) = StateFigureTests.isLong ? (1_000, 10_250_000) : (60, 30_000)
        var churn = Churn(members: 1_000)
        var worst = Int.min
        var largest = 0
        for round in 0..<rounds {
            try churn.round(round, operations: operations / rounds)
            guard round % 20 == 19 else { continue }
            if round % 200 == 199 { print("\(round + 1) joins and leaves, \(churn.operations) operations") }
            for _ in 0..<4 { churn.network.tick() }
            #expect(churn.network.isConverged)
            for index in 0..<4 {
                let (bytes, members) = churn.metadata(index)
                largest = max(largest, bytes)
                worst = max(worst, bytes - 16 * members)
                #expect(
                    bytes <= 16 * members + 1_024, "round \(round): \(bytes) bytes for \(members) members")
                let store = churn.network.replicas[index].store
                #expect(store.version.entries.count <= 4)
                #expect(store.replicas.count <= 4 + 2 * Limits.retiredReplicasKept)
                #expect(store.log.byteCount == 0)
                #expect(store.unsettled.isEmpty)
            }
        }
        #expect(churn.network.refusals == [])
        print(
            "\(churn.operations) operations, \(rounds) joins and leaves:",
            "at most \(largest) bytes of metadata, \(worst) beyond 16 a member")
    }

    @Test(
        "three replicas after a partition with many writes a side: equal, with few bytes",
        arguments: [false, true])
    func partition(isLogTooShort: Bool) {
        let writes = StateFigureTests.isLong ? 100_000 : 5_000
        var network = ModelNetwork(3)
        network.keepsKeyspaces = false
        network.deliver()
        network.parts = [0, 1, 2]
        var payload = 0
        for index in 0..<3 {
            if isLogTooShort { network.replicas[index].store.log.bytesMaximum = 100_000 }
            for step in 0..<writes {
                let (key, value) = (
                    "key:\(index):\(step % (writes / 2))", "value of thirty-two bytes, \(step)"
                )
                payload += key.utf8.count + value.utf8.count
                network.replicas[index].now += step % 100 == 0 ? 1 : 0
                network.write(index, .setString(ByteString(key), ByteString(value)))
            }
        }
        network.parts = [0, 0, 0]
        let (bytes, messages) = (network.byteCount, network.messageCount)
        let start = ContinuousClock.now
        var seconds = 0
        while !network.isConverged, seconds < 20 {
            network.tick()
            seconds += 1
        }
        #expect(network.isConverged)
        print(
            "\(writes) writes at each of three, logs \(isLogTooShort ? "too short" : "long enough"): equal after",
            "\(seconds) gossip intervals, \(network.byteCount - bytes) bytes in \(network.messageCount - messages)",
            "messages for \(payload) bytes written, computed in \(ContinuousClock.now - start)")
    }
}
