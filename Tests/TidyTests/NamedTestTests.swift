import Foundation
import Testing

/// Documents that promise something name the tests that hold it.
@Suite("Tests that documents name")
struct NamedTestTests {
    /// `- `FileTests.swift`: "name of the test"`.
    private static var reference: Regex<(Substring, Substring, Substring)> {
        /^- `([A-Za-z0-9]+\.swift)`: "(.+)"$/
    }

    private static func references(in text: Substring) -> [(file: String, name: String)] {
        text.split(separator: "\n").compactMap { line in
            line.wholeMatch(of: reference).map { (String($0.output.1), String($0.output.2)) }
        }
    }

    @Test("exist, by file and name", arguments: ["SECURITY.md", "docs/NIST-800-207.md"])
    func exist(path: String) throws {
        let text = try #require(SourceTree.text(of: path))
        let references = Self.references(in: text[...])
        #expect(references.count > 15, "\(path) names no tests")
        for line in text.split(separator: "\n") where line.hasPrefix("- `") && line.contains(".swift`") {
            #expect(line.wholeMatch(of: Self.reference) != nil, "\(path): \(line)")
        }
        for (file, name) in references {
            let spelled = "\"\(name)\""
            let holds = SourceTree.swift.contains { source in
                source.path.hasPrefix("Tests/") && source.parts.last == file && source.text.contains(spelled)
            }
            #expect(holds, "\(path): no test \(spelled) in a \(file)")
        }
    }

    @Test("hold every row of the threat model")
    func threatsAreHeld() throws {
        let text = try #require(SourceTree.text(of: "SECURITY.md"))
        let rows = text.matches(of: /(?m)^\| \*\*([^*]+)\*\*/).map { String($0.output.1) }
        #expect(rows.count > 15)
        let held = try #require(text.range(of: "## What holds it"))
        let end = text[held.upperBound...].range(of: "\n## ")?.lowerBound ?? text.endIndex
        var tests: [String: Int] = [:]
        for part in text[held.upperBound..<end].components(separatedBy: "\n**").dropFirst() {
            let title = part.prefix { $0 != "*" }
            tests[String(title)] = Self.references(in: part[...]).count
        }
        for row in rows { #expect((tests[row] ?? 0) > 0, "no test is named for: \(row)") }
        for title in tests.keys { #expect(rows.contains(title), "no row of the threat model: \(title)") }
    }

    @Test("hold each of the seven tenets, which say what isn't covered")
    func tenetsAreHeld() throws {
        let text = try #require(SourceTree.text(of: "docs/NIST-800-207.md"))
        let sections = text.components(separatedBy: "\n## ").dropFirst()
        #expect(sections.count == 7)
        for (index, section) in sections.enumerated() {
            #expect(section.hasPrefix("\(index + 1). "))
            #expect(!Self.references(in: section[...]).isEmpty, "\(section.prefix(60))")
            #expect(section.contains("**Not covered:**"), "\(section.prefix(60))")
        }
    }
}
