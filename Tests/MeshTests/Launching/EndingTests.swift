// How programs end, and what is left of them.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct EndingTests {
    @Test("every signal to the launcher is the program's, SIGHUP too", arguments: Setting.onVeth)
    func signals(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            // SIGKILL and SIGSTOP can't be caught, SIGCHLD is the launcher's own.
            let numbers =
                (1...31).filter { ![SIGKILL, SIGSTOP, SIGCHLD].contains(Int32($0)) } + [34, 40, 64]
            let program = """
                import signal, sys, time
                def tell(number, frame):
                    print("got", number, "\\n", end="")
                for number in map(int, sys.argv[1:]):
                    signal.signal(number, tell)
                print("ready")
                while True:
                    signal.pause()
                """
            let words = try mesh.python("signals", program) + numbers.map(String.init)
            let running = try mesh.launch(command: words)
            try await running.says("ready")
            for number in numbers {
                running.process.signal(Int32(number))
                try await running.says("got \(number) \n")
            }
            #expect(running.process.ended == nil)
            running.process.signal(SIGKILL)
            _ = try await running.outcome()
        }
    }

    @Test("a program that ignores SIGTERM goes on, with its flows, until SIGKILL", arguments: Setting.pairs)
    func stubborn(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("socat")
            let server = try mesh.launch(
                "echo", serves: ["7000"], accepts: ["client"],
                command: [
                    "sh", "-c",
                    "trap 'echo no' TERM; socat TCP-LISTEN:7000,reuseaddr,fork EXEC:'echo still here' & "
                        + "while true; do wait; done",
                ])
            try await server.listens(on: 7000)
            server.process.signal(SIGTERM)
            try await server.says("no")
            let client = try await mesh.run(
                "client", calls: ["echo"], command: ["socat", "-u", "TCP:echo.mesh:7000", "-"])
            #expect(client.line == "still here", "\(client)")
            server.process.signal(SIGKILL)
            #expect(try await server.outcome().ending == .killed(SIGKILL))
        }
    }

    @Test("children that a program leaves behind end with it", arguments: Setting.otherPairs)
    func children(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            // One in its own session, one that ignores what can be ignored, one whose parent is gone.
            let script = """
                sleep 300 &
                setsid sleep 301 &
                (trap '' HUP TERM INT; sleep 302 & sleep 303) &
                (sleep 304 &)
                exit 3
                """
            let outcome = try await mesh.run("parent", command: ["sh", "-c", script])
            #expect(outcome.ending == .exited(3), "\(outcome)")
        }
    }

    @Test("a program that kills everything it can see ends only itself", arguments: Setting.all)
    func killsAll(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let outcome = try await mesh.run(command: ["sh", "-c", "kill -KILL -1; kill -KILL 1; exit 5"])
            #expect(outcome.ending == .exited(5), "\(outcome)")
        }
    }

    @Test(
        "standard streams, arguments, environment and folder are the program's own", arguments: Setting.onVeth
    )
    func streams(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let input = Pipe()
            let running = try mesh.launch(
                environment: ["COLOUR": "green"], input: input.fileHandleForReading.fileDescriptor,
                command: [
                    "sh", "-c", "cat; echo \"$1 $COLOUR\"; pwd; echo to error >&2; ls /proc/self/fd", "-",
                    "a b",
                ])
            try input.fileHandleForReading.close()
            try input.fileHandleForWriting.write(contentsOf: Data("from input\n".utf8))
            try input.fileHandleForWriting.close()
            let outcome = try await running.outcome()
            // ls reads its folder by a descriptor of its own.
            #expect(outcome.output == "from input\na b green\n\(mesh.work)\n0\n1\n2\n3\n", "\(outcome)")
            #expect(outcome.error == "to error\n", "\(outcome)")
        }
    }

    @Test("inherited descriptors are closed", arguments: Setting.onVeth)
    func descriptors(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let script = "exec 9</etc/passwd 10<>/dev/null; exec mesh-launch -- ls /proc/self/fd"
            let outcome = try await mesh.host("bash", "-c", script)
            #expect(outcome.output == "0\n1\n2\n3\n", "\(outcome)")
        }
    }
}
