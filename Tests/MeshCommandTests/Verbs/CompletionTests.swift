import ArgumentParser
import Foundation
import Testing

@testable import MeshCommand

@Suite struct CompletionTests {
    @Test("each shell has its script", arguments: ["bash", "zsh", "fish"])
    func shells(_ shell: String) throws {
        let command = try #require(try Mesh.parseAsRoot(["completion", shell]) as? Completion)
        #expect(command.shell.rawValue == shell)
        #expect(throws: (any Error).self) { try Mesh.parseAsRoot(["completion", "csh"]) }
    }

    @Test(
        "bash completes verbs, nouns and options by it",
        arguments: [
            ("mesh pi", ["ping"]), ("mesh records v", ["verify"]), ("mesh drill ", ["cut"]),
            ("mesh ping --js", ["--json"]), ("mesh completion f", ["fish"]),
        ])
    func bash(_ line: String, _ expected: [String]) throws {
        let script = Mesh.completionScript(for: .bash)
        let words = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        let driver = """
            \(script)
            COMP_WORDS=(\(words.map { "'\($0)'" }.joined(separator: " ")))
            COMP_CWORD=\(words.count - 1)
            COMP_LINE='\(line)'
            COMP_POINT=\(line.utf8.count)
            function_name=$(complete -p mesh | sed -E 's/.*-F ([^ ]+).*/\\1/')
            "$function_name" mesh "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>/dev/null
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["--norc", "-c", driver]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let replies = output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        for word in expected { #expect(replies.contains(word), "\(line): \(replies)") }
    }
}
