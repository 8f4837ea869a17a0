import Foundation
import Glibc
import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct TapTests {
    private static let name = "state/records/default/web/3f9a01c2.jsonl"

    private func append(_ text: String, to path: String) throws {
        let file = try #require(FileHandle(forWritingAtPath: path))
        try file.seekToEnd()
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    private func line(_ record: RecordFixture) -> String { record.json + "\n" }

    @Test("flows are told as they open, close and are denied, and minutes are not; only from now on")
    func kinds() throws {
        let mesh = FakeMesh()
        let path = try mesh.write(line(RecordFixture()), to: TapTests.name)
        var turn = try TapTurn(workload: "web", paths: mesh.paths, json: false)
        #expect(turn.news() == "")
        let denied = RecordFixture(event: "denied", id: nil, verdict: "deny", rule: "no rule in accepts")
        let closed = RecordFixture(event: "close", sent: 1234, received: 5, reason: "finished")
        try append(
            line(RecordFixture()) + line(RecordFixture(event: "minute")) + line(denied) + line(closed),
            to: path)
        let lines = turn.news().split(separator: "\n")
        #expect(lines.count == 3)
        #expect(
            lines.first == """
                2026-01-01T00:00:00.000Z  open     default/client -> default/web 8080/tcp  \
                calls[0] default/web  flow 001122334455  told by default/web
                """)
        #expect(lines[1].contains("denied") && lines[1].contains("no rule in accepts"))
        #expect(lines[2].contains("sent 1.2 kB, received 5 B in 5ms  finished"))
        #expect(turn.news() == "")
    }

    @Test("a line is told once it is whole")
    func halves() throws {
        let mesh = FakeMesh()
        let path = try mesh.write("", to: TapTests.name)
        var turn = try TapTurn(workload: "web", paths: mesh.paths, json: true)
        let text = line(RecordFixture())
        try append(String(text.prefix(100)), to: path)
        #expect(turn.news() == "")
        try append(String(text.dropFirst(100)), to: path)
        #expect(turn.news().hasPrefix(#"{"workload":"default/web","instance":"3f9a01c2","time":"#))
    }

    @Test("nothing is lost or told twice over a rotation")
    func rotation() throws {
        let mesh = FakeMesh()
        let path = try mesh.write("", to: TapTests.name)
        var turn = try TapTurn(workload: "web", paths: mesh.paths, json: true)
        func sent(_ text: String) -> [Int] {
            text.split(separator: "\n").compactMap { JSON(parsing: Array($0.utf8))?["bytes_sent"].integer }
        }
        for round in 0..<3 {
            try append(line(RecordFixture(sent: round * 10)), to: path)
            #expect(sent(turn.news()) == [round * 10])
            // Written and rotated before anybody looks.
            try append(line(RecordFixture(sent: round * 10 + 1)), to: path)
            rename(path, path + ".1")
            #expect(sent(turn.news()) == (round == 1 ? [11] : [round * 10 + 1]))
            _ = try mesh.write(line(RecordFixture(sent: round * 10 + 2)), to: TapTests.name)
            #expect(sent(turn.news()) == [round * 10 + 2])
        }
        try append(line(RecordFixture(sent: 90)), to: path)
        rename(path, path + ".1")
        _ = try mesh.write(line(RecordFixture(sent: 91)), to: TapTests.name)
        #expect(sent(turn.news()) == [90, 91])
    }

    @Test("a later instance is followed from its first line, other workloads are not")
    func others() throws {
        let mesh = FakeMesh()
        _ = try mesh.write("", to: TapTests.name)
        var turn = try TapTurn(workload: "web", paths: mesh.paths, json: true)
        _ = try mesh.write(line(RecordFixture()), to: "state/records/default/api/bbbb.jsonl")
        _ = try mesh.write(line(RecordFixture()), to: "state/records/default/web/cccc.jsonl")
        let news = turn.news()
        #expect(news.split(separator: "\n").count == 1 && news.contains("cccc"))
    }

    @Test("a name that nothing has is refused; one that runs without records is not")
    func names() throws {
        let mesh = FakeMesh()
        #expect(throws: Complaint.self) { try TapTurn(workload: "web", paths: mesh.paths, json: false) }
        mesh.start("default/web")
        #expect(throws: Never.self) { try TapTurn(workload: "web", paths: mesh.paths, json: false) }
    }
}
