// Configuration: taken over live, refused whole, told as it is.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct ReloadTests {
    @Test("an invalid file is refused with its line, and the old one stays", arguments: Setting.one)
    func invalid(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let config = try mesh.write(Nginx.workload(mesh, accepts: ["client"]), to: "web.yaml")
            try Nginx.write(mesh, name: "web", port: 8080)
            let web = try mesh.launch(options: ["--config", config], command: Nginx.command(mesh, "web"))
            try await web.listens(on: 8080)
            let before = try await web.admin("/config")
            let broken = [
                "mesh: 1\nworkload: web\nacepts: []\n", "mesh: 1\nworkload: web\nserves: [{port: 70000}]\n",
                "mesh: 1\nworkload: web\naccepts: {\n", "mesh: 2\nworkload: web\n",
            ]
            for text in broken {
                try mesh.write(text, to: "web.yaml")
                let reload = try await mesh.host("mesh", "reload", "web")
                #expect(!reload.isSuccess, "\(text): \(reload)")
                #expect(reload.error.contains("web.yaml"), "\(text): \(reload)")
                #expect(reload.error.contains(/:\d+/), "no line is named of \(text): \(reload)")
                #expect(try await web.admin("/config").description == before.description)
            }
            let page = try await mesh.run(
                "client", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(page.line == "the page of web", "\(page)")
        }
    }

    @Test("a reload gives a stranger access, and a caller a new name to call", arguments: Setting.pairs)
    func widens(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try mesh.write(Nginx.workload(mesh, accepts: []), to: "web.yaml")
            try Nginx.write(mesh, name: "web", port: 8080)
            let web = try mesh.launch(
                options: ["--config", "\(mesh.work)/web.yaml"], command: Nginx.command(mesh, "web"))
            try await web.listens(on: 8080)
            func client(calls: String) throws {
                try mesh.write(
                    "mesh: 1\nworkload: client\ncalls: [\(calls)]\ndatapath: \(mesh.datapath.rawValue)\n",
                    to: "client.yaml")
            }
            try client(calls: "")
            // It asks until it gets in: the name is unknown at first, then refused, then served.
            let running = try mesh.launch(
                options: ["--config", "\(mesh.work)/client.yaml"],
                command: [
                    "sh", "-c",
                    "until curl -sS --max-time 20 http://web.mesh:8080/; do sleep 0.05; done",
                ])
            try await running.says("Could not resolve host")
            try client(calls: "web")
            let first = try await mesh.host("mesh", "reload", "client")
            #expect(first.isSuccess, "\(first)")
            try await running.says("Failed to connect")
            try mesh.write(Nginx.workload(mesh, accepts: ["client"]), to: "web.yaml")
            let second = try await mesh.host("mesh", "reload", "web")
            #expect(second.isSuccess, "\(second)")
            let outcome = try await running.outcome()
            #expect(outcome.line == "the page of web", "\(outcome)")
        }
    }

    @Test("a caller that gives up a name loses its flow at once", arguments: Setting.otherPairs)
    func callerNarrows(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let file = try mesh.write(
                "mesh: 1\nworkload: client\ncalls: [web]\ndatapath: \(mesh.datapath.rawValue)\n",
                to: "client.yaml")
            let running = try mesh.launch(
                options: ["--config", file],
                command: ["curl", "-sS", "-o", "/dev/null", "http://web.mesh:8080/long"])
            try await eventually("a download that moves") {
                try await web.bytesSent(to: "client") > 1_000_000
            }
            try mesh.write(
                "mesh: 1\nworkload: client\ncalls: []\ndatapath: \(mesh.datapath.rawValue)\n",
                to: "client.yaml")
            let reload = try await mesh.host("mesh", "reload", "client")
            #expect(reload.isSuccess, "\(reload)")
            #expect(try await !running.outcome().isSuccess)
            let (caller, callee) = try await mesh.closedFlow(from: "client", to: "web")
            #expect(caller["reason"].text == "policy")
            #expect(callee["reason"].text == "policy")
        }
    }

    @Test("flags of the launch hold over each reload's file", arguments: Setting.one)
    func flags(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let config = try mesh.write(Nginx.workload(mesh, accepts: ["client"]), to: "web.yaml")
            try Nginx.write(mesh, name: "web", port: 8080)
            let web = try mesh.launch(
                accepts: ["late:8080"], options: ["--config", config, "--workload-version", "7"],
                command: Nginx.command(mesh, "web"))
            try await web.listens(on: 8080)
            try mesh.write(Nginx.workload(mesh, accepts: []) + "version: 8\n", to: "web.yaml")
            let reload = try await mesh.host("mesh", "reload", "web")
            #expect(reload.isSuccess && reload.output.contains("took over accepts"), "\(reload)")
            for (name, isServed) in [("late", true), ("client", false)] {
                let page = try await mesh.run(
                    name, calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
                #expect((page.line == "the page of web") == isServed, "\(name): \(page)")
            }
            // What the flag accepts needs what the file serves.
            try mesh.write("mesh: 1\nworkload: web\n", to: "web.yaml")
            let refused = try await mesh.host("mesh", "reload", "web")
            #expect(refused.ending == .exited(2) && refused.error.contains("flags"), "\(refused)")
        }
    }

    @Test("what only a new start can change is refused by reload", arguments: Setting.one)
    func fixed(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let file = try mesh.write("mesh: 1\nworkload: w\nnamespace: one\n", to: "w.yaml")
            let running = try mesh.launch(options: ["--config", file], command: ["sleep", "60"])
            try await running.isReady()
            try mesh.write("mesh: 1\nworkload: w\nnamespace: one\nuser: root\n", to: "w.yaml")
            let reload = try await mesh.host("mesh", "reload", "one/w")
            #expect(!reload.isSuccess, "\(reload)")
            #expect(reload.error.contains("user"), "\(reload)")
        }
    }

    @Test(
        "--print-config shows file and options as one, and its output is a config file",
        arguments: Setting.one)
    func printed(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let file = try mesh.write(
                "mesh: 1\nworkload: web\nserves: [{port: 80, protocol: tcp}]\naccepts: [{from: a}]\n",
                to: "w.yaml")
            let once = try await mesh.host(
                "mesh-launch", "--config", file, "--serve", "53/udp", "--accept", "b:80", "--call", "db:5432",
                "--egress", "example.com:443", "--print-config", "--", "prog", "an argument")
            #expect(once.isSuccess, "\(once)")
            for part in ["workload: web", "example.com", "db:5432", "an argument"] {
                #expect(once.output.contains(part), "\(part) isn't in \(once)")
            }
            let copy = try mesh.write(once.output, to: "copy.yaml")
            let twice = try await mesh.host("mesh-launch", "--config", copy, "--print-config")
            #expect(twice.output == once.output, "\(twice)")
        }
    }
}
