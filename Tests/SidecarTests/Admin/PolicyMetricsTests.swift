import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

@Suite struct PolicyMetricsTests {
    @Test(
        "cuts are counted by reason under each bound that they keep to, and only those for want of permission"
    )
    func histogram() {
        var latencies = CutLatencies()
        latencies.add(.policy, .milliseconds(2))
        latencies.add(.policy, .seconds(9))
        latencies.add(.lock, .milliseconds(0))
        latencies.add(.finished, .seconds(1))
        var text = MetricsText()
        latencies.write(to: &text)
        let name = "mesh_authz_cut_latency_seconds"
        for line in [
            "# TYPE \(name) histogram", "\(name)_bucket{reason=\"policy\",le=\"0.001\"} 0",
            "\(name)_bucket{reason=\"policy\",le=\"0.005\"} 1",
            "\(name)_bucket{reason=\"policy\",le=\"5\"} 1",
            "\(name)_bucket{reason=\"policy\",le=\"+Inf\"} 2", "\(name)_count{reason=\"policy\"} 2",
            "\(name)_sum{reason=\"policy\"} 9.002", "\(name)_count{reason=\"lock\"} 1",
        ] { #expect(text.text.contains(line + "\n"), "\(line) isn't in \(text.text)") }
        #expect(!text.text.contains("finished"))
    }

    @Test("a change counts every flow it cut, and names so many of them")
    func change() throws {
        let head = try #require(PolicyHead(epoch: 1, hash: [UInt8](repeating: 1, count: 32)))
        var change = PolicyChange(head: head, at: MonotonicTime(nanoseconds: 5_000_000_000))
        for number in 0...Limits.policyChangeFlowsMaximum {
            let flow = FlowID([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 16))
            change.add(flow, after: .milliseconds(UInt64(number)))
        }
        #expect(change.flowCount == Limits.policyChangeFlowsMaximum + 1)
        #expect(change.flows.count == Limits.policyChangeFlowsMaximum)
        for (seconds, isCaused) in [(2, false), (3, true), (5, true), (7, true), (8, false)] {
            let time = MonotonicTime(nanoseconds: UInt64(seconds) * 1_000_000_000)
            #expect(change.causes(endAt: time) == isCaused, "\(seconds) s")
        }
        #expect(change.span == .milliseconds(UInt64(Limits.policyChangeFlowsMaximum)))
    }
}
