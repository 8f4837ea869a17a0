import Foundation
import Testing

extension LaunchTests {
    /// At a terminal, in an interactive bash. The scenarios are the fixture's.
    @Suite("Job control")
    struct JobControlTests {
        enum Scenario: String, CaseIterable {
            case interrupt, stop, shell, suspend, continued, ended, ignored, asked, resized, hangup
        }

        @Test("a launch behaves as the program itself would", arguments: Scenario.allCases, Caller.possible)
        func scenario(scenario: Scenario, caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.atTerminal(scenario.rawValue).finish()
            #expect(finished.output.hasSuffix("passed\n"), "\(finished.output) \(finished.errors)")
            bench.expectNoLeftovers()
        }
    }
}
