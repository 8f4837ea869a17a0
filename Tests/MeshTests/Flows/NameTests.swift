// Names, and who a program seems to talk with.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct NameTests {
    @Test(
        "the caller's own virtual address is what the callee sees, and it has a name",
        arguments: Setting.pairs)
    func callersAddress(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.namesItsCaller, accepts: ["one", "two"])
            try await server.listens(on: 7000)
            var addresses: [String: Set<String>] = [:]
            for name in ["one", "two", "one", "two"] {
                let seen = try await mesh.run(
                    name, calls: ["server"], command: ["nc", "-d", "-w", "20", "server.mesh", "7000"])
                let words = seen.output.split(separator: " ").map(String.init)
                #expect(words.count == 3 && words[1] == "\(name).mesh", "\(seen)")
                if let address = words.first { addresses[name, default: []].insert(address) }
            }
            // One address an identity, whichever instance of it calls.
            #expect(addresses["one"]?.count == 1 && addresses["two"]?.count == 1, "\(addresses)")
            #expect(addresses["one"] != addresses["two"])
            let half = setting.datapath == .veth ? "198.18." : "198.19."
            #expect(addresses.values.allSatisfy { $0.allSatisfy { $0.hasPrefix(half) } }, "\(addresses)")
        }
    }

    @Test("names resolve as the design says", arguments: Setting.all)
    func names(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("dig")
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let script = """
                dig +short +time=10 web.mesh > a; cat a
                dig +short +time=10 web.default.mesh
                dig +short +time=10 -x $(cat a)
                for name in other.mesh web.other.mesh example.com 198.18.1.1; do
                    dig +time=10 +tries=1 $name | sed -n 's/.*status: \\([A-Z]*\\).*/\\1/p'
                done
                dig +time=10 AAAA web.mesh | sed -n 's/.*status: \\([A-Z]*\\).*/\\1/p'
                dig +short +time=10 +tcp web.mesh
                """
            let client = try await mesh.run(
                "client", calls: ["web"], command: ["sh", "-c", script])
            let lines = client.output.split(separator: "\n").map(String.init)
            try #require(lines.count == 9, "\(client)")
            #expect(lines[0].hasPrefix("198.18."), "\(client)")
            #expect(lines[1] == lines[0], "\(client)")
            #expect(lines[2] == "web.mesh.", "\(client)")
            #expect(Array(lines[3...6]).allSatisfy { $0 == "NXDOMAIN" }, "\(client)")
            // An IPv4-only name exists all the same.
            #expect(lines[7] == "NOERROR", "\(client)")
            #expect(lines[8] == lines[0], "\(client)")
        }
    }

    @Test("one's own name is one's own address, in hosts and in the name service", arguments: Setting.all)
    func ownName(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("dig", "socat")
            let script = """
                getent ahosts me.mesh | head -1 | cut -d' ' -f1
                dig +short +time=10 me.mesh
                socat TCP-LISTEN:7000,reuseaddr EXEC:'echo myself' &
                until socat -u TCP:me.mesh:7000 - 2>/dev/null; do sleep 0.05; done
                ip -4 -o addr show | grep -o '198.18[0-9.]*' | sort -u
                """
            let outcome = try await mesh.run("me", serves: ["7000"], command: ["sh", "-c", script])
            let lines = outcome.output.split(separator: "\n").map(String.init)
            try #require(lines.count == 4, "\(outcome)")
            #expect(lines[0].hasPrefix("198.18."), "\(outcome)")
            #expect(lines[1] == lines[0], "\(outcome)")
            #expect(lines[2] == "myself", "\(outcome)")
            #expect(lines[3] == lines[0], "\(outcome)")
            // It never entered the mesh.
            #expect(mesh.records(of: "me").isEmpty)
        }
    }

    @Test(
        "a name of another namespace is called and accepted by its full name", arguments: Setting.otherPairs)
    func namespaces(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Nginx.write(mesh, name: "web", port: 8080)
            let server = try mesh.launch(
                "shop/web", serves: ["8080"], accepts: ["office/client"], command: Nginx.command(mesh, "web"))
            try await server.listens(on: 8080)
            let allowed = try await mesh.run(
                "office/client", calls: ["shop/web"], command: Curl.page("http://web.shop.mesh:8080/"))
            #expect(allowed.line == "the page of web", "\(allowed)")
            // The same name in another namespace is somebody else.
            let other = try await mesh.run(
                "client", calls: ["shop/web"], command: Curl.page("http://web.shop.mesh:8080/"))
            #expect(other.ending == .exited(7), "\(other)")
        }
    }

    @Test("a call with a port waits for a callee that starts later", arguments: Setting.all)
    func waits(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let client = try mesh.launch(
                "client", calls: ["web:8080"], command: Curl.page("http://web.mesh:8080/"))
            try await client.isReady()
            try await eventually("a connection that waits") {
                try await client.admin("/status")["calls"].list.contains {
                    $0["target"].text?.contains("web") == true
                }
            }
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let page = try await client.outcome()
            #expect(page.line == "the page of web", "\(page)")
        }
    }
}
