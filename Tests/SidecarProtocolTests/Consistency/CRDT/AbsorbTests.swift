import Testing

@testable import SidecarProtocol

@Suite("Strings that are absorbed during a turn") struct AbsorbTests {
    /// A turn's changes, mostly plain strings, among few keys.
    private static func turn(_ dice: inout Dice) -> [Mutation] {
        (0..<dice.below(24)).map { _ in
            let key = ByteString("key\(dice.below(6))")
            let value = ByteString(String(repeating: "v", count: dice.below(200)))
            return switch dice.below(10) {
            case 0: .delete(key)
            case 1: .setExpiry(key, WallTime(milliseconds: Int64(2_000_000 + dice.below(9))))
            case 2: .deleteAll
            default: .setString(key, value)
            }
        }
    }

    @Test("make the delta that they would have made at its end", arguments: 1...20 as ClosedRange<UInt64>)
    func makeTheSameDelta(seed: UInt64) throws {
        var dice = Dice(seed: seed)
        var (early, late) = (ModelReplica(1), ModelReplica(1))
        var other = ModelReplica(2)
        for _ in 0..<60 {
            let changes = AbsorbTests.turn(&dice)
            var waiting: [Mutation] = []
            for change in changes {
                waiting.append(change)
                if dice.below(3) == 0 { early.store.absorb(&waiting, at: early.time) }
            }
            let isSeen = early.store.version == late.store.version
            #expect(isSeen, "what is absorbed is unseen until the commit")
            let isAny = early.store.commit(waiting[...], at: early.time)
            let isAnyLate = late.store.commit(changes[...], at: late.time)
            #expect(isAny == isAnyLate)
            #expect(early.store.committed == late.store.committed)
            #expect(early.store.version == late.store.version)
            #expect(early.store.stateHash() == late.store.stateHash())
            if isAny { try other.join(Delta(encoded: early.store.committed)) }
        }
        #expect(other.store.stateHash() == early.store.stateHash())
    }

    @Test("are as many as a megabyte holds; the others wait for the turn's end")
    func areBounded() {
        var replica = ModelReplica(1)
        let value = ByteString([UInt8](repeating: 1, count: 1 << 19))
        var waiting: [Mutation] = (0..<3).map { .setString(ByteString("key\($0)"), value) }
        replica.store.absorb(&waiting, at: replica.time)
        #expect(waiting.map(\.key) == ["key1", "key2"])
        let isAny = replica.store.commit(waiting[...], at: replica.time)
        #expect(isAny && replica.store.keyCount == 3)
    }

    @Test("stay behind what can't be absorbed")
    func keepTheirOrder() {
        var replica = ModelReplica(1)
        var waiting: [Mutation] = [.setString("a", "1"), .delete("a"), .setString("a", "2")]
        replica.store.absorb(&waiting, at: replica.time)
        #expect(waiting == [.delete("a"), .setString("a", "2")])
        replica.store.absorb(&waiting, at: replica.time)
        #expect(waiting.count == 2)
    }
}
