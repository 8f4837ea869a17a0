import Testing

@testable import MeshCommand

@Suite struct DrillCutTests {
    private func drill(_ reply: FakeSidecar.Reply, _ arguments: String...) throws -> Answer {
        let mesh = FakeMesh()
        mesh.start("default/web", ["/drill": reply])
        return try mesh.answer(["drill", "cut", "web"] + arguments)
    }

    private static func told(_ after: Int) -> String {
        let samples = (1...100).map { "\($0 * 10_000)" }.joined(separator: ",")
        return
            #"{"samples_ns":[\#(samples)],"last_byte_max_ns":900000,"bytes_after_cut":\#(after),"flows_open":7}"#
    }

    @Test("the figures are flat, and those of the samples")
    func figures() throws {
        let answer = try drill(.init(200, DrillCutTests.told(0)), "--json")
        let json = try #require(JSON(parsing: Array(answer.text.utf8)))
        #expect(answer.exitCode == 0)
        #expect(json["samples"].integer == 100 && json["bytes_after_cut"].integer == 0)
        for (key, value) in [("p50_ms", "0.50"), ("p99_ms", "0.99"), ("max_ms", "1.00")] {
            #expect(json[key] == .number(value))
        }
        #expect(try drill(.init(200, DrillCutTests.told(0))).text.contains("7 real flows"))
    }

    @Test("a byte after a cut is a failure, and so is a sidecar that can't")
    func failures() throws {
        #expect(try drill(.init(200, DrillCutTests.told(1))).exitCode == 1)
        let complaint = #expect(throws: Complaint.self) { try drill(.init(409, "a drill is under way")) }
        #expect(complaint?.what.contains("a drill is under way") == true)
        #expect(throws: Complaint.self) { try drill(.init(200, #"{"samples_ns":[]}"#)) }
    }
}
