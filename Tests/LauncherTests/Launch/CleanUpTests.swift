import Foundation
import Testing

extension LaunchTests {
    @Suite("Cleaning up")
    struct CleanUpTests {
        @Test(
            "after SIGKILL of the launcher no process, network or device is left", arguments: Caller.possible)
        func launcherKilled(caller: Caller) throws {
            let bench = try Bench(caller)
            let running = try bench.start([
                "--", "/bin/sh", "-c", "echo up; sleep 100 & setsid sleep 100 & sleep 100",
            ])
            running.awaitOutput("up")
            running.send(SIGKILL)
            #expect(running.finish().end == .killed(SIGKILL))
            #expect(Deadline.poll { bench.notes().last?["event"] as? String == "exit" })
            #expect(bench.notes().contains { $0["event"] as? String == "end of file" })
            // The folder is the sidecar's to remove in such a case, or the next launch's.
            #expect(try bench.script("true").end == .exited(0))
            bench.expectNoLeftovers()
        }

        @Test("after SIGKILL of the launcher nobody holds its networks")
        func networksEnd() throws {
            guard Caller.root.isPossible else { return }
            let bench = try Bench(.root)
            let running = try bench.start(["--", "/bin/sh", "-c", "echo up; sleep 100"])
            running.awaitOutput("up")
            #expect(Deadline.poll { bench.messages(3).count == 1 })
            let sidecar = try #require(bench.notes().last?["pid"] as? Int)
            // Held open, so that no other network gets its number meanwhile.
            let held = try (3...8).map { "/proc/\(sidecar)/fd/\($0)" }
                .filter { Host.link($0)?.hasPrefix("net:") == true }
                .map { try FileHandle(forReadingFrom: URL(fileURLWithPath: $0)) }
            let networks = Set(held.compactMap { Host.link("/proc/self/fd/\($0.fileDescriptor)") })
            #expect(networks.count == 2, "W and M")
            func holders() -> [pid_t] {
                Host.processes().filter { process in
                    process != getpid()
                        && Host.descriptorsAndNamespaces(process).contains { networks.contains($0) }
                }
            }
            #expect(!holders().isEmpty)
            running.send(SIGKILL)
            _ = running.finish()
            #expect(Deadline.poll { holders().isEmpty }, "\(holders())")
        }

        @Test("SIGKILL of the launcher at any moment of its start leaves nothing", arguments: Caller.possible)
        func launcherKilledEarly(caller: Caller) throws {
            let bench = try Bench(caller)
            for delay: UInt32 in stride(from: 0, through: 30_000, by: 2_500) {
                let running = try bench.start(["--", "sleep", "100"])
                // Not a wait for something: the moment itself is what varies.
                usleep(delay)
                running.send(SIGKILL)
                _ = running.finish()
            }
            #expect(try bench.script("true").end == .exited(0))
            // A launch that was killed before its folder had its name leaves a hidden draft at most.
            bench.expectNoLeftovers()
        }

        @Test("children that a workload leaves behind end with it", arguments: Caller.possible)
        func childrenEnd(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.script("setsid sleep 1000 & (trap '' TERM HUP; sleep 1000) & echo left")
            #expect(finished.end == .exited(0))
            bench.expectNoLeftovers()
        }

        @Test("orphans are reaped while the workload lives", arguments: Caller.possible)
        func orphansAreReaped(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.script(
                """
                i=0; while [ $i -lt 20 ]; do (true & ); i=$((i+1)); done
                for try in $(seq 200); do
                    grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null || { echo none; exit; }
                done
                echo zombies
                """)
            #expect(finished.output == "none\n")
        }

        @Test("a killed init ends the launch as its workload", arguments: Caller.possible)
        func initKilled(caller: Caller) throws {
            let bench = try Bench(caller)
            let running = try bench.start(["--", "/bin/sh", "-c", "echo up; sleep 100"])
            running.awaitOutput("up")
            let initial = try #require(
                Host.children(running.pid).first { Host.commandLine($0).contains("mesh-launch") })
            kill(initial, SIGKILL)
            #expect(running.finish().end == .killed(SIGKILL))
            bench.expectNoLeftovers()
        }

        @Test("a sidecar that doesn't end is killed after a while")
        func sidecarHangs() throws {
            let bench = try Bench(Caller.possible[0])
            try bench.setMode("hang")
            #expect(try bench.script("exit 4").end == .exited(4))
            bench.expectNoLeftovers()
        }

        @Test("the workload's end is told to the sidecar", arguments: Caller.possible)
        func finishIsSent(caller: Caller) throws {
            let bench = try Bench(caller)
            _ = try bench.script("exit 5")
            #expect(bench.messages(4).map { $0[1] as? Int } == [5 << 8])
        }
    }
}
