import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct TraceTests {
    private static let caller = "state/records/default/client/aaaaaaaaaaaaaaaa0011223344556677.jsonl"
    private static let callee = "state/records/default/web/3f9a01c2d4e5f6070011223344556677.jsonl"

    private func flow(
        _ direction: String, sent: Int, received: Int, reason: String = "finished", second: Int = 0
    ) -> [RecordFixture] {
        let rule = direction == "outbound" ? "calls[0] default/web" : "accepts[0] default/client"
        return [
            RecordFixture(direction: direction, time: "2026-01-01T00:00:0\(second).000Z", rule: rule),
            RecordFixture(
                event: "close", direction: direction, time: "2026-01-01T00:00:0\(second + 5).000Z",
                rule: rule, sent: sent, received: received, reason: reason),
        ]
    }

    private func write(_ records: [RecordFixture], _ name: String, _ mesh: FakeMesh) throws {
        _ = try mesh.write(RecordFixture.file(RecordFixture.lines(records)), to: name)
    }

    @Test("both ends are joined in time's order, and agree where what one sent the other received")
    func joined() throws {
        let mesh = FakeMesh()
        try write(flow("outbound", sent: 10, received: 2000, second: 1), TraceTests.caller, mesh)
        try write(flow("inbound", sent: 2000, received: 10), TraceTests.callee + ".1", mesh)
        let answer = try mesh.answer("trace", "00112233")
        #expect(answer.exitCode == 0)
        let text = answer.text
        #expect(text.hasPrefix("flow \(RecordFixture.id): default/client -> default/web 8080/tcp\n"))
        #expect(text.contains("accepts[0] default/client") && text.contains("calls[0] default/web"))
        #expect(text.hasSuffix("Both ends say the same.\n"))
        let json = try #require(
            JSON(parsing: Array(try mesh.answer("trace", RecordFixture.id, "--json").text.utf8)))
        #expect(
            json["timeline"].list.map { "\($0["end"].text ?? "") \($0["event"].text ?? "")" }
                == ["callee open", "caller open", "callee close", "caller close"])
        #expect(json["agrees"].bool == true)
    }

    @Test("what differs is said for both ends")
    func differing() throws {
        let mesh = FakeMesh()
        try write(
            flow("outbound", sent: 10, received: 1990, reason: "session-lost"), TraceTests.caller, mesh)
        try write(flow("inbound", sent: 2000, received: 10, reason: "policy"), TraceTests.callee, mesh)
        let answer = try mesh.answer("trace", "0011")
        #expect(answer.exitCode == 3)
        #expect(
            answer.text.contains("reason: session-lost at the caller, policy at the callee")
                && answer.text.contains(
                    "bytes to the caller: received 1990 at the caller, sent 2000 at the callee")
        )
        #expect(!answer.text.contains("bytes to the callee"))
    }

    @Test("an end that says nothing is named; records of another folder can say it")
    func silent() throws {
        let mesh = FakeMesh()
        try write(flow("outbound", sent: 1, received: 2), TraceTests.caller, mesh)
        let answer = try mesh.answer("trace", "0011")
        #expect(answer.exitCode == 3 && answer.text.contains("The callee's records aren't among those here"))
        try write(flow("inbound", sent: 2, received: 1), "copy/default/web/3f9a01c2.jsonl", mesh)
        #expect(try mesh.answer("trace", "0011", "--records", mesh.folder + "/copy").exitCode == 0)
    }

    @Test("a flow that is open is told by its sidecars too, with its bytes so far")
    func live() throws {
        let mesh = FakeMesh()
        try write([RecordFixture()], TraceTests.caller, mesh)
        let now = RecordFixture(direction: "inbound", time: "2026-01-01T00:00:07.000Z", sent: 77).json
        mesh.start("default/web", ["/flows": .init(200, #"{"flows":[\#(now)]}"#)])
        let answer = try mesh.answer("trace", "0011")
        #expect(answer.exitCode == 0)
        #expect(answer.text.contains("callee  live   77 B"))
        try write(flow("outbound", sent: 1, received: 2), TraceTests.caller, mesh)
        let half = try mesh.answer("trace", "0011")
        #expect(half.exitCode == 3 && half.text.contains("state: ended at the caller, open at the callee"))
    }

    @Test("an id that isn't unique, or unknown, or none is refused")
    func ambiguous() throws {
        let mesh = FakeMesh()
        var other = RecordFixture()
        other.id = "0011ffffffffffffffffffffffffffff"
        try write([RecordFixture(), other], TraceTests.caller, mesh)
        let two = #expect(throws: Complaint.self) { try mesh.answer("trace", "0011") }
        #expect(two?.exitCode == 1 && two?.what.contains("2 flows begin with 0011") == true)
        #expect(try mesh.answer("trace", "0011F").exitCode == 3)
        #expect(#expect(throws: Complaint.self) { try mesh.answer("trace", "abcd") }?.exitCode == 1)
        for wrong in ["001", "xyz1", RecordFixture.id + "0"] {
            #expect(#expect(throws: Complaint.self) { try mesh.answer("trace", wrong) }?.exitCode == 64)
        }
    }

    @Test("minutes beyond the limit are counted, and beginning and end are kept")
    func limit() {
        var trace = FlowTrace(id: RecordFixture.id)
        func add(_ event: String, _ time: Int) {
            var record = RecordFixture(event: event)
            record.time = "2026-01-01T00:00:00.\(1_000_000 + time)Z"
            trace.add(JSON(parsing: Array(record.json.utf8)) ?? .null, workload: "a/b", instance: "1")
        }
        add("open", 0)
        for number in 1..<FlowTrace.entriesMaximum { add("minute", number) }
        #expect(trace.omitted == 0)
        add("minute", FlowTrace.entriesMaximum)
        #expect(trace.omitted == 1)
        add("close", 9_000)
        #expect(trace.entries.count == FlowTrace.entriesMaximum + 1)
        #expect(trace.last(.caller)?.event == "close")
    }
}
