import Foundation
import SidecarProtocol
import Testing

extension LaunchTests {
    @Suite("Config files")
    struct ConfigurationFileTests {
        /// Lets the stand-in for `mesh` compile web.yaml to this.
        static func prepare(
            _ bench: Bench, name: String, change: (inout WorkloadConfiguration) -> Void = { _ in }
        ) throws {
            var configuration = WorkloadConfiguration(
                workload: try WorkloadName(namespace: "default", name: name))
            change(&configuration)
            try bench.write("mesh: 1\n", to: "web.yaml")
            try Data(configuration.encoded()).write(to: bench.bin("compiled"))
        }

        private func compilations(_ bench: Bench) -> Int {
            let log = (try? String(contentsOf: bench.bin("mesh.log"), encoding: .utf8)) ?? ""
            return log.split(separator: "\n").count { $0.hasPrefix("config compile") }
        }

        @Test("a file's command runs, and the file is compiled once", arguments: Caller.possible)
        func commandFromFile(caller: Caller) throws {
            let bench = try Bench(caller)
            try ConfigurationFileTests.prepare(bench, name: "web") { $0.command = ["echo", "from the file"] }
            for _ in 1...2 {
                #expect(try bench.run(["--config", bench.path("web.yaml")]).output == "from the file\n")
            }
            #expect(compilations(bench) == 1)
            try bench.write("mesh: 1\n# changed\n", to: "web.yaml")
            _ = try bench.run(["--config", bench.path("web.yaml")])
            #expect(compilations(bench) == 2)
            #expect(bench.messages(1).allSatisfy { $0[8] as? String == bench.path("web.yaml") })
        }

        @Test("a file is compiled anew under another trust bundle, which may read its names otherwise")
        func otherBundle() throws {
            let bench = try Bench(Caller.possible[0])
            try ConfigurationFileTests.prepare(bench, name: "web") { $0.command = ["true"] }
            for (bundle, count) in [
                (Bench.trustBundle, 1), (Bench.otherTrustBundle, 2), (Bench.trustBundle, 2),
            ] {
                try Data(bundle).write(to: URL(fileURLWithPath: bench.path("state/trust/bundle")))
                #expect(try bench.run(["--config", bench.path("web.yaml")]).end == .exited(0))
                #expect(compilations(bench) == count)
            }
        }

        @Test("a file that can't be used ends the launch with the compiler's words")
        func brokenFile() throws {
            let bench = try Bench(Caller.possible[0])
            try ConfigurationFileTests.prepare(bench, name: "web")
            try bench.write("web.yaml:3: serves is a text\n", to: "bin/complaint")
            let broken = try bench.run(["--config", bench.path("web.yaml"), "--", "true"])
            #expect(broken.end == .exited(125))
            #expect(broken.errors.hasPrefix("web.yaml:3: serves is a text\nmesh-launch: the config file "))
            let absent = try bench.run(["--config", bench.path("absent.yaml"), "--", "true"])
            #expect(absent.end == .exited(125))
            #expect(absent.errors.contains("absent.yaml: No such file"))
        }

        @Test("flags complete the file")
        func flags() throws {
            let bench = try Bench(Caller.possible[0])
            try ConfigurationFileTests.prepare(bench, name: "web") {
                $0.command = ["true"]
                $0.serves = [ServicePort(8080, .tcp)]
            }
            _ = try bench.run([
                "--config", bench.path("web.yaml"), "--serve", "9090/udp", "--namespace", "shop",
            ])
            let start = try #require(bench.messages(1).first?[1] as? String)
            let configuration = try WorkloadConfiguration(canonical: try #require([UInt8](hex: start)))
            #expect(configuration.workload.description == "shop/web")
            #expect(configuration.serves == [ServicePort(8080, .tcp), ServicePort(9090, .udp)])
        }

        @Test("--print-config gives the canonical form to `mesh config print`, and starts nothing")
        func printConfiguration() throws {
            let bench = try Bench(Caller.possible[0])
            let finished = try bench.run(["--name", "web", "--print-config", "--", "true"])
            #expect(finished.end == .exited(0))
            #expect(finished.output.hasPrefix("canonical bytes: "))
            #expect(bench.notes().isEmpty)
        }

        @Test("--dry-run tells the plan, and starts nothing", arguments: Caller.possible)
        func dryRun(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.run(["--name", "web", "--dry-run", "--", "true"])
            #expect(finished.end == .exited(0))
            #expect(finished.lines.first == "workload    default/web")
            #expect(finished.output.contains("W 198.18.0.0/16 via 169.254.77.1 onlink dev w0"))
            #expect(bench.notes().isEmpty)
            bench.expectNoLeftovers()
        }
    }
}
