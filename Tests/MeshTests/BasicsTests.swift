// The main job, on every datapath and for every user: nginx, an allowed curl, a stranger's curl.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct BasicsTests {
    @Test("an accepted curl gets nginx's page, and both sidecars record one flow", arguments: Setting.all)
    func allowed(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let page = try await mesh.run(
                "client", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(page.line == "the page of web", "\(page)")

            let (caller, callee) = try await mesh.closedFlow(from: "client", to: "web")
            #expect(caller["reason"].text == "finished")
            #expect(callee["reason"].text == "finished")
            #expect(caller["src"]["identity"].text == callee["src"]["identity"].text)
            #expect(caller["dst"]["identity"].text == callee["dst"]["identity"].text)
            #expect(caller["src"]["identity"].text?.hasSuffix("/ns/default/w/client") == true)
            #expect(caller["bytes_sent"].number == callee["bytes_recv"].number)
            #expect(caller["bytes_recv"].number == callee["bytes_sent"].number)
            #expect((caller["bytes_recv"].number ?? 0) > "the page of web\n".utf8.count)
        }
    }

    @Test("a stranger's curl is refused at once, and both sidecars record why", arguments: Setting.all)
    func refused(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let page = try await mesh.run(
                "stranger", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(page.ending == .exited(7), "\(page)")
            #expect(
                page.error.contains("Connection refused") || page.error.contains("Couldn't connect"),
                "\(page)")
            for name in ["stranger", "web"] {
                try await eventually("a record of the refusal at \(name)") {
                    mesh.records(of: name).contains {
                        $0["event"].text == "denied" && $0["verdict"].text == "deny"
                    }
                }
            }
            #expect(!mesh.records(of: "web").contains { $0["event"].text == "open" })
        }
    }

    @Test("a reload that takes the permission away cuts a download, and says why", arguments: Setting.all)
    func cut(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let config = try mesh.write(Nginx.workload(mesh, accepts: ["client", "other"]), to: "web.yaml")
            try Nginx.write(mesh, name: "web", port: 8080)
            let web = try mesh.launch(options: ["--config", config], command: Nginx.command(mesh, "web"))
            try await web.listens(on: 8080)
            let slow = ["curl", "-sS", "-o", "/dev/null", "http://web.mesh:8080/long"]
            let cut = try mesh.launch("client", calls: ["web"], command: slow)
            let kept = try mesh.launch("other", calls: ["web"], command: slow)
            try await eventually("two downloads that move") {
                try await web.admin("/flows")["flows"].list.filter {
                    ($0["bytes_sent"].number ?? 0) > 100_000
                }
                .count == 2
            }
            try mesh.write(Nginx.workload(mesh, accepts: ["other"]), to: "web.yaml")
            let reload = try await mesh.host("mesh", "reload", "web")
            #expect(reload.isSuccess, "\(reload)")

            let outcome = try await cut.outcome()
            #expect(!outcome.isSuccess, "\(outcome)")
            let (caller, callee) = try await mesh.closedFlow(from: "client", to: "web")
            #expect(caller["reason"].text == "policy")
            #expect(callee["reason"].text == "policy")

            // The flow that is still allowed goes on as if nothing had been.
            let before = try await web.bytesSent(to: "other")
            try await eventually("more bytes on the flow that is still allowed") {
                try await web.bytesSent(to: "other") > before
            }
            #expect(kept.process.ended == nil)
            let again = try await mesh.run(
                "client", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(again.ending == .exited(7), "\(again)")
        }
    }

    @Test("exit codes and deaths by signal are passed on exactly", arguments: Setting.all)
    func endings(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            for code: Int32 in [0, 1, 42, 255] {
                let outcome = try await mesh.run(command: ["sh", "-c", "exit \(code)"])
                #expect(outcome.ending == .exited(code), "\(outcome)")
            }
            for signal in [SIGTERM, SIGKILL, SIGSEGV, SIGUSR1] {
                let outcome = try await mesh.run(command: ["sh", "-c", "ulimit -c 0; kill -\(signal) $$"])
                #expect(outcome.ending == .killed(signal), "\(outcome)")
            }
            #expect(try await mesh.run(command: ["no-such-program"]).ending == .exited(127))
            let text = try mesh.write("no program", to: "text")
            #expect(try await mesh.run(command: [text]).ending == .exited(126))
        }
    }

    @Test("nothing is left of a launcher that is killed with SIGKILL", arguments: Setting.all)
    func killed(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: [])
            let folder = try await web.instanceFolder()
            web.process.signal(SIGKILL)
            #expect(try await web.outcome().ending == .killed(SIGKILL))
            // That processes, sockets and namespaces are gone too is checked when the mesh closes.
            try await eventually("the end of \(folder)") { !FileManager.default.fileExists(atPath: folder) }
        }
    }
}
