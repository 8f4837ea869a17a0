import ArgumentParser
import Foundation
import FoundationXML
import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct EdgesTests {
    private func table(_ records: [RecordFixture], live: [RecordFixture] = []) -> EdgeTable {
        var table = EdgeTable()
        for record in records { Array(record.json.utf8).withUnsafeBytes { table.add($0) } }
        for record in live { Array(record.json.utf8).withUnsafeBytes { table.add($0, isLive: true) } }
        return table
    }

    private static func close(_ direction: String, sent: Int, received: Int) -> RecordFixture {
        RecordFixture(event: "close", direction: direction, sent: sent, received: received)
    }

    @Test("a flow that both ends tell counts once, and bytes have a direction")
    func twice() throws {
        let open = [RecordFixture(), RecordFixture(direction: "inbound")]
        let edges = table(
            open + [
                Self.close("outbound", sent: 10, received: 200),
                Self.close("inbound", sent: 200, received: 10),
            ]
        ).sorted
        let edge = try #require(edges.first)
        #expect(edges.count == 1)
        #expect((edge.flows, edge.bytesToCallee, edge.bytesToCaller) == (1, 10, 200))
        #expect(edge.seenBy == ["caller", "callee"])
        // The caller's files are gone: the callee's say the same.
        let one = try #require(table([open[1], Self.close("inbound", sent: 200, received: 10)]).sorted.first)
        #expect((one.flows, one.bytesToCallee, one.bytesToCaller) == (1, 10, 200))
    }

    @Test("open flows, refusals and denials are counted apart; a flow whose beginning is gone counts")
    func kinds() throws {
        let records = [
            RecordFixture(event: "denied", id: nil, verdict: "deny"), RecordFixture(event: "minute", sent: 5),
            RecordFixture(event: "refused"), Self.close("outbound", sent: 1, received: 1),
        ]
        let edge = try #require(table(records, live: [RecordFixture(sent: 7)]).sorted.first)
        #expect((edge.flows, edge.open, edge.denied, edge.refused) == (2, 1, 1, 1))
        #expect(edge.bytesToCallee == 8)
    }

    @Test("what leaves the mesh is an edge to its address; other ports and identities are other edges")
    func keys() {
        let outside = RecordFixture(id: nil, port: 443, destination: "", destinationAddress: "192.0.2.7:443")
        let edges = table([
            outside, RecordFixture(), RecordFixture(port: 8081),
            RecordFixture(source: "spiffe://d/ns/x/w/client"),
        ]).sorted
        #expect(
            edges.map { Edge.name($0.source) } == Array(repeating: "default/client", count: 3) + ["x/client"])
        #expect(edges.map { Edge.name($0.destination) }.first == "192.0.2.7")
        #expect(edges.map(\.isOutside) == [true, false, false, false])
    }

    @Test("a text that looks like a member is no member, and what isn't a record is counted")
    func hostile() throws {
        var record = RecordFixture(event: "close", sent: 3)
        record.rule = #"x\",\"bytes_sent\":999,\"event\":\"denied"#
        let hostile = table([record])
        #expect(hostile.sorted.first?.bytesToCallee == 3 && hostile.sorted.first?.denied == 0)
        // Quotation marks behind one backslash and behind two.
        for (spelled, name) in [(#"a\\"#, #"a\"#), (#"a\\\"b"#, #"a\"b"#)] {
            record.source = spelled
            #expect(self.table([record]).sorted.first?.source == name)
        }
        record.source = "a"
        var table = EdgeTable()
        for text in ["", "{}", "no", #"{"time":"}"#, #"{"time":"a","event":"#] {
            Array(text.utf8).withUnsafeBytes { table.add($0) }
        }
        #expect(table.unreadable == 5 && table.sorted.isEmpty)
        record.sent = Int.max
        let huge = self.table([record, record]).sorted
        #expect(huge.first?.bytesToCallee == Int.max)
    }

    @Test("edges have a limit; what is beyond it is counted")
    func limit() {
        var table = EdgeTable()
        for port in 0...EdgeTable.edgesMaximum {
            var record = RecordFixture()
            record.port = port
            Array(record.json.utf8).withUnsafeBytes { table.add($0) }
            #expect(table.omitted == (port < EdgeTable.edgesMaximum ? 0 : 1))
        }
        #expect(table.sorted.count == EdgeTable.edgesMaximum)
    }

    @Test("DOT and SVG hold every edge, and no name can break out of them")
    func drawings() throws {
        var hostile = RecordFixture(event: "denied", id: nil)
        hostile.source = #"</text><script>alert(1)</script>\"]; x & 'y'\u0007"#
        let edges = table([RecordFixture(), hostile, RecordFixture(source: "spiffe://d/ns/default/w/web")])
            .sorted
        let graph = EdgeGraph(edges)
        let parser = XMLParser(data: Data(graph.svg.utf8))
        let counter = PathCounter()
        parser.delegate = counter
        #expect(parser.parse(), "\(String(describing: parser.parserError))")
        #expect(counter.edges == 3)
        #expect(!graph.svg.contains("<script"))
        #expect(graph.dot.contains(#"\"]; x & 'y'?""#))
        #expect(graph.dot.components(separatedBy: " -> ").count == 4)
        #expect(XMLParser(data: Data(EdgeGraph([]).svg.utf8)).parse())
    }

    @Test("circles and many nodes are laid out too")
    func circles() {
        func edge(_ from: Int, _ to: Int) -> RecordFixture {
            RecordFixture(
                source: "spiffe://d/ns/default/w/n\(from)", destination: "spiffe://d/ns/default/w/n\(to)")
        }
        let circle = (0..<60).map { edge($0, ($0 + 1) % 60) } + (0..<200).map { edge($0, ($0 * 7) % 50) }
        let svg = EdgeGraph(table(circle).sorted).svg
        #expect(XMLParser(data: Data(svg.utf8)).parse())
    }

    @Test("the table, JSON, and one workload's edges come from files and admin sockets")
    func verb() throws {
        let mesh = FakeMesh()
        let records = RecordFixture.lines([RecordFixture(), Self.close("outbound", sent: 1234, received: 5)])
        _ = try mesh.write(RecordFixture.file(records), to: "state/records/default/client/aaaa.jsonl")
        let live = RecordFixture(direction: "inbound", received: 7).json
        mesh.start("default/web", ["/flows": .init(200, #"{"flows":[\#(live)]}"#)])
        let lines = try mesh.answer("edges").text.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(
            lines.last?.split(separator: " ").joined(separator: " ")
                == "default/client default/web 8080/tcp 1 1 1.2 kB 5 B 0 0 2026-01-01T00:00:00.000Z")
        let json = JSON(parsing: Array(try mesh.answer("edges", "--json").text.utf8))
        #expect(json?["edges"].list.first?["bytes_to_callee"].integer == 1234)
        #expect(try mesh.answer("edges", "--workload", "api").text == "No flow is on record.\n")
        #expect(try mesh.answer("edges", "--dot").text.hasPrefix("digraph"))
        #expect(throws: (any Error).self) { try Mesh.parseAsRoot(["edges", "--dot", "--json"]) }
    }
}

private final class PathCounter: NSObject, XMLParserDelegate {
    var edges = 0

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String] = [:]
    ) {
        if attributes["class"]?.hasPrefix("edge") == true { edges += 1 }
    }
}
