import Foundation
import Testing

@Suite("Sizes and leftovers")
struct SizeTests {
    @Test("a Swift file has at most 500 lines")
    func filesAreShort() {
        var long: [String] = []
        for file in SourceTree.swift {
            #expect(file.lineCount <= 500, "\(file.path) has \(file.lineCount) lines: split it")
            if file.lineCount > 300 { long.append("  \(file.lineCount) \(file.path)") }
        }
        // Not a failure: 300 is what a reader holds at once, and where to look for the next split.
        if !long.isEmpty { print("notice: files of more than 300 lines:\n" + long.joined(separator: "\n")) }
    }

    @Test("a function has at most 70 lines")
    func functionsAreShort() {
        for file in SourceTree.swift {
            for (line, length) in file.code.functions {
                #expect(length <= 70, "\(file.path):\(line): the function has \(length) lines")
            }
        }
    }

    @Test("nothing is left unfinished", arguments: ["TO" + "DO", "FIX" + "ME", "XX" + "X"])
    func nothingIsUnfinished(word: String) {
        for file in SourceTree.files where !file.path.contains("/Vectors/") {
            for (index, line) in file.lines.enumerated() where line.contains(word) {
                // Whole words: the template of mkdtemp has six letters of that kind.
                let words = line.split(whereSeparator: { !$0.isLetter })
                if words.contains(where: { $0 == word }) {
                    Issue.record("\(file.path):\(index + 1): \(word)")
                }
            }
        }
    }

    @Test("every limit is one that the program keeps to")
    func limitsAreKept() throws {
        let limits = try #require(SourceTree.text(of: "Sources/SidecarProtocol/Limits.swift"))
        let names = limits.matches(of: /static let ([A-Za-z0-9]+)/).map { String($0.output.1) }
        #expect(!names.isEmpty)
        var untested: [String] = []
        for name in names {
            func names(_ folder: String) -> Bool {
                SourceTree.swift.contains {
                    $0.path.hasPrefix(folder) && $0.parts.last != "Limits.swift" && $0.text.contains(name)
                }
            }
            #expect(names("Sources/"), "Limits.\(name) limits nothing")
            if !names("Tests/") { untested.append(name) }
        }
        // Not a failure: a test may reach a limit without naming it.
        if !untested.isEmpty {
            print("notice: limits that no test names: " + untested.joined(separator: ", "))
        }
    }

    @Test("no function stands for one that isn't written")
    func noStubs() {
        let stubs = ["fatal" + "Error(\"un", "fatal" + "Error(\"not", "fatal" + "Error(\"TO"]
        for file in SourceTree.swift {
            for (index, line) in file.lines.enumerated() where stubs.contains(where: { line.contains($0) }) {
                Issue.record("\(file.path):\(index + 1): \(line)")
            }
        }
    }

    @Test("names are the field's, never Manager, Helper or Utils")
    func namesSayWhatTheyAre() {
        let vague = ["Manager", "Helper", "Helpers", "Utils", "Utility", "Impl", "Common", "Misc"]
        for file in SourceTree.sources {
            for part in file.parts {
                let stem = part.split(separator: ".").first.map(String.init) ?? part
                #expect(!vague.contains { stem.hasSuffix($0) }, "\(file.path): `\(stem)` says nothing")
            }
        }
    }

    @Test("no path of one machine stands in the tree")
    func noMachinePaths() {
        let home = SourceTree.root.path(percentEncoded: false)
        let forbidden = [home, "/" + "home/", "/" + "root/", "/" + "Users/", "/" + "work/"]
        // A user of the tests has a home; a mount point is named where it is masked.
        let lawful = ["/" + "home/mesh-test"]
        for file in SourceTree.files {
            for (index, line) in file.lines.enumerated() {
                for path in forbidden
                where line.contains(path) && !lawful.contains(where: { line.contains($0) }) {
                    Issue.record("\(file.path):\(index + 1): \(path)")
                }
            }
        }
    }
}
