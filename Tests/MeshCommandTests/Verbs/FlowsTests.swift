import ArgumentParser
import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct FlowsTests {
    static func record(_ event: String, id: String, time: String, reason: String = "") -> String {
        #"{"time":"\#(time)","event":"\#(event)","flow_id":"\#(id)","direction":"inbound","protocol":"tcp","#
            + #""src":{"identity":"spiffe://d/ns/default/w/client","addr":"198.18.9.9:40000"},"#
            + #""dst":{"identity":"spiffe://d/ns/default/w/web","addr":"198.18.3.4:8080"},"#
            + #""verdict":"allow","bytes_sent":1234567,"bytes_recv":12,"duration_ms":61500,"reason":"\#(reason)","#
            + #""prev":"ff"}"#
    }

    static let id = "00112233445566778899aabbccddeeff"

    @Test("open flows are shown with both ends, bytes and age, from every instance or from one")
    func open() throws {
        let mesh = FakeMesh()
        let flow = FlowsTests.record("open", id: FlowsTests.id, time: "2026-01-01T00:00:00.000Z")
        mesh.start("default/web", ["/flows": .init(200, #"{"flows":[\#(flow)]}"#)])
        mesh.start("default/client", instance: "aaaaaaaaaaaaaaaa", ["/flows": .init(200, #"{"flows":[]}"#)])
        let lines = try mesh.answer("flows").text.split(separator: "\n")
        try #require(lines.count == 2)
        #expect(
            lines[1].split(separator: " ").map(String.init) == [
                "default/web", "default/client", "198.18.9.9:40000", "default/web", "198.18.3.4:8080", "tcp",
                "1.2",
                "MB", "12", "B", "1m01s", "001122334455",
            ])
        #expect(try mesh.answer("flows", "--workload", "client").text == "No flow is open.\n")
        let json = try mesh.answer("flows", "--json").text
        #expect(
            json.hasPrefix(
                #"{"flows":[{"workload":"default/web","instance":"3f9a01c2d4e5f6070011223344556677","time":"#)
        )
        #expect(json.contains(#""prev":"ff""#))
    }

    @Test("ended flows come from the records, with the reason, the last ones last")
    func ended() throws {
        let mesh = FakeMesh()
        let (first, last) = ("2026-01-01T00:00:01.000Z", "2026-01-01T00:00:02.000Z")
        let text =
            [
                "half a record from before}", FlowsTests.record("open", id: FlowsTests.id, time: first),
                FlowsTests.record("denied", id: "", time: last),
                FlowsTests.record("close", id: FlowsTests.id, time: first, reason: "policy"),
            ].joined(separator: "\n") + "\n{\"unfinished\":"
        _ = try mesh.write(text, to: "state/records/default/web/3f9a01c2d4e5f6070011223344556677.jsonl")
        let lines = try mesh.answer("flows", "--ended").text.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[1].contains(" close ") && lines[1].hasSuffix("policy"))
        #expect(lines[2].contains(" denied "))
        #expect(try mesh.answer("flows", "--ended", "--last", "1").text.split(separator: "\n").count == 2)
        #expect(try mesh.answer("flows", "--ended", "--workload", "api").text.hasPrefix("No ended flow"))
    }

    @Test("watching tells each record once, when its line is whole, also of new and rotated files")
    func watch() throws {
        let mesh = FakeMesh()
        let name = "state/records/default/web/3f9a.jsonl"
        let line = FlowsTests.record("open", id: FlowsTests.id, time: "t1") + "\n"
        _ = try mesh.write(line, to: name)
        var watch = FlowWatch(paths: mesh.paths, workload: nil, json: false)
        #expect(watch.news() == "")
        _ = try mesh.write(line + line.prefix(20), to: name)
        #expect(watch.news() == "")
        _ = try mesh.write(line + line, to: name)
        #expect(
            watch.news().hasPrefix("t1  open  default/web: default/client 198.18.9.9:40000 -> default/web "))
        #expect(watch.news() == "")
        _ = try mesh.write(line, to: "state/records/default/api/aaaa.jsonl")
        #expect(watch.news().contains("default/api:"))
        _ = try mesh.write(line, to: name)
        #expect(watch.news().contains("default/web:"))
    }

    @Test("--watch and --ended exclude each other, and --last has bounds")
    func validation() throws {
        #expect(throws: (any Error).self) { try Mesh.parseAsRoot(["flows", "--watch", "--ended"]) }
        #expect(throws: (any Error).self) { try Mesh.parseAsRoot(["flows", "--last", "0"]) }
        #expect(throws: (any Error).self) { try Mesh.parseAsRoot(["flows", "--last", "100001"]) }
        #expect(throws: Never.self) { try Mesh.parseAsRoot(["flows", "--last", "100000"]) }
    }

    @Test("a silent sidecar is named, and the others' flows are shown")
    func broken() throws {
        let mesh = FakeMesh()
        mesh.start("default/web", status: "no JSON")
        let answer = try mesh.answer("flows")
        #expect(answer.exitCode == 1)
        #expect(answer.warning.contains("doesn't answer"))
    }
}

@Suite struct WhoisTests {
    @Test("an address is told by who was given it, who calls it, or who has a flow with it")
    func addresses() throws {
        let mesh = FakeMesh()
        let flow = FlowsTests.record("open", id: FlowsTests.id, time: "t")
        mesh.start("default/web", ["/flows": .init(200, #"{"flows":[\#(flow)]}"#)])
        #expect(
            try mesh.answer("whois", "198.18.3.4").text
                == "198.18.3.4 is spiffe://local-1/ns/default/w/web itself, in default/web (3f9a01c2)\n")
        #expect(
            try mesh.answer("whois", "198.18.7.7").text
                == "198.18.7.7 is default/db as called by default/web (3f9a01c2)\n")
        #expect(try mesh.answer("whois", "198.18.9.9").text.contains("w/client in a flow of default/web"))
        #expect(throws: Complaint.self) { try mesh.answer("whois", "198.18.1.1") }
        #expect(
            try mesh.answer("whois", "198.18.1.1", "--json") == Answer(text: "{\"found\":[]}\n", exitCode: 1))
    }

    @Test("a flow is told by the first digits of its id, four at least")
    func flows() throws {
        let mesh = FakeMesh()
        let flow = FlowsTests.record("open", id: FlowsTests.id, time: "t")
        mesh.start("default/web", ["/flows": .init(200, #"{"flows":[\#(flow)]}"#)])
        #expect(
            try mesh.answer("whois", "0011").text
                == "flow 0011223344556677 is default/client 198.18.9.9:40000 -> default/web 198.18.3.4:8080, allow, "
                + "inbound of default/web (3f9a01c2)\n")
        for subject in ["001", "web", "00112233445566778899aabbccddeeff0"] {
            let complaint = #expect(throws: Complaint.self) { try mesh.answer("whois", subject) }
            #expect(complaint?.exitCode == 64)
        }
    }
}
