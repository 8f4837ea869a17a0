// What goes on when one of the mesh's own processes dies.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct SurvivalTests {
    @Test("a killed sidecar is replaced under its program, and new flows work", arguments: Setting.all)
    func sidecarKilled(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let client = try mesh.launch(
                "client", calls: ["web"],
                command: [
                    "sh", "-c",
                    """
                    while true; do
                        curl -sS --max-time 10 http://web.mesh:8080/ && echo one more || echo failed
                        sleep 0.1
                    done
                    """,
                ])
            try await client.says("one more")
            for running in [web, client] {
                let before = try await running.status()
                let sidecar = try #require(before["sidecar_pid"].number)
                kill(pid_t(sidecar), SIGKILL)
                let after = try await awaited("a new sidecar of \(running.name)") {
                    let status = try? await running.status()
                    return status?["ready"].isTrue == true && status?["sidecar_pid"].number != sidecar
                        ? status : nil
                }
                #expect(after["workload_pid"].number == before["workload_pid"].number)
                #expect(after["incarnation"].number == 2)
                #expect(after["address"].text == before["address"].text)
                let count = client.pages
                try await eventually("pages after \(running.name)'s sidecar was replaced: \(client.error)") {
                    client.pages > count + 1
                }
            }
            #expect(web.process.ended == nil && client.process.ended == nil)
        }
    }

    @Test(
        "flows go on when mesh-node is killed, and it comes back for the next launch",
        arguments: Setting.pairs)
    func nodeKilled(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client", "late"])
            let client = try mesh.launch(
                "client", calls: ["web"],
                command: ["curl", "-sS", "-o", "/dev/null", "http://web.mesh:8080/long"])
            try await eventually("a download that moves") { try await web.bytesSent(to: "client") > 0 }
            let node = try #require(mesh.nodeProcess())
            kill(pid_t(node), SIGKILL)
            try await eventually("the end of the node") { !Processes.isAlive(node) }
            let count = try await web.bytesSent(to: "client")
            try await eventually("more bytes of the flow that was there") {
                try await web.bytesSent(to: "client") > count + 1_000_000
            }
            #expect(client.process.ended == nil)
            let late = try await mesh.run("late", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(late.line == "the page of web", "\(late)")
        }
    }

    @Test(
        "a killed issuer's successor renews, keeps names, and serves new launches",
        arguments: Setting.pairs)
    func issuerKilled(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Nginx.write(mesh, name: "web", port: 8080)
            // Certificates of six seconds, so that each is renewed after three.
            let web = try mesh.launch(
                "web", serves: ["8080"], accepts: ["client", "late"],
                environment: ["MESH_LEAF_SECONDS": "6"], command: Nginx.command(mesh, "web"))
            try await web.listens(on: 8080)
            let client = try mesh.launch(
                "client", calls: ["web"],
                command: ["curl", "-sS", "-o", "/dev/null", "http://web.mesh:8080/long"])
            try await eventually("a download that moves") { try await web.bytesSent(to: "client") > 0 }
            let node = try #require(mesh.nodeProcess())
            for _ in 0..<2 {
                let issuer = try #require(Processes.children(of: node).first)
                kill(pid_t(issuer), SIGKILL)
                try await eventually("another issuer") {
                    Processes.children(of: node).contains { $0 != issuer }
                }
                for running in [web, client] {
                    let serial = try await running.serial()
                    try await eventually("a new certificate of \(running.name)") {
                        try await running.serial() != serial
                    }
                }
            }
            let late = try await mesh.run("late", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(late.line == "the page of web", "\(late)")
            let rival = try await mesh.run("web", serves: ["8080"], accepts: ["*"], command: ["true"])
            #expect(rival.ending == .exited(125) && rival.error.contains("--join"), "\(rival)")
            let count = try await web.bytesSent(to: "client")
            try await eventually("more bytes of the flow that was there") {
                try await web.bytesSent(to: "client") > count
            }
            #expect(client.process.ended == nil)
        }
    }

    @Test("a killed issuer's successor knows which names root's launcher gave to another user")
    func grantKept() async throws {
        try await Mesh.with(Setting(.veth, .root)) { mesh in
            guard let person = Person.ordinary else { try Skip.now("there is no ordinary user") }
            let system = try await SystemMesh(mesh)
            let serve = try mesh.python("serve", SurvivalTests.server)
            let web = try system.start(
                ["mesh-launch", "--name", "web", "--user", person.name, "--serve", "8080"]
                    + ["--accept", "client", "--"] + serve, as: "web")
            let serial = try await awaited("web's certificate: \(web.error)") {
                try await system.serial(of: "web")
            }
            let node = try #require(mesh.nodeProcess())
            let issuer = try #require(Processes.children(of: node).first)
            kill(pid_t(issuer), SIGKILL)
            let renewed = try await awaited("a new certificate: \(web.error)") {
                try await system.serial(of: "web").flatMap { $0 == serial ? nil : $0 }
            }
            #expect(renewed != serial)
            // Root's launcher has said what it executes, and the next issuer still knows.
            let shown = try await system.start(
                ["mesh", "identity", "show", "web", "--json"], as: "mesh"
            ).outcome()
            let identity = try JSON(parsing: shown.output)["identities"].list.first
            #expect(identity?["executable"]["attested"].text == "issuer", "\(shown)")
            let page = try await system.start(
                ["mesh-launch", "--name", "client", "--call", "web", "--"]
                    + Curl.page("http://web.mesh:8080/"),
                as: "client"
            ).outcome()
            #expect(page.line == "of \(person.uid)", "\(page)")
            try await web.end()
            try await system.end()
        }
    }

    /// Says who it runs as.
    private static let server = """
        import http.server, os
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"of %d\\n" % os.getuid())
        http.server.HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
        """

    @Test("a second start of a name with another configuration needs --join", arguments: Setting.one)
    func names(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let first = try mesh.launch("w", serves: ["7000"], accepts: ["a"], command: ["sleep", "60"])
            try await first.isReady()
            let other = try await mesh.run("w", serves: ["7000"], accepts: ["b"], command: ["true"])
            #expect(other.ending == .exited(125), "\(other)")
            #expect(other.error.contains("--join"), "\(other)")
            let joined = try await mesh.run(
                "w", serves: ["7000"], accepts: ["b"], options: ["--join"], command: ["true"])
            #expect(joined.isSuccess, "\(joined)")
            let same = try mesh.launch("w", serves: ["7000"], accepts: ["a"], command: ["sleep", "60"])
            try await same.isReady()
            #expect(first.process.ended == nil)
        }
    }

    @Test("a program without a name calls, and may not serve", arguments: Setting.one)
    func unnamed(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await mesh.nginx("web", port: 8080, accepts: ["*"])
            let page = try await mesh.run(calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(page.line == "the page of web", "\(page)")
            let server = try await mesh.run(serves: ["7000"], command: ["true"])
            #expect(server.ending == .exited(125), "\(server)")
            #expect(server.error.contains("--name"), "\(server)")
        }
    }

    @Test(
        "an ordinary user without a login session and without any setting has a mesh",
        arguments: Datapath.allCases)
    func home(_ datapath: Datapath) async throws {
        try await Mesh.with(Setting(datapath, .ordinary)) { mesh in
            try Nginx.write(mesh, name: "web", port: 8080)
            // Folders of its own alone, below a home that is as it was made.
            let bare = ["MESH_RUNTIME_DIR": "", "MESH_STATE_DIR": "", "MESH_CONFIG_DIR": ""]
            let web = try mesh.launch(
                "web", serves: ["8080"], accepts: ["client"], environment: bare,
                command: Nginx.command(mesh, "web"))
            let page = try await mesh.run(
                "client", calls: ["web:8080"], environment: bare, command: Curl.page("http://web.mesh:8080/"))
            #expect(page.line == "the page of web", "\(page)")
            let state = mesh.folder + "/home" + "/.local/state/mesh"
            #expect(FileManager.default.fileExists(atPath: state + "/records/default/web"))
            _ = try await web.end()
            try await mesh.host("mesh", "node", "stop", environment: bare)
        }
    }
}

