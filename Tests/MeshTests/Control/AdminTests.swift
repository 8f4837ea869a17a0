// What operators see: admin sockets, metrics, and the `mesh` command.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct AdminTests {
    @Test("curl gets every answer of the admin socket, which is its owner's alone", arguments: Setting.onVeth)
    func endpoints(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let socket = try await web.instanceFolder() + "/admin.sock"
            var status = stat()
            #expect(stat(socket, &status) == 0 && status.st_mode & 0o777 == 0o600)
            #expect(status.st_uid == mesh.person.uid)
            func ask(_ words: String...) async throws -> Outcome {
                try await mesh.start(
                    ["curl", "-sS", "-w", "\n%{http_code}", "--unix-socket", socket] + words, as: "curl"
                ).outcome()
            }
            #expect(try await ask("http://sidecar/live").line.split(separator: "\n") == ["live", "200"])
            #expect(try await ask("http://sidecar/ready").line.split(separator: "\n") == ["ready", "200"])
            for path in ["flows", "config", "status"] {
                let answer = try await ask("http://sidecar/\(path)")
                #expect(answer.line.hasSuffix("\n200"), "\(answer)")
                _ = try JSON(parsing: String(answer.line.dropLast(4)))
            }
            #expect(try await ask("http://sidecar/nothing").line.hasSuffix("\n404"))
            #expect(try await ask("http://sidecar/shutdown").line.hasSuffix("\n405"))
            let ending = try await ask("-X", "POST", "http://sidecar/shutdown")
            #expect(ending.line.hasSuffix("\n200"), "\(ending)")
            _ = try await web.outcome()
        }
    }

    @Test(
        "promtool accepts the metrics, whose byte counters move during a long flow", arguments: Setting.pairs)
    func metrics(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("promtool")
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let client = try mesh.launch(
                "client", calls: ["web"],
                command: ["curl", "-sS", "-o", "/dev/null", "http://web.mesh:8080/long"])
            func bytes(of running: Running, _ name: String) async throws -> Int {
                let socket = try await running.instanceFolder() + "/admin.sock"
                let text = try await mesh.host(
                    "curl", "-sS", "--unix-socket", socket, "http://sidecar/metrics")
                let line = text.output.split(separator: "\n").first { $0.hasPrefix(name + "{") }
                return line?.split(separator: " ").last.flatMap { Double($0) }.map { Int($0) } ?? 0
            }
            for (running, name) in [(web, "tcp_write_bytes_total"), (client, "istio_tcp_sent_bytes_total")] {
                var last = 0
                for _ in 0..<2 {
                    let before = last
                    last = try await awaited("\(name) to go beyond \(before)") {
                        let now = try await bytes(of: running, name)
                        return now > before ? now : nil
                    }
                }
            }
            let socket = try await web.instanceFolder() + "/admin.sock"
            let check = try await mesh.host(
                "sh", "-c", "curl -sS --unix-socket \(socket) http://sidecar/metrics | promtool check metrics"
            )
            #expect(check.isSuccess, "\(check)")
            #expect(check.error.isEmpty && check.output.isEmpty, "\(check)")
        }
    }

    @Test("mesh metrics merges all instances into what promtool accepts", arguments: Setting.one)
    func merged(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("promtool")
            for name in ["one", "two"] {
                try await mesh.launch(name, serves: ["7000"], command: ["sleep", "60"]).isReady()
            }
            let merged = try await mesh.host("mesh", "metrics")
            #expect(merged.isSuccess, "\(merged)")
            for name in ["one", "two"] { #expect(merged.output.contains(name), "\(name) isn't in \(merged)") }
            try mesh.write(merged.output, to: "metrics")
            let check = try await mesh.host("sh", "-c", "promtool check metrics < metrics")
            #expect(check.isSuccess && check.error.isEmpty, "\(check)")
        }
    }

    @Test(
        "mesh status, flows, whois and check say what there is, as text and as JSON", arguments: Setting.pairs
    )
    func command(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            _ = try mesh.launch(
                "client", calls: ["web"],
                command: ["curl", "-sS", "-o", "/dev/null", "http://web.mesh:8080/long"])
            try await eventually("a download that moves") { try await web.bytesSent(to: "client") > 0 }

            let status = try await mesh.host("mesh", "status")
            #expect(status.isSuccess && status.output.contains("default/web"), "\(status)")
            let instances = try await JSON(parsing: mesh.host("mesh", "status", "--json").output)["instances"]
            #expect(
                Set(instances.list.compactMap { $0["workload"].text }) == ["default/web", "default/client"])

            let flows = try await JSON(parsing: mesh.host("mesh", "flows", "--json").output)["flows"].list
            #expect(Set(flows.compactMap { $0["workload"].text }) == ["default/web", "default/client"])
            #expect(Set(flows.compactMap { $0["flow_id"].text }).count == 1, "\(flows)")
            let shown = try await mesh.host("mesh", "flows")
            #expect(shown.isSuccess && shown.output.contains("default/client"), "\(shown)")

            let check = try await mesh.host("mesh", "check", "--json")
            #expect(check.isSuccess, "\(check)")
            _ = try JSON(parsing: check.output)

            let shutdown = try await mesh.host("mesh", "shutdown", "web")
            #expect(shutdown.isSuccess, "\(shutdown)")
            _ = try await web.outcome()
        }
    }

    @Test("a sidecar writes nothing to its workload's terminal or streams", arguments: Setting.one)
    func quiet(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let outcome = try await mesh.run(
                calls: ["nobody"], command: ["sh", "-c", "getent hosts nobody.mesh; exit 0"])
            #expect(outcome.error.isEmpty, "\(outcome)")
        }
    }
}
