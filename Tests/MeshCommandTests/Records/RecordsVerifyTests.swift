import Foundation
import Glibc
import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct RecordsVerifyTests {
    static let name = "state/records/default/web/3f9a01c2d4e5f6070011223344556677.jsonl"

    /// The verdict on one file of these lines, as JSON.
    private func verdict(_ content: String, older: [Int: String] = [:], lines: Int? = nil) throws -> (
        answer: Answer, series: JSON
    ) {
        let mesh = FakeMesh()
        _ = try mesh.write(content, to: RecordsVerifyTests.name)
        for (number, text) in older { _ = try mesh.write(text, to: RecordsVerifyTests.name + ".\(number)") }
        if let lines {
            mesh.start(
                "default/web", ["/metrics": .init(200, "# HELP x\nmesh_records_lines_total \(lines)\n")])
        }
        let answer = try mesh.answer("records", "verify", "web", "--json")
        let json = try #require(JSON(parsing: Array(answer.text.utf8)))
        return (answer, try #require(json["series"].list.first))
    }

    /// `line kind` of each finding.
    private func findings(_ content: String, older: [Int: String] = [:], lines: Int? = nil) throws -> [String]
    {
        let (answer, series) = try verdict(content, older: older, lines: lines)
        let found = series["findings"].list.map { "\($0["line"].integer ?? 0) \($0["kind"].text ?? "")" }
        #expect(answer.exitCode == (found.isEmpty ? 0 : 1))
        return found
    }

    @Test("a line that a sidecar wrote is proved by its chain, byte for byte")
    func golden() throws {
        // Written by `RecordFile` of Sources/Sidecar; see its tests for the record.
        let line = RecordFixture.lines([RecordFixture()])[0]
        let (body, chain) = try #require(
            Array(line.utf8).withUnsafeBytes { bytes in
                RecordChain.split(bytes).map { (Array($0.body), $0.chain) }
            })
        #expect(body == Array(RecordFixture().body.utf8))
        #expect(BLAKE2b.hash(body, key: RecordChain.beginning) == chain)
    }

    @Test("intact, empty and missing files are told as such")
    func intact() throws {
        let lines = RecordFixture.lines(RecordFixture.some(5))
        #expect(try findings(RecordFixture.file(lines)) == [])
        #expect(try findings("") == [])
        let mesh = FakeMesh()
        #expect(try mesh.answer("records", "verify") == Answer(text: "There are no records.\n"))
        let complaint = #expect(throws: Complaint.self) { try mesh.answer("records", "verify", "web") }
        #expect(complaint?.exitCode == 2)
        _ = try mesh.write(RecordFixture.file(lines), to: RecordsVerifyTests.name)
        let text = try mesh.answer("records", "verify").text
        #expect(text == "default/web (3f9a01c2): 5 lines in 1 file, intact\n")
    }

    @Test("each byte of a line matters", arguments: [0, 1, 4])
    func changed(_ place: Int) throws {
        let lines = RecordFixture.lines(RecordFixture.some(5))
        let bytes = Array(lines[place].utf8)
        for index in bytes.indices.filter({ $0 % 7 == 0 }) + [bytes.count - 70, bytes.count - 1] {
            var edited = bytes
            edited[index] ^= 1
            var copy = lines
            copy[place] = String(decoding: edited, as: UTF8.self)
            #expect(try !findings(RecordFixture.file(copy)).isEmpty, "byte \(index) of line \(place + 1)")
        }
    }

    @Test("a changed line is named; the ones after it are not blamed")
    func changedOnce() throws {
        var lines = RecordFixture.lines(RecordFixture.some(6))
        lines[2] = lines[2].replacingOccurrences(of: "w/client", with: "w/nobody")
        lines[4] = lines[4].replacingOccurrences(of: "allow", with: "deny_")
        #expect(try findings(RecordFixture.file(lines)) == ["3 changed", "5 changed"])
    }

    @Test("a line that was changed and given a fitting chain is found by the next one")
    func rechained() throws {
        let records = RecordFixture.some(4)
        var lines = RecordFixture.lines(records)
        let before = [UInt8](hex: String(lines[0].suffix(66).prefix(64)))!
        lines[1] = RecordFixture.lines([RecordFixture(sent: 999)], from: before)[0]
        #expect(try findings(RecordFixture.file(lines)) == ["3 changed"])
    }

    @Test("missing lines are found where they were: in the middle and at the beginning")
    func missing() throws {
        let lines = RecordFixture.lines(RecordFixture.some(6))
        #expect(try findings(RecordFixture.file(Array(lines[..<2] + lines[3...]))) == ["3 changed"])
        #expect(try findings(RecordFixture.file(Array(lines[1...]))) == ["1 changed"])
    }

    @Test("moved and repeated lines are named with the line that they follow")
    func moved() throws {
        let lines = RecordFixture.lines(RecordFixture.some(5))
        let swapped = RecordFixture.file([lines[0], lines[2], lines[1], lines[3], lines[4]])
        #expect(try findings(swapped) == ["2 moved", "3 moved", "4 moved"])
        let text = try verdict(swapped).series["findings"].list[1]["what"].text
        #expect(text?.contains("after line 1") == true)
        #expect(try findings(RecordFixture.file([lines[0], lines[1], lines[1], lines[2]])) == ["3 moved"])
    }

    @Test("lines cut off at the end are missed only where a sidecar runs that wrote them")
    func cutOff() throws {
        let lines = RecordFixture.lines(RecordFixture.some(5))
        let cut = RecordFixture.file(Array(lines[..<3]))
        #expect(try findings(cut) == [])
        #expect(try findings(cut, lines: 5) == ["4 cut-off"])
        #expect(try findings(cut, lines: 3) == [])
        // An earlier incarnation wrote the others.
        #expect(try findings(cut, lines: 1) == [])
    }

    @Test("a torn last line is found, and one that the next record was written after")
    func torn() throws {
        let lines = RecordFixture.lines(RecordFixture.some(3))
        let content = RecordFixture.file(lines) + lines[0].prefix(100)
        #expect(try findings(content) == ["4 torn"])
        // A replaced sidecar ends the torn line, and goes on from the one before.
        let all = RecordFixture.lines(RecordFixture.some(5))
        let parts = [String(all[3].prefix(99))] + all[3...]
        #expect(try findings(RecordFixture.file(Array(all[..<3]) + parts)) == ["4 torn"])
        // Or begins anew right behind it.
        let anew = RecordFixture.file(RecordFixture.lines(RecordFixture.some(2)))
        #expect(try findings(content + anew) == ["4 torn"])
        #expect(try findings(RecordFixture.file(lines) + anew) == ["4 begun-anew"])
    }

    @Test("garbage and lines without end are named, and memory stays bounded")
    func garbage() throws {
        let lines = RecordFixture.lines(RecordFixture.some(3))
        let long = String(repeating: "x", count: LineScan.lineBytesMaximum + 10)
        #expect(
            try findings(RecordFixture.file([lines[0], "garbage", long, lines[1], "", lines[2]]))
                == ["2 unreadable", "3 unreadable", "5 unreadable"])
        let many = (0..<200).map { _ in "garbage" }
        let series = try verdict(RecordFixture.file(many)).series
        #expect(series["findings"].list.count == RecordChain.breaksMaximum)
        #expect(series["findings_total"].integer == 200)
    }

    @Test("the chain goes on over rotated files, the oldest first")
    func rotated() throws {
        let lines = RecordFixture.lines(RecordFixture.some(9))
        let (first, second, third) = (lines[..<3], lines[3..<6], lines[6...])
        func file(_ lines: ArraySlice<String>) -> String { RecordFixture.file(Array(lines)) }
        let older = [2: file(first), 1: file(second)]
        #expect(try findings(file(third), older: older) == [])
        #expect(
            try findings(file(third), older: [2: file(first), 1: file(second.dropLast())]) == ["1 changed"])
        #expect(try findings(file(third), older: [2: file(first)]) == ["1 changed"])
        #expect(try findings(file(third), older: [2: file(second), 1: file(first)]).count == 3)
        // The name of any of them leads to all.
        let mesh = FakeMesh()
        _ = try mesh.write(file(third), to: RecordsVerifyTests.name)
        let path = try mesh.write(file(first), to: RecordsVerifyTests.name + ".2")
        _ = try mesh.write(file(second), to: RecordsVerifyTests.name + ".1")
        let answer = try mesh.answer("records", "verify", path)
        #expect(answer.exitCode == 0 && answer.text.contains("9 lines in 3 files, intact"))
    }

    @Test("once the oldest files were dropped, the first line can't be proved, and that is said")
    func dropped() throws {
        let lines = RecordFixture.lines(RecordFixture.some(8))
        func file(_ range: Range<Int>) -> String { RecordFixture.file(Array(lines[range])) }
        let (answer, series) = try verdict(
            file(6..<8), older: [3: file(1..<3), 2: file(3..<5), 1: file(5..<6)])
        #expect(answer.exitCode == 0)
        #expect(series["notes"].list.count == 1)
        // Before that many files there is no excuse.
        #expect(try findings(file(6..<8), older: [2: file(1..<5), 1: file(5..<6)]) == ["1 changed"])
    }

    @Test("a file that can't be read is said, with exit code 2")
    func unreadable() throws {
        let mesh = FakeMesh()
        let path = try mesh.write("x", to: RecordsVerifyTests.name)
        unlink(path)
        mkdir(path, 0o700)
        let complaint = #expect(throws: Complaint.self) { try mesh.answer("records", "verify") }
        #expect(complaint?.exitCode == 2)
    }
}
