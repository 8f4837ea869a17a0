import Testing

@testable import SidecarProtocol

@Suite("Replicas that have seen the same are the same")
struct CRDTPropertyTests {
    @Test("for any history, order and doubling", arguments: RandomCommands.Subject.allCases)
    func convergence(subject: RandomCommands.Subject) throws {
        for seed in 0..<UInt64(60) {
            var history = RandomHistory(seed: seed, subject)
            try history.run(steps: 120)
            #expect(history.failures == [], "seed \(seed)")
            if !history.failures.isEmpty { return }
        }
    }

    @Test(
        "and a defect on purpose is noticed",
        arguments: [ReplicatedStore.Mutant.ignoresDependencies, .removesUnseen])
    func mutants(mutant: ReplicatedStore.Mutant) throws {
        let isNoticed = (0..<UInt64(40)).contains { seed in
            var history = RandomHistory(seed: seed, .everything, mutant: mutant)
            do { try history.run(steps: 120) } catch { return true }
            return !history.failures.isEmpty
        }
        #expect(isNoticed)
    }
}
