import Foundation
import SidecarProtocol
import Simulator
import Testing

@Suite("Whole replicas through crashes, partitions, bad clocks and bad disks")
struct ReplicaWorldTests {
    private static let isLong = ProcessInfo.processInfo.environment["MESH_TEST_LONG"] != nil
    private static let seeds: ClosedRange<UInt64> = isLong ? 1...3_000 : 1...40

    @Test("no seed loses what was acknowledged, or leaves replicas that differ")
    func seeds() {
        var counts = ReplicaWorld.Counts()
        var (simulated, healing) = (0.0, 0.0)
        let clock = ContinuousClock()
        let begun = clock.now
        for seed in Self.seeds {
            let scenario = ReplicaScenario(seed: seed)
            let outcome = scenario.run()
            counts += outcome.counts
            simulated += outcome.simulated.seconds
            healing = max(healing, outcome.healing.seconds)
            if let violation = outcome.violation {
                Issue.record("seed \(seed): \(violation)\n\(scenario.shrunk())")
                return
            }
        }
        let spent = begun.duration(to: clock.now) / .seconds(1)
        print(
            "simulated \(Int(simulated)) s of \(Self.seeds.count) worlds in \(Int(spent)) s, \(Int(simulated / spent))"
                + " times as fast as real time in this build; healed within \(healing) s: \(counts)")
        // What the seeds are for has happened in them.
        let worlds = Self.seeds.count
        #expect(counts.acknowledged > 10 * worlds && counts.crashes > 3 * worlds)
        #expect(counts.equalities > 50 * worlds)
        #expect(counts.reconciliations > worlds / 4 && counts.snapshots > worlds)
        #expect(counts.refused > 0)
    }

    /// 647: of an epoch that one had forgotten the other said each second that its log can't help, and so never of one
    /// that was lacked. 1793: the removal by a replica that a power failure had set back counted as one of all that
    /// had been there. 3114: a counter that had come to nothing and one that was removed had one hash, and so were left
    /// unequal by a comparison of ranges. 3527: a delta that waited for what all had lost was joined after its origin
    /// had been sealed without it. 4772: one had said how much it has of a replica that left, and then joined more, which
    /// had waited there for others and which all else had lost.
    @Test("what was mended stays so", arguments: [647, 1793, 3114, 3527, 4772] as [UInt64])
    func mended(_ seed: UInt64) { #expect(ReplicaScenario(seed: seed).run().violation == nil) }

    @Test("the same seed goes the same way, and another one another")
    func determinism() {
        let hashes = (UInt64(1)...6).map { ReplicaScenario(seed: $0, length: 60).run().hash }
        #expect(hashes == (UInt64(1)...6).map { ReplicaScenario(seed: $0, length: 60).run().hash })
        #expect(Set(hashes).count == 6)
    }

    @Test(
        "a defect on purpose is noticed",
        arguments: [
            SimulatedDefect.answersEarly, .lyingDisk, .oldDisk, .lostTail, .alteredDelta, .lonely, .noTimers,
            .core(.removesUnseen), .core(.advancesEarly), .core(.ignoresDependencies),
        ])
    func defects(_ defect: SimulatedDefect) {
        let found = (UInt64(1)...150).first { ReplicaScenario(seed: $0).run(defect).violation != nil }
        #expect(found != nil, "\(defect)")
    }

    @Test("a failing world is shrunk to the steps that it needs, which can be pasted")
    func shrinking() {
        for seed in UInt64(1)...150 {
            let scenario = ReplicaScenario(seed: seed)
            guard scenario.run(.answersEarly).violation != nil else { continue }
            let small = scenario.shrunk(.answersEarly, runs: 60)
            #expect(small.run(.answersEarly).violation != nil && small.run().violation == nil)
            #expect(small.steps.count < scenario.steps.count / 2)
            #expect("\(small)".contains(".at("))
            return
        }
        Issue.record("no seed notices answers that leave early")
    }
}
