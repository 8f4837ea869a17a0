// Terminals and job control, with a real bash.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct TerminalTests {
    @Test("bash behind a sidecar keeps job control", arguments: Setting.all)
    func inside(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let terminal = try Terminal()
            terminal.give(to: mesh.person)
            let bash = try mesh.launch(
                "shell", environment: ["PS1": "ready> "], terminal: terminal.path,
                command: ["bash", "--norc", "--noprofile", "-i"])
            try await terminal.expect("ready> ")
            terminal.type("tty; sleep 300\n")
            try await terminal.expect("/dev/pts/")
            try await bash.hasInForeground("sleep")
            // The foreground job is stopped by the terminal, goes on in the background, and comes back.
            terminal.type("\u{1A}")
            try await terminal.expect("Stopped")
            terminal.type("bg; jobs\n")
            try await terminal.expect("Running")
            terminal.type("fg\n")
            try await terminal.expect("sleep 300")
            try await bash.hasInForeground("sleep")
            terminal.type("\u{03}")
            try await terminal.expect("ready> ")
            terminal.type("exit 7\n")
            #expect(try await bash.outcome().ending == .exited(7))
        }
    }

    @Test("a shell stops and continues mesh-launch as one job with its program", arguments: Setting.onVeth)
    func outside(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let terminal = try Terminal()
            terminal.give(to: mesh.person)
            let bash = try mesh.start(
                ["bash", "--norc", "--noprofile", "-i"], as: "bash", environment: ["PS1": "host> "],
                terminal: terminal.path)
            try await terminal.expect("host> ")
            terminal.type("mesh-launch -- sh -c 'echo begun; exec cat'\n")
            try await terminal.expect("begun\r\n")
            terminal.type("one\n")
            try await terminal.expect("one\r\none\r\n")
            terminal.type("\u{1A}")
            try await terminal.expect("Stopped")
            terminal.type("fg\n")
            try await terminal.expect("mesh-launch")
            // bash sets the terminal's mode before; what is typed earlier is lost with any program.
            try await bash.hasInForeground("cat")
            terminal.type("two\n")
            try await terminal.expect("two\r\ntwo\r\n")
            terminal.type("\u{03}")
            try await terminal.expect("host> ")
            terminal.type("echo code $?\n")
            try await terminal.expect("code 130")
            terminal.type("exit\n")
            _ = try await bash.outcome()
        }
    }
}

extension Running {
    /// Waits until a program of this name below it is the terminal's, and runs.
    fileprivate func hasInForeground(_ program: String) async throws {
        try await eventually("\(program) in the foreground") {
            Processes.descendants(of: Int(process.pid)).contains { process in
                Processes.name(of: process) == program && Processes.isForeground(process)
                    && !Processes.isStopped(process)
            }
        }
    }
}
