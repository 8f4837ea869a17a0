import Foundation
import Testing

@testable import MeshCommand

@Suite struct PrometheusTextTests {
    static let first = """
        # HELP mesh_flows_opened_total Flows that were opened.
        # TYPE mesh_flows_opened_total counter
        mesh_flows_opened_total{direction="inbound"} 3
        mesh_flows_opened_total{direction="outbound"} 0
        # HELP mesh_dial_seconds Time of a dial.
        # TYPE mesh_dial_seconds histogram
        mesh_dial_seconds_bucket{le="0.1"} 1
        mesh_dial_seconds_bucket{le="+Inf"} 2
        mesh_dial_seconds_sum 0.5
        mesh_dial_seconds_count 2

        """
    static let second = """
        # HELP mesh_flows_opened_total Flows that were opened.
        # TYPE mesh_flows_opened_total counter
        mesh_flows_opened_total{direction="inbound",peer="a\\"b\\\\c,}"} 7 1700000000000
        # HELP mesh_sessions Sessions that are open.
        # TYPE mesh_sessions gauge
        mesh_sessions 1

        """

    private func merged(_ texts: String...) -> String {
        PrometheusText.merged(
            zip(["web", "api", "db"], texts).map { ([("workload", "default/\($0)"), ("instance", "i")], $1) })
    }

    @Test("families are merged: one TYPE each, samples together, told apart by labels")
    func merges() {
        #expect(
            merged(PrometheusTextTests.first, PrometheusTextTests.second) == """
                # HELP mesh_dial_seconds Time of a dial.
                # TYPE mesh_dial_seconds histogram
                mesh_dial_seconds_bucket{workload="default/web",instance="i",le="0.1"} 1
                mesh_dial_seconds_bucket{workload="default/web",instance="i",le="+Inf"} 2
                mesh_dial_seconds_sum{workload="default/web",instance="i"} 0.5
                mesh_dial_seconds_count{workload="default/web",instance="i"} 2
                # HELP mesh_flows_opened_total Flows that were opened.
                # TYPE mesh_flows_opened_total counter
                mesh_flows_opened_total{workload="default/web",instance="i",direction="inbound"} 3
                mesh_flows_opened_total{workload="default/web",instance="i",direction="outbound"} 0
                mesh_flows_opened_total{workload="default/api",instance="i",direction="inbound",peer="a\\"b\\\\c,}"} 7
                # HELP mesh_sessions Sessions that are open.
                # TYPE mesh_sessions gauge
                mesh_sessions{workload="default/api",instance="i"} 1

                """)
    }

    @Test("one instance's nonsense doesn't reach the others' metrics")
    func nonsense() {
        let bad = """
            # TYPE mesh_sessions counter
            mesh_sessions 5
            9bad 1
            no_value
            mesh_x{a="b} 1
            mesh_x{a="1",a="2"} 1
            mesh_x{a="1"} many
            # TYPE mesh_y nothing
            mesh_y 1
            mesh_y 2

            """
        #expect(
            merged(PrometheusTextTests.second, bad).split(separator: "\n").filter { $0.contains("api") } == [
                "mesh_y{workload=\"default/api\",instance=\"i\"} 1"
            ])
    }

    @Test("a label that a sample has already is kept, not given twice")
    func ownLabels() {
        let text = merged("# TYPE a gauge\na{instance=\"own\"} 1\n")
        #expect(text == "# TYPE a gauge\na{workload=\"default/web\",instance=\"own\"} 1\n")
    }

    @Test("no damage to an answer ends the process, and what is left stays readable")
    func mutations() {
        var random = SplitMix(state: 99)
        let original = Array((PrometheusTextTests.first + PrometheusTextTests.second).utf8)
        for _ in 0..<2_000 {
            var bytes = original
            for _ in 0...Int(random.next() % 8) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            let text = merged(String(decoding: bytes, as: UTF8.self), PrometheusTextTests.first)
            #expect(merged(text).isEmpty == false)
        }
    }

    @Test("promtool accepts what is merged")
    func promtool() throws {
        guard
            let promtool = ["/usr/bin/promtool", "/usr/local/bin/promtool"].first(
                where: FileManager.default.isExecutableFile)
        else {
            print(
                "SKIPPED: promtool isn't installed (Debian's package prometheus), so nothing judged the metrics"
            )
            return
        }
        let mesh = FakeMesh()
        mesh.start("default/web", ["/metrics": .init(200, PrometheusTextTests.first)])
        mesh.start(
            "default/api", instance: "aaaaaaaaaaaaaaaa", ["/metrics": .init(200, PrometheusTextTests.second)])
        mesh.start("default/db", instance: "bbbbbbbbbbbbbbbb", ["/metrics": .init(500, "")])
        let answer = try mesh.answer("metrics")
        #expect(answer.exitCode == 1)
        #expect(answer.text.contains("mesh_instance_up{workload=\"default/db\",instance=\"bbbbbbbb\"} 0"))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: promtool)
        process.arguments = ["check", "metrics"]
        let (input, output) = (Pipe(), Pipe())
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        input.fileHandleForWriting.write(Data(answer.text.utf8))
        try input.fileHandleForWriting.close()
        let said = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(said)\n\(answer.text)")
    }
}
