// What certificates say of the program that runs.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct AttestationTests {
    private func digest(_ mesh: Mesh, of path: String) async throws -> String {
        let outcome = try await mesh.host("sha256sum", path)
        return outcome.output.split(separator: " ").first.map(String.init) ?? "\(outcome)"
    }

    @Test(
        "the digest is that of what runs, though its file is replaced or gone, and its sidecar another",
        arguments: Setting.pairs)
    func replaced(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let sleep = "\(mesh.work)/sleep"
            try await mesh.host("cp", "/bin/sleep", sleep)
            let expected = try await digest(mesh, of: sleep)
            let running = try mesh.launch("w", command: [sleep, "600"])
            try await running.isReady()
            func check(_ when: String) async throws {
                let executable = try await running.identity()["executable"]
                #expect(executable["sha256"].text == expected, "\(when): \(executable)")
                #expect(executable["attested"].text == "self", "\(when): \(executable)")
                #expect(executable["interpreter"].text == nil, "\(when): \(executable)")
            }
            try await check("at first")
            try await mesh.host("cp", "--remove-destination", "/bin/true", sleep)
            try await mesh.order("identity", "renew", "w")
            try await check("replaced")
            unlink(sleep)
            let status = try await running.status()
            kill(pid_t(status["sidecar_pid"].number ?? 0), SIGKILL)
            try await eventually("another sidecar") {
                try await running.status()["incarnation"].number == 2
            }
            try await check("gone")
            let program = Link.target(of: "/proc/\(status["workload_pid"].number ?? 0)/exe")
            #expect(program == sleep + " (deleted)")
            // As its file is called, wherever the kernel can be told.
            let name = ProcessFile.read("/proc/\(status["workload_pid"].number ?? 0)/comm")
            #expect(name == "sleep\n")
        }
    }

    @Test(
        "a script's digest is its own, and its interpreter is named with that one's", arguments: Setting.one)
    func script(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let script = try mesh.write(
                "#!/bin/sh -e\necho \"I am $0 with $*\"\nsleep 600\n", to: "tool.sh", mode: 0o755)
            let running = try mesh.launch("w", command: [script, "a", "b c"])
            try await running.says("I am \(script) with a b c")
            let executable = try await running.identity()["executable"]
            let (own, shell) = (try await digest(mesh, of: script), try await digest(mesh, of: "/bin/sh"))
            #expect(executable["sha256"].text == own, "\(executable)")
            #expect(executable["interpreter"].text == "/bin/sh", "\(executable)")
            #expect(executable["interpreter_sha256"].text == shell, "\(executable)")
            let shown = try await mesh.order("identity", "show", "w")
            #expect(shown.contains("interpreter") && shown.contains("/bin/sh, sha256"), "\(shown)")
            let bare = try mesh.write("echo bare; sleep 600\n", to: "bare", mode: 0o755)
            let other = try mesh.launch("v", command: [bare])
            try await other.says("bare")
            #expect(try await other.identity()["executable"]["interpreter"].text == "/bin/sh")
        }
    }

    @Test("a program that may be run and not read has no digest", arguments: Setting.one)
    func unreadable(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let sleep = "\(mesh.work)/sleep"
            try await mesh.host("cp", "/bin/sleep", sleep)
            chmod(sleep, 0o111)
            let running = try mesh.launch("w", command: [sleep, "600"])
            try await running.isReady()
            #expect(try await running.identity()["executable"]["sha256"].text == nil)
        }
    }
}
