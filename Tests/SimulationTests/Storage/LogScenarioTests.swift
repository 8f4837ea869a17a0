import Foundation
import SidecarProtocol
import Simulator
import Testing

/// The log alone, in lives that seeds make up.
@Suite("Scenarios of the state's log")
struct LogScenarioTests {
    static let seeds: ClosedRange<UInt64> =
        ProcessInfo.processInfo.environment["MESH_TEST_LONG"] == nil ? 1...2_000 : 1...100_000

    @Test("no seed loses a durable record, or serves what wasn't written")
    func seeds() {
        var recovered = 0
        for seed in Self.seeds {
            let scenario = LogScenario(seed: seed)
            let outcome = scenario.run()
            recovered += outcome.recovered
            if let violation = outcome.violation {
                Issue.record("seed \(seed): \(violation)\n\(scenario.shrunk())")
                return
            }
        }
        #expect(recovered > Self.seeds.count * 5)
    }

    @Test("the same seed goes the same way, and another one another")
    func determinism() {
        let hashes = (UInt64(1)...50).map { LogScenario(seed: $0).run().hash }
        #expect(hashes == (UInt64(1)...50).map { LogScenario(seed: $0).run().hash })
        #expect(Set(hashes).count == 50)
    }

    @Test("a failing run is shrunk to the steps that it needs")
    func shrinking() {
        let steps = Shrinker.minimal(Array(0..<500)) { steps in
            steps.contains(17) && steps.contains(400)
                && steps.firstIndex(of: 17)! < steps.firstIndex(of: 400)!
        }
        #expect(steps == [17, 400])
        #expect(Shrinker.minimal([1, 2, 3]) { _ in true } == [])
    }
}
