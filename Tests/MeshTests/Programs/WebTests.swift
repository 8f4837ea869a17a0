// Web servers and clients, as they are.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct WebTests {
    @Test("wget downloads a file from nginx, byte for byte", arguments: Setting.pairs)
    func wget(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("wget")
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            // 3 MB that repeat nowhere near a record's or a window's size.
            let content = (0..<300_007).map { "\($0 &* 2_654_435_761 % 999_983)\n" }.joined()
            try mesh.write(content, to: "web/site/numbers")
            let got = try await mesh.run(
                "client", calls: ["web"],
                command: [
                    "wget", "-q", "--tries=1", "-O", "\(mesh.work)/copy", "http://web.mesh:8080/numbers",
                ])
            #expect(got.isSuccess, "\(got)")
            #expect(try String(contentsOfFile: "\(mesh.work)/copy", encoding: .utf8) == content)
        }
    }

    @Test("python3's http.server answers python3's urllib", arguments: Setting.otherPairs)
    func python(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("/usr/bin/python3")
            _ = mesh.makeFolder("site")
            try mesh.write("from python", to: "site/page")
            let server = try mesh.launch(
                "web", serves: ["8000"], accepts: ["client"],
                command: ["/usr/bin/python3", "-u", "-m", "http.server", "-d", "\(mesh.work)/site", "8000"])
            try await server.listens(on: 8000)
            let client = """
                import urllib.request
                print(urllib.request.urlopen("http://web.mesh:8000/page", timeout=30).read().decode())
                """
            let page = try await mesh.run("client", calls: ["web"], command: mesh.python("client", client))
            #expect(page.line == "from python", "\(page)")
            // What it logs of its caller is an address of the mesh, and not a loopback one.
            #expect(server.error.contains("198.1"), "\(server.error)")
        }
    }

    @Test("node's http server answers node's fetch, many at once", arguments: Setting.pairs)
    func node(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("node")
            let serve = try mesh.write(
                """
                require("http").createServer((request, response) => {
                    let length = 0
                    request.on("data", (part) => { length += part.length })
                    request.on("end", () => response.end(`${request.url} ${length}`))
                }).listen(3000, () => console.log("listening"))
                """, to: "server.js")
            let server = try mesh.launch(
                "web", serves: ["3000"], accepts: ["client"], command: ["node", serve])
            try await server.listens(on: 3000)
            let ask = try mesh.write(
                """
                const one = async (n) => {
                    const body = "x".repeat(n * 1000)
                    const answer = await fetch(`http://web.mesh:3000/${n}`, { method: "POST", body })
                    const text = await answer.text()
                    if (text !== `/${n} ${n * 1000}`) throw new Error(text)
                }
                Promise.all([...Array(32).keys()].map(one)).then(() => console.log("all right"))
                """, to: "client.js")
            let client = try await mesh.run("client", calls: ["web"], command: ["node", ask])
            #expect(client.line == "all right", "\(client)")
        }
    }

    @Test(
        "nginx's master is root and its worker is www-data",
        arguments: [Setting(.veth, .root), Setting(.slirp, .root)])
    func dropsPrivileges(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            guard let worker = Person(named: "www-data") else { try Skip.now("there is no user www-data") }
            let server = try await mesh.nginx("web", port: 80, accepts: ["client"])
            let page = try await mesh.run("client", calls: ["web"], command: Curl.page("http://web.mesh/"))
            #expect(page.line == "the page of web", "\(page)")
            let master = try #require(try await server.status()["workload_pid"].number)
            let workers = Processes.children(of: master)
            #expect(Processes.user(of: master) == 0)
            #expect(!workers.isEmpty)
            #expect(workers.allSatisfy { Processes.user(of: $0) == Int(worker.uid) })
        }
    }

    @Test(
        "a server of an ordinary user binds port 80",
        arguments: [Setting(.veth, .ordinary), Setting(.slirp, .ordinary)])
    func lowPort(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await mesh.nginx("web", port: 80, accepts: ["client"])
            let page = try await mesh.run("client", calls: ["web"], command: Curl.page("http://web.mesh/"))
            #expect(page.line == "the page of web", "\(page)")
        }
    }

    @Test("a server that listens on 127.0.0.1 only is reached", arguments: Setting.all)
    func loopbackOnly(_ setting: Setting) async throws {
        try await reachLoopback(setting, "127.0.0.1")
    }

    @Test("a server that listens on ::1 only is reached", arguments: Setting.onVeth)
    func loopbackOnly6(_ setting: Setting) async throws {
        try await reachLoopback(setting, "::1")
    }

    private func reachLoopback(_ setting: Setting, _ address: String) async throws {
        try await Mesh.with(setting) { mesh in
            _ = mesh.makeFolder("site")
            try mesh.write("from loopback", to: "site/page")
            let server = try mesh.launch(
                "web", serves: ["8000"], accepts: ["client"],
                command: [
                    "/usr/bin/python3", "-u", "-m", "http.server", "--bind", address, "-d",
                    "\(mesh.work)/site", "8000",
                ])
            try await server.listens(on: 8000)
            let page = try await mesh.run(
                "client", calls: ["web"], command: Curl.page("http://web.mesh:8000/page"))
            #expect(page.line == "from loopback", "\(page)")
            // Programs trust 127/8; a caller from elsewhere must not look as if it were local.
            let callers = server.error.split(separator: "\n").map { $0.prefix { $0 != " " } }
            #expect(!callers.contains("127.0.0.1") && !callers.contains("::1"), "\(server.error)")
        }
    }

    @Test("two programs serve and call on the same port number", arguments: Setting.otherPairs)
    func samePort(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("socat")
            func start(_ name: String, calls other: String) throws -> Running {
                try mesh.launch(
                    name, serves: ["7000"], accepts: [other], calls: [other],
                    command: [
                        "sh", "-c",
                        """
                        socat TCP-LISTEN:7000,reuseaddr,fork SYSTEM:'echo I am \(name)' &
                        until [ -e \(mesh.work)/go ]; do sleep 0.05; done
                        socat -u TCP:\(other).mesh:7000 -
                        wait
                        """,
                    ])
            }
            let left = try start("left", calls: "right")
            let right = try start("right", calls: "left")
            try await left.listens(on: 7000)
            try await right.listens(on: 7000)
            try mesh.write("", to: "go")
            try await left.says("I am right")
            try await right.says("I am left")
        }
    }
}
