import Foundation
import Testing

@testable import MeshCommand

@Suite struct TopTests {
    private static let metrics = """
        # HELP tcp_open_total x
        tcp_open_total{direction="inbound",peer="a"} 40
        tcp_open_total{direction="outbound",peer="b"} 60
        tcp_write_bytes_total{direction="inbound"} 745000
        tcp_read_bytes_total{direction="inbound"} 3725
        mesh_denied_total 2
        mesh_flows_cut_total{reason="policy"} 3
        mesh_queue_drops_total{queue="records"} 4
        mesh_queue_drops_total{queue="disk"} 1
        mesh_queue_drops_total{queue="names"} 9
        mesh_records_pressed 0
        process_cpu_seconds_total 37.25
        process_resident_memory_bytes 12000000

        """

    @Test("once: a row an instance, with rates since it began")
    func once() throws {
        let mesh = FakeMesh()
        mesh.start("default/web", ["/metrics": .init(200, TopTests.metrics)])
        let text = try mesh.answer("top", "--once").text
        let row = try #require(text.split(separator: "\n").first { $0.hasPrefix("default/web") })
        // It is up for 3,725 seconds.
        let cells = row.split(separator: " ").map(String.init)
        #expect(
            cells == [
                "default/web", "3f9a01c2", "ready", "1", "2", "0.0", "200", "B", "1", "B", "2", "3", "1.0",
                "12", "MB", "5", "lost",
            ])
        let json = try #require(JSON(parsing: Array(try mesh.answer("top", "--json").text.utf8)))
        #expect(json["instances"].list[0]["flows_opened"].integer == 100)
        #expect(json["instances"].list[0]["records_lost"].integer == 5)
        #expect(try FakeMesh().answer("top", "--once").text == "No workload runs here.\n")
    }

    @Test("rates are those since the last drawing, unless the sidecar was replaced")
    func rates() throws {
        let mesh = FakeMesh()
        mesh.start("default/web", ["/metrics": .init(200, TopTests.metrics)])
        let instance = try #require(try Instance.all(in: mesh.paths).first)
        let first = TopSample(instance, metrics: TopTests.metrics, at: 1_000)
        let more = TopTests.metrics.replacingOccurrences(of: "745000", with: "845000")
        let second = TopSample(instance, metrics: more, at: 3_000)
        #expect(second.rates(since: first).sent == 50_000)
        let fewer = TopTests.metrics.replacingOccurrences(of: "37.25", with: "0.5")
        let replaced = TopSample(instance, metrics: fewer, at: 3_000)
        #expect(replaced.rates(since: first).sent == 200)
    }
}
