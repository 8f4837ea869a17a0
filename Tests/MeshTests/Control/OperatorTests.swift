// What operators do to sidecars that work: ping, drill, top, bundle, and shell completion.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct OperatorTests {
    @Test("ping opens a session, measures it, and says which ports are permitted", arguments: Setting.pairs)
    func ping(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let client = try mesh.launch("client", calls: ["web"], command: ["sleep", "300"])
            let stranger = try mesh.launch("stranger", calls: ["web", "nobody"], command: ["sleep", "300"])
            for running in [client, stranger] { try await running.isReady() }
            let first = try await mesh.host("mesh", "ping", "web", "--from", "client", "--json")
            #expect(first.isSuccess, "\(first)")
            let told = try #require(try JSON(parsing: first.output)["pings"].list.first)
            #expect(told["session"]["dialled_by"].text == "self" && told["session"]["flows"].number == 0)
            #expect(told["round_trips_us"].list.count == 3)
            #expect(told["round_trips_us"].list.allSatisfy { ($0.number ?? 0) > 0 })
            let verdict = try #require(told["verdicts"].list.first)
            #expect(verdict["port"].number == 8080 && verdict["verdict"].text == "allow")
            let denied = try await mesh.host("mesh", "ping", "web", "--from", "stranger")
            #expect(denied.ending == .exited(3), "\(denied)")
            #expect(denied.output.contains("8080/tcp deny (callee: no rule in accepts)"), "\(denied)")
            let nobody = try await mesh.host("mesh", "ping", "nobody", "--count", "1")
            #expect(nobody.ending == .exited(1) && nobody.output.contains("doesn't announce itself"))
            // From the callee's side, over the same sessions.
            let back = try await mesh.host("mesh", "ping", "client")
            #expect(back.isSuccess && back.output.contains("dialled by the other side"), "\(back)")
            #expect(try await mesh.host("mesh", "ping", "unheard-of").ending == .exited(1))
            #expect(mesh.records(of: "web").allSatisfy { $0["event"].text != "open" })
            for running in [web, client, stranger] { try await running.end() }
        }
    }

    @Test(
        "a drill cuts canary flows on a working sidecar, and no real flow notices", arguments: Setting.pairs)
    func drill(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let client = try mesh.launch(
                "client", calls: ["web"],
                command: ["curl", "-sS", "-o", "/dev/null", "http://web.mesh:8080/long"])
            try await eventually("a download that moves") {
                try await web.bytesSent(to: "client") > 100_000
            }
            let before = try await web.status()["decision_epoch"].number
            let outcome = try await mesh.host("mesh", "drill", "cut", "web", "--samples", "24", "--json")
            #expect(outcome.isSuccess, "\(outcome)")
            let figures = try JSON(parsing: outcome.output)
            #expect(figures["samples"].number == 24 && figures["bytes_after_cut"].number == 0, "\(figures)")
            for key in ["p50_ms", "p99_ms", "max_ms"] { #expect(outcome.output.contains("\"\(key)\"")) }
            #expect(figures["flows_open"].number == 1)
            // The real flow goes on, under the decision that it had.
            #expect(try await web.status()["decision_epoch"].number == before)
            let moved = try await web.bytesSent(to: "client")
            try await eventually("more bytes") { try await web.bytesSent(to: "client") > moved }
            #expect(client.process.ended == nil)
            let told = mesh.records(of: "web")
            #expect(!told.contains { $0["src"]["identity"].text?.contains("canary") == true })
            try await client.end()
        }
    }

    @Test("a bundle holds what helps, and no byte of a key", arguments: Setting.one)
    func bundle(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let client = try mesh.launch(
                "client", calls: ["web"],
                command: ["sh", "-c", "sleep 300", "sh", "--db-password", "hunter2-of-the-test"])
            try await client.isReady()
            let path = "\(mesh.work)/out.tar.gz"
            let outcome = try await mesh.host("mesh", "bundle", "--output", path)
            #expect(outcome.isSuccess, "\(outcome)")
            let names = try await mesh.host("tar", "-tzf", path)
            #expect(names.isSuccess && names.output.contains("/sidecar.log"), "\(names)")
            #expect(names.output.contains("mesh-bundle/trust.json"))
            let bytes = try Data(contentsOf: URL(filePath: path))
            #expect(bytes.range(of: Data("hunter2-of-the-test".utf8)) == nil)
            let keys = ["trust/root.key", "trust/discovery.key", "issuer/issuer.key"]
            var found = 0
            for key in keys {
                guard let secret = try? Data(contentsOf: URL(filePath: "\(mesh.state)/\(key)")) else {
                    continue
                }
                found += 1
                // Wherever 16 bytes of it stand, raw or as text.
                for start in stride(from: 0, through: max(0, secret.count - 16), by: 8) {
                    let part = secret[start..<min(secret.count, start + 16)]
                    let hex = part.map { String(format: "%02x", $0) }.joined()
                    for form in [Data(part), Data(hex.utf8), Data(hex.uppercased().utf8)] {
                        #expect(bytes.range(of: form) == nil, "\(key) at \(start)")
                    }
                }
                #expect(bytes.range(of: Data(secret.base64EncodedString().utf8)) == nil)
            }
            #expect(found == keys.count)
            for running in [web, client] { try await running.end() }
        }
    }

    @Test("top tells of every workload, once, in JSON and again and again", arguments: Setting.one)
    func top(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            _ = try await mesh.run("client", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            let once = try await mesh.host("mesh", "top", "--once")
            #expect(once.isSuccess && once.output.contains("default/web"), "\(once)")
            let json = try JSON(parsing: try await mesh.host("mesh", "top", "--json").output)
            #expect(json["instances"].list.first?["flows_opened"].number == 1, "\(json)")
            let live = try mesh.start(["mesh", "top", "--interval", "0.2"], as: "top")
            try await eventually("three drawings") {
                live.output.components(separatedBy: "WORKLOAD").count > 3
            }
            #expect(try await live.end(SIGINT).ending == .killed(SIGINT))
        }
    }

    @Test("bash completes the workloads that run", arguments: Setting.one)
    func completion(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await mesh.nginx("web", port: 8080, accepts: [])
            let script = """
                source <(mesh completion bash)
                COMP_WORDS=(mesh status w); COMP_CWORD=2; COMP_LINE='mesh status w'; COMP_POINT=13
                complete_by=$(complete -p mesh | sed -E 's/.*-F ([^ ]+).*/\\1/')
                "$complete_by" mesh w status
                printf '%s\\n' "${COMPREPLY[@]}"
                """
            let outcome = try await mesh.host("bash", "--norc", "-c", script)
            #expect(outcome.output.split(separator: "\n").contains { $0.hasPrefix("web") }, "\(outcome)")
        }
    }
}
