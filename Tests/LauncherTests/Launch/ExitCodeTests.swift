import Foundation
import Testing

/// Launches of the built executable, one at a time: they share the machine's two cores with nobody.
@Suite("Launches", .serialized)
enum LaunchTests {}

extension LaunchTests {
    @Suite("Exit codes")
    struct ExitCodeTests {
        @Test("the workload's exit code is the launcher's", arguments: Caller.possible)
        func exitCode(caller: Caller) throws {
            let bench = try Bench(caller)
            for code: Int32 in [0, 7, 255] {
                #expect(try bench.script("exit \(code)").end == .exited(code))
            }
            bench.expectNoLeftovers()
        }

        @Test("a launcher dies by the signal that its workload died by", arguments: Caller.possible)
        func deathBySignal(caller: Caller) throws {
            let bench = try Bench(caller)
            for signal in [SIGTERM, SIGKILL, SIGABRT, SIGUSR1] {
                #expect(try bench.script("kill -\(signal) $$").end == .killed(signal))
            }
            bench.expectNoLeftovers()
        }

        @Test("a command that isn't found is 127, one that can't be executed 126", arguments: Caller.possible)
        func commandCantRun(caller: Caller) throws {
            let bench = try Bench(caller)
            let missing = try bench.run(["--", "no-such-program-anywhere"])
            #expect(missing.end == .exited(127))
            #expect(missing.errors.contains("no-such-program-anywhere isn't found"))
            try bench.write("echo no", to: "plain.txt")
            let plain = try bench.run(["--", bench.path("plain.txt")])
            #expect(plain.end == .exited(126))
            try bench.write("#!/no/such/interpreter\n", to: "orphan", mode: 0o755)
            let orphan = try bench.run(["--", bench.path("orphan")])
            #expect(orphan.end == .exited(127))
            #expect(orphan.errors.contains("can't execute"))
            #expect(try bench.run(["--", "/"]).end == .exited(126))
            bench.expectNoLeftovers()
        }

        @Test("a wrong command line is 125, and says what to do")
        func wrongUse() throws {
            let bench = try Bench(Caller.possible[0])
            let unnamed = try bench.run(["--serve", "8080", "--", "true"])
            #expect(unnamed.end == .exited(125))
            #expect(
                unnamed.errors
                    == "mesh-launch: a workload without a name can't serve 8080/tcp; add --name NAME\n")
            #expect(try bench.run([]).end == .exited(125))
        }

        @Test("a sidecar that can't serve ends the launch with its reason", arguments: Caller.possible)
        func sidecarFails(caller: Caller) throws {
            let bench = try Bench(caller)
            try bench.setMode("fail")
            let refused = try bench.script("echo must not run")
            #expect(refused.end == .exited(125))
            #expect(refused.errors == "mesh-launch: no certificate for this name\n")
            #expect(refused.output.isEmpty)
            try bench.setMode("exit")
            let broken = try bench.script("echo must not run")
            #expect(broken.end == .exited(125))
            #expect(broken.errors.contains("mesh-sidecar ended with exit code 3"))
            #expect(broken.errors.contains("nothing works here"), "the log's end is shown")
            #expect(broken.output.isEmpty)
            bench.expectNoLeftovers()
        }

        @Test(
            "a signal before the workload runs ends the launch, and nothing runs", arguments: Caller.possible)
        func earlySignal(caller: Caller) throws {
            let bench = try Bench(caller)
            try bench.setMode("silent")
            let running = try bench.start(["--", "/bin/sh", "-c", "echo must not run"])
            #expect(Deadline.poll { !bench.messages(2).isEmpty }, "the networks are made")
            running.send(SIGTERM)
            let finished = running.finish()
            #expect(finished.end == .killed(SIGTERM))
            #expect(finished.output.isEmpty)
            bench.expectNoLeftovers()
        }
    }
}
