import Foundation
import SidecarProtocol
import Testing

extension LaunchTests {
    @Suite("The sidecar")
    struct SidecarTests {
        @Test(
            "the workload begins only when the sidecar is ready, and the sidecar learns its process id",
            arguments: Caller.possible)
        func order(caller: Caller) throws {
            let bench = try Bench(caller)
            let running = try bench.start(["--", "/bin/sh", "-c", "echo up; sleep 100"])
            running.awaitOutput("up")
            #expect(Deadline.poll { bench.messages(3).count == 1 })
            let workload = try #require(bench.messages(3).first?[1] as? Int)
            #expect(Host.commandLine(pid_t(workload)).hasSuffix("echo up; sleep 100"))
            let kinds = bench.notes().compactMap { ($0["message"] as? [Any])?.first as? Int }
            #expect(kinds == [1, 2, 3])
            kill(running.pid, SIGTERM)
            #expect(running.finish().end == .killed(SIGTERM))
        }

        @Test(
            "a killed sidecar is replaced under its workload, with the same networks",
            arguments: Caller.possible)
        func replaced(caller: Caller) throws {
            let bench = try Bench(caller)
            let running = try bench.start(["--", "/bin/sh", "-c", "echo up; sleep 100"])
            running.awaitOutput("up")
            #expect(Deadline.poll { bench.messages(3).count == 1 })
            for incarnation in 2...4 {
                let sidecar = try #require(bench.notes().last?["pid"] as? Int)
                kill(pid_t(sidecar), SIGKILL)
                #expect(Deadline.poll { bench.messages(3).count == incarnation })
            }
            let starts = bench.messages(1)
            #expect(starts.map { $0[3] as? Int } == [1, 2, 3, 4])
            #expect(Set(starts.map { $0[2] as? String }).count == 1, "one instance")
            let networks = bench.notes().filter { ($0["message"] as? [Any])?.first as? Int == 2 }
                .compactMap { $0["descriptors"] as? [String] }
            #expect(networks.count == 4 && Set(networks).count == 1, "\(networks)")
            let begins = bench.notes().filter { $0["event"] as? String == "begin" }
            #expect(Set(begins.compactMap { $0["user"] as? String }).count == 1, "one user namespace A")
            #expect(running.isRunning)
            running.send(SIGTERM)
            #expect(running.finish().end == .killed(SIGTERM))
            bench.expectNoLeftovers()
        }

        @Test("a replacement that fails is tried again", arguments: Caller.possible)
        func replacementFails(caller: Caller) throws {
            let bench = try Bench(caller)
            let running = try bench.start(["--", "/bin/sh", "-c", "echo up; sleep 100"])
            running.awaitOutput("up")
            #expect(Deadline.poll { bench.messages(3).count == 1 })
            try bench.setMode("die-once")
            let sidecar = try #require(bench.notes().last?["pid"] as? Int)
            kill(pid_t(sidecar), SIGKILL)
            #expect(Deadline.poll { bench.messages(3).count == 2 })
            #expect(bench.messages(1).map { $0[3] as? Int } == [1, 2, 3])
            running.send(SIGTERM)
            _ = running.finish()
        }

        @Test(
            "it has the host's network, a user namespace of its own, its own group and four descriptors",
            arguments: Caller.possible)
        func surroundings(caller: Caller) throws {
            let bench = try Bench(caller)
            bench.environment["NOTIFY_SOCKET"] = "@mesh-launch-test-nowhere"
            _ = try bench.script("true")
            let begin = try #require(bench.notes().first)
            let network = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
            let user = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/user")
            #expect(begin["net"] as? String == network)
            #expect(begin["user"] as? String != user)
            #expect(begin["group"] as? Int == begin["pid"] as? Int)
            // The fifth is the listing's own.
            #expect(
                (begin["open"] as? [Int])?.prefix(4) == [0, 1, 2, 3] && (begin["open"] as? [Int])?.count == 5)
            #expect((begin["environment"] as? [String: String])?["NOTIFY_SOCKET"] == nil)
        }

        @Test("it gets what it needs to begin", arguments: Caller.possible)
        func startMessage(caller: Caller) throws {
            let bench = try Bench(caller)
            _ = try bench.run(["--name", "shop/web", "--serve", "8080", "--join", "--", "true"])
            let start = try #require(bench.messages(1).first)
            let bytes = try #require((start[1] as? String).flatMap { [UInt8](hex: $0) })
            let configuration = try WorkloadConfiguration(canonical: bytes)
            #expect(configuration.workload.description == "shop/web")
            #expect(configuration.command == ["true"])
            #expect(start[4] as? String == bench.path("run"))
            #expect(start[5] as? String == bench.path("state"))
            #expect(start[6] as? String == bench.path("config"))
            let program = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "/usr/bin/true")))
            #expect(start[7] as? String == SHA256.hash(program).hex)
            #expect(start[8] is NSNull)
            #expect(start[9] as? Bool == true)
            #expect(start[10] as? Bool == false)
            #expect(start[11] as? String == bench.path("bin/mesh-sidecar"))
        }

        @Test("it writes to the instance's log, or to standard error where that is asked for")
        func log() throws {
            let bench = try Bench(Caller.possible[0])
            let quiet = try bench.script("true")
            #expect(quiet.output.isEmpty && quiet.errors.isEmpty)
            let loud = try bench.script("true", options: ["--log-stderr"])
            #expect(loud.output + loud.errors == "sidecar begins\n")
        }

        @Test("the node is started where none answers, detached", arguments: Caller.possible)
        func node(caller: Caller) throws {
            let bench = try Bench(caller)
            #expect(try bench.script("true").end == .exited(0))
            let log = bench.folder.appending(path: "bin/node.log")
            #expect(
                Deadline.poll { (try? String(contentsOf: log, encoding: .utf8))?.hasSuffix(" /\n") == true })
        }

        @Test("it finds the instance's folder with the configuration, for as long as the launch lasts")
        func instanceFolder() throws {
            let bench = try Bench(Caller.possible[0])
            let running = try bench.start(["--name", "web", "--", "/bin/sh", "-c", "echo up; sleep 100"])
            running.awaitOutput("up")
            let instance = try #require(bench.messages(1).first?[2] as? String)
            let folder = bench.folder.appending(path: "run/instances/\(instance.prefix(16))")
            let configuration = try WorkloadConfiguration(
                canonical: [UInt8](Data(contentsOf: folder.appending(path: "config"))))
            #expect(configuration.workload.name == "web")
            let status = try FileManager.default.attributesOfItem(atPath: folder.path(percentEncoded: false))
            #expect(status[.posixPermissions] as? Int == 0o700)
            guard
                case .array(let parts) = try CBOR(
                    canonical: [UInt8](Data(contentsOf: folder.appending(path: "launch"))))
            else { throw CBORError.unexpected(field: "launch") }
            #expect(parts.prefix(2) == [.unsigned(UInt64(running.pid)), .text("sh")])
            running.send(SIGTERM)
            _ = running.finish()
            bench.expectNoLeftovers()
        }
    }
}
