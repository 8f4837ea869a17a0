import ArgumentParser
import Foundation
import Testing

@testable import MeshCommand

@Suite struct HelpTests {
    /// The command and everything below it, in the order that help lists them.
    private static func commands(_ command: any ParsableCommand.Type) -> [any ParsableCommand.Type] {
        [command] + command.configuration.subcommands.flatMap(commands)
    }

    @Test("help is what its snapshot says; MESH_UPDATE_SNAPSHOTS=1 writes it anew")
    func snapshot() throws {
        let text = HelpTests.commands(Mesh.self).map { command in
            "=== \(command)\n" + Mesh.helpMessage(for: command, columns: 100) + "\n"
        }.joined(separator: "\n")
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "help.txt")
        if ProcessInfo.processInfo.environment["MESH_UPDATE_SNAPSHOTS"] != nil {
            try Data(text.utf8).write(to: file)
        }
        let expected = String(decoding: try Data(contentsOf: file), as: UTF8.self)
        #expect(
            text == expected, "the help has changed; look at it, and run this with MESH_UPDATE_SNAPSHOTS=1")
    }

    @Test("every verb says its exit codes and offers JSON")
    func conventions() {
        for command in HelpTests.commands(Mesh.self) where command.configuration.subcommands.isEmpty {
            let help = Mesh.helpMessage(for: command, columns: 100)
            // What compile and print write is a format already.
            if ["ConfigCompile", "ConfigCompileNode", "ConfigPrint"].contains("\(command)") { continue }
            #expect(help.contains("--json"), "\(command)")
            if "\(command)" != "Version" { #expect(help.contains("Exit codes: "), "\(command)") }
        }
    }

    @Test("each shell's completion knows every verb", arguments: [CompletionShell.bash, .zsh, .fish])
    func completion(_ shell: CompletionShell) {
        let script = Mesh.completionScript(for: shell)
        for command in HelpTests.commands(Mesh.self) {
            #expect(script.contains(command._commandName), "\(command._commandName)")
        }
    }
}