extension Running {
    /// How many pages its loop has had.
    fileprivate var pages: Int { output.components(separatedBy: "one more").count - 1 }
}

extension Running {
    /// Of its certificate; a renewal has another.
    fileprivate func serial() async throws -> String {
        try await status()["certificate"]["serial"].description
    }
}

/// Root's own mesh, at /run/mesh, in a mount namespace in which nothing else is there.
private struct SystemMesh {
    private let mesh: Mesh
    private let holder: Running

    init(_ mesh: Mesh) async throws {
        self.mesh = mesh
        holder = try mesh.start(
            [
                "unshare", "--mount", "--propagation", "private", "sh", "-c",
                "mount -t tmpfs -o mode=755 mesh-test /run && echo made && exec sleep 600",
            ], as: "holder")
        try await holder.says("made")
    }

    func start(_ words: [String], as name: String) throws -> Running {
        try mesh.start(
            ["nsenter", "--mount", "--wdns=/", "--target", "\(holder.process.pid)"] + words, as: name,
            environment: ["MESH_RUNTIME_DIR": "", "MESH_LEAF_SECONDS": "6"])
    }

    func serial(of workload: String) async throws -> String? {
        let outcome = try await start(["mesh", "status", workload, "--json"], as: "mesh").outcome()
        guard outcome.isSuccess else { return nil }
        return try JSON(parsing: outcome.output)["instances"].list.first?["certificate"]["serial"].description
    }

    func end() async throws {
        _ = try await start(["mesh", "node", "stop"], as: "mesh").outcome()
        try await holder.end()
    }
}

extension Mesh {
    /// The process of this mesh's node.
    func nodeProcess() -> Int? {
        let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc")
        return (names ?? []).compactMap { Int($0) }.first { process in
            ProcessFile.read("/proc/\(process)/cmdline").hasPrefix(bin + "/mesh-node")
        }
    }
}
