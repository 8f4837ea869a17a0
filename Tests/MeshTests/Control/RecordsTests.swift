// What both sidecars write down, checked, joined and drawn by the `mesh` command.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct RecordsTests {
    /// A mesh in which a client fetched a page, a stranger was denied, and a long download was cut.
    private func eventful(
        _ setting: Setting, _ body: (_ mesh: Mesh, _ web: Running, _ cut: String) async throws -> Void
    ) async throws {
        try await Mesh.with(setting) { mesh in
            try mesh.write(Nginx.workload(mesh, accepts: ["client", "long"]), to: "web.yaml")
            try Nginx.write(mesh, name: "web", port: 8080)
            let web = try mesh.launch(
                options: ["--config", "\(mesh.work)/web.yaml"], command: Nginx.command(mesh, "web"))
            try await web.listens(on: 8080)
            let page = try await mesh.run(
                "client", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(page.line == "the page of web", "\(page)")
            let stranger = try await mesh.run(
                "stranger", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(!stranger.isSuccess, "\(stranger)")
            let long = try mesh.launch(
                "long", calls: ["web"],
                command: ["curl", "-sS", "-o", "/dev/null", "http://web.mesh:8080/long"])
            try await eventually("a download that moves") {
                try await web.bytesSent(to: "long") > 1_000_000
            }
            let live = try await mesh.host("mesh", "edges", "--json")
            #expect(try edge(live, from: "long")["open"].number == 1, "\(live)")
            try mesh.write(Nginx.workload(mesh, accepts: ["client"]), to: "web.yaml")
            let reload = try await mesh.host("mesh", "reload", "web")
            #expect(reload.isSuccess, "\(reload)")
            #expect(try await !long.outcome().isSuccess)
            let (caller, _) = try await mesh.closedFlow(from: "long", to: "web")
            try await body(mesh, web, caller["flow_id"].text ?? "")
        }
    }

    private func edge(_ outcome: Outcome, from name: String) throws -> JSON {
        let edges = try JSON(parsing: outcome.output)["edges"].list
        return try #require(
            edges.first { $0["from"].text?.hasSuffix("/w/\(name)") == true }, "\(outcome)")
    }

    @Test("records of real flows are intact, joined and drawn", arguments: Setting.pairs)
    func told(_ setting: Setting) async throws {
        try await eventful(setting) { mesh, _, cut in
            let verify = try await mesh.host("mesh", "records", "verify")
            #expect(verify.isSuccess && verify.output.contains("intact"), "\(verify)")

            let trace = try await mesh.host("mesh", "trace", String(cut.prefix(12)), "--json")
            let joined = try JSON(parsing: trace.output)
            #expect(joined["flow_id"].text == cut && joined["missing"].list.isEmpty, "\(trace)")
            let told = joined["timeline"].list.map { "\($0["end"].text ?? "") \($0["event"].text ?? "")" }
            #expect(
                Set(told) == ["caller open", "callee open", "caller close", "callee close"], "\(trace)")
            #expect(joined["timeline"].list.compactMap { $0["reason"].text } == ["policy", "policy"])

            let edges = try await mesh.host("mesh", "edges", "--json")
            #expect(try edge(edges, from: "client")["flows"].number == 1, "\(edges)")
            #expect(try edge(edges, from: "client")["seen_by"].strings == ["caller", "callee"])
            #expect(try (edge(edges, from: "stranger")["denied"].number ?? 0) > 0, "\(edges)")
            #expect(try edge(edges, from: "long")["bytes_to_caller"].number ?? 0 > 1_000_000, "\(edges)")
            for (form, start) in [("--dot", "digraph"), ("--svg", "<svg")] {
                let drawing = try await mesh.host("mesh", "edges", form)
                #expect(drawing.output.hasPrefix(start) && drawing.output.contains("stranger"), "\(drawing)")
            }
        }
    }

    @Test("a flow that ended in order is told alike by both ends", arguments: Setting.otherPairs)
    func agrees(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            _ = try await mesh.run("client", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            let (caller, _) = try await mesh.closedFlow(from: "client", to: "web")
            let trace = try await mesh.host("mesh", "trace", caller["flow_id"].text ?? "")
            #expect(trace.isSuccess && trace.output.contains("Both ends say the same."), "\(trace)")
        }
    }

    @Test("a changed, a missing and a moved line are found, with file and line", arguments: Setting.one)
    func tampered(_ setting: Setting) async throws {
        try await eventful(setting) { mesh, web, _ in
            let folder = "\(mesh.state)/records/default/web"
            let name = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
            let content = try String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8)
            let lines = content.split(separator: "\n").map(String.init)
            #expect(lines.count >= 5, "\(content)")
            func verify(_ lines: [String]) async throws -> Outcome {
                let copy = try mesh.write(lines.joined(separator: "\n") + "\n", to: "copy.jsonl")
                return try await mesh.host("mesh", "records", "verify", copy)
            }
            #expect(try await verify(lines).isSuccess)
            var changed = lines
            changed[2] = changed[2].replacingOccurrences(of: "spiffe://", with: "spiffe:/_")
            var moved = lines
            moved.swapAt(1, 2)
            let missing = [lines[0]] + lines[2...]
            for (copy, place) in [(changed, 3), (moved, 2), (missing, 2)] {
                let outcome = try await verify(copy)
                #expect(outcome.ending == .exited(1), "\(outcome)")
                #expect(outcome.output.contains("copy.jsonl:\(place): "), "\(outcome)")
            }
            // Its sidecar runs, and knows how many lines it wrote.
            try mesh.write(
                lines.dropLast().joined(separator: "\n") + "\n", to: "\(folder)/\(name)", mode: 0o600)
            let cut = try await mesh.host("mesh", "records", "verify", "web")
            #expect(cut.ending == .exited(1) && cut.output.contains("missing at the end"), "\(cut)")
            try await web.end()
        }
    }

    @Test("explain says what the sidecars do, before and after a reload", arguments: Setting.one)
    func explained(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try mesh.write(Nginx.workload(mesh, accepts: ["client"]), to: "web.yaml")
            try Nginx.write(mesh, name: "web", port: 8080)
            let web = try mesh.launch(
                options: ["--config", "\(mesh.work)/web.yaml"], command: Nginx.command(mesh, "web"))
            try await web.listens(on: 8080)
            let client = try mesh.launch(
                "client", calls: ["web"], options: ["--egress", "example.com:443"], command: ["sleep", "300"])
            try await client.isReady()
            func explain(_ from: String, _ to: String) async throws -> Outcome {
                try await mesh.host("mesh", "explain", from, to)
            }
            let allowed = try await explain("client", "web:8080")
            #expect(allowed.isSuccess, "\(allowed)")
            for rule in ["calls[0] default/web", "accepts[0] default/client"] {
                #expect(allowed.output.contains(rule), "\(allowed)")
            }
            #expect(try await explain("client", "web:81").ending == .exited(3))
            #expect(try await explain("web", "client:1").ending == .exited(3))
            #expect(try await explain("client", "example.com:443").isSuccess)
            #expect(try await explain("client", "example.com:80").ending == .exited(3))
            let half = try await explain("stranger", "web:8080")
            #expect(half.ending == .exited(3) && half.output.contains("no rule in accepts"), "\(half)")
            try mesh.write(Nginx.workload(mesh, accepts: []), to: "web.yaml")
            #expect(try await mesh.host("mesh", "reload", "web").isSuccess)
            #expect(try await explain("client", "web:8080").ending == .exited(3))
        }
    }

    @Test("tap tells flows as they open, close and are denied", arguments: Setting.one)
    func tapped(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let tap = try mesh.start(["mesh", "tap", "web"], as: "tap")
            // What it tells of begins when it does.
            try await eventually("a flow on the tap, which says: \(tap.output)\(tap.error)") {
                _ = try await mesh.run(
                    "client", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
                return tap.output.contains("open ")
            }
            try await tap.says("close    default/client -> default/web 8080/tcp")
            _ = try await mesh.run("stranger", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            try await tap.says("denied   default/stranger -> default/web 8080/tcp")
            let ending = try await tap.end(SIGINT)
            #expect(ending.ending == .killed(SIGINT), "\(ending)")
        }
    }
}
