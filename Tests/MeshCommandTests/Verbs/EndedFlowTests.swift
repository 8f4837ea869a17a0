import Testing

@testable import MeshCommand

@Suite struct EndedFlowTests {
    static let name = "state/records/default/web/3f9a01c2d4e5f6070011223344556677.jsonl"

    @Test("a flow that is over is known by its records, once an end, by its last line")
    func ended() throws {
        let mesh = FakeMesh()
        let lines = RecordFixture.lines([
            RecordFixture(), RecordFixture(event: "close", reason: "policy"),
            RecordFixture(id: "ffff2233445566778899aabbccddeeff"),
        ])
        _ = try mesh.write(RecordFixture.file(lines), to: EndedFlowTests.name)
        let answer = try mesh.answer("whois", "00112233")
        #expect(answer.exitCode == 0)
        #expect(answer.text.contains("default/client") && answer.text.contains("default/web"))
        #expect(answer.text.contains("close at 2026-01-01") && answer.text.split(separator: "\n").count == 1)
        let json = try #require(
            JSON(parsing: Array(try mesh.answer("whois", "00112233", "--json").text.utf8)))
        #expect(json["found"].list.first?["reason"].text == "policy")
        #expect(throws: Complaint.self) { try mesh.answer("whois", "abcdef00") }
    }
}
