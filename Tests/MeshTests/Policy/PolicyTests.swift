// A signed policy and real programs: what it cuts, what it leaves alone, and who is told.

import Foundation
import Glibc
import Testing

@Suite("The signed policy and real programs", .timeLimit(.minutes(10)))
struct PolicyTests {
    /// A server of both protocols that takes calls of everybody, in a mesh that has a policy key.
    private func server(_ mesh: Mesh) async throws -> Running {
        let server = try mesh.launch(
            "server", serves: ["7000", "7001/udp"], accepts: ["*"],
            command: mesh.python("server", Peer.echoesBoth))
        try await server.listens(on: 7000)
        try await server.receives(on: 7001)
        try await mesh.makePolicyKey()
        return server
    }

    private func talker(_ mesh: Mesh, _ name: String) async throws -> Running {
        let talker = try mesh.launch(
            name, calls: ["server"], command: mesh.python(name, Peer.talks, "server.mesh"))
        try await talker.says("talked 3")
        return talker
    }

    private func mayTalk(_ mesh: Mesh, _ name: String) async throws -> Bool {
        let once =
            "import socket, sys; s = socket.create_connection(('server.mesh', 7000), 10);"
            + " s.sendall(b'y'); sys.exit(0 if s.recv(1) == b'y' else 1)"
        return try await mesh.run(
            name, calls: ["server"], command: ["/usr/bin/python3", "-c", once]
        ).isSuccess
    }

    @Test(
        "a deny cuts a download, an idle connection and an association at both ends, and nothing else",
        arguments: Setting.all)
    func denies(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try await server(mesh)
            let web = try await mesh.nginx("web", port: 8080, accepts: ["loader"])
            let loader = try mesh.launch(
                "loader", calls: ["web"],
                command: ["curl", "-sS", "-o", "/dev/null", "http://web.mesh:8080/long"])
            let idler = try mesh.launch(
                "idler", calls: ["server"], command: mesh.python("idler", Peer.idles, "server.mesh"))
            let asker = try mesh.launch(
                "asker", calls: ["server"], command: mesh.python("asker", Peer.asksByDatagram, "server.mesh"))
            let friend = try await talker(mesh, "friend")
            try await eventually("a download that moves") { try await web.bytesSent(to: "loader") > 100_000 }
            try await idler.says("open")
            try await asker.says("answered")

            let policy = """
                unmatched: configs
                rules:
                  - {name: stop, deny: {from: [default/loader, default/idler, default/asker]}}
                """
            let rehearsed = try await mesh.operate(
                "policy", "test", mesh.write("mesh-policy: 1\n" + policy, to: "test.yaml"), code: 3)
            #expect(rehearsed["flows_lost"].list.count == 3, "\(rehearsed)")
            let applied = try await mesh.apply(policy)
            #expect(applied["flows_cut"].number == 3 && applied["epoch"].number == 1, "\(applied)")
            #expect(applied["sidecars"].list.allSatisfy { $0["done"].isTrue }, "\(applied)")
            try await idler.says("reset")
            try await asker.says("refused")
            #expect(try await !loader.outcome().isSuccess)
            for (caller, callee) in [("loader", "web"), ("idler", "server"), ("asker", "server")] {
                #expect(try await mesh.reasons(from: caller, to: callee) == ["policy"], "\(caller)")
            }
            try await friend.goesOn()
            #expect(try await !mayTalk(mesh, "idler"))
            let status = try await server.status()
            #expect(status["policy_head"]["epoch"].number == 1 && status["policy"]["mode"].text == "enforce")
            let friendly = try await mesh.operate("explain", "friend", "server:7000")
            #expect(friendly["verdict"].text == "allowed")
            let metrics = try await mesh.host("mesh", "metrics")
            #expect(
                metrics.output.contains(/mesh_authz_cut_latency_seconds_count\{.*reason="policy"\} [1-9]/))
            #expect(metrics.output.contains(/mesh_policy_epoch\{.*\} 1\n/))
        }
    }

    @Test("a policy that cuts a thousand flows resets each of them", arguments: Setting.pairs)
    func cutsMany(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.launch(
                "server", serves: ["7000"], accepts: ["*"],
                command: mesh.python("server", Peer.countsResets))
            try await server.listens(on: 7000)
            try await mesh.makePolicyKey()
            let many = try mesh.launch(
                "many", calls: ["server"], command: mesh.python("many", Peer.holdsMany, "server.mesh"))
            let friend = try await talker(mesh, "friend")
            try await many.says("open 1000")
            try await mesh.apply("unmatched: configs\nrules: [{deny: {from: default/many}}]\n")
            try await many.says("reset 1000 of 1000")
            try await server.says("reset 1000")
            try await friend.goesOn()
        }
    }

    @Test("a policy of many rules is read beside the flows, and cuts what it denies", arguments: Setting.one)
    func manyRules(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try await server(mesh)
            let (friend, other) = (try await talker(mesh, "friend"), try await talker(mesh, "other"))
            let rules = (0..<1_500).map { "  - {name: r\($0), deny: {from: batch/w\($0)}}\n" }.joined()
            try await mesh.apply(
                "unmatched: configs\nrules:\n\(rules)  - {name: stop, deny: {from: default/other}}\n")
            try await other.says("cut after")
            try await friend.goesOn()
            #expect(try await server.status()["policy_head"]["epoch"].number == 1)
        }
    }

    @Test("with unmatched: deny a flow needs a rule besides both configurations", arguments: Setting.one)
    func defaultDeny(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await server(mesh)
            let (friend, other) = (try await talker(mesh, "friend"), try await talker(mesh, "other"))
            try await mesh.apply(
                "unmatched: deny\nrules: [{allow: {from: default/friend, to: default/server, ports: 7000}}]\n"
            )
            try await other.says("cut after")
            try await friend.goesOn()
            let why = try await mesh.operate("explain", "friend", "server:7001/udp", code: 3)
            #expect("\(why)".contains("no rule allows it"), "\(why)")
        }
    }

    @Test(
        "a lock cuts and keeps out, ends by itself or by unlock, and survives the next file",
        arguments: Setting.one)
    func locks(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await server(mesh)
            let (friend, other) = (try await talker(mesh, "friend"), try await talker(mesh, "other"))
            try await mesh.operate("lock", "friend", "--ttl", "10m", "--reason", "odd")
            try await friend.says("cut after")
            #expect(try await mesh.reasons(from: "friend", to: "server") == ["lock"])
            try await mesh.apply("unmatched: configs\n")
            #expect(try await !mayTalk(mesh, "friend"))
            try await mesh.operate("unlock", "friend")
            #expect(try await mayTalk(mesh, "friend"))
            try await mesh.operate("lock", "friend", "--ttl", "2s")
            try await eventually("the lock's end") { try await mayTalk(mesh, "friend") }
            try await other.goesOn()
            try await mesh.operate("unlock", "nobody", code: 1)
        }
    }

    @Test("what is revoked is cut, gets no session and no certificate again", arguments: Setting.one)
    func revokes(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await server(mesh)
            let (one, two) = (try await talker(mesh, "one"), try await talker(mesh, "two"))
            let instance = try #require(try await one.status()["instance"].text)
            try await mesh.operate("identity", "revoke", instance, "--reason", "stolen")
            try await one.says("cut after")
            #expect(try await mesh.reasons(from: "one", to: "server") == ["revocation"])
            // Another instance of the name is another matter; while the first runs, the name is taken.
            _ = try await one.outcome()
            try #require(await mayTalk(mesh, "one"))
            try await two.goesOn()
            try await mesh.operate("identity", "revoke", "two")
            try await two.says("cut after")
            let late = try await mesh.run("two", calls: ["server"], command: ["true"])
            #expect(late.ending == .exited(125) && late.error.contains("revoked"), "\(late)")
            let policy = try await mesh.operate("policy", "show")
            #expect(policy["revocations"].list.count == 2, "\(policy)")
        }
    }

    @Test("audit cuts nothing, and records what it would have done", arguments: Setting.one)
    func audits(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await server(mesh)
            let friend = try await talker(mesh, "friend")
            let applied = try await mesh.apply(
                "mode: audit\nunmatched: configs\nrules: [{name: try-it, deny: {from: default/*}}]\n")
            #expect(applied["flows_cut"].number == 0)
            try await friend.goesOn()
            #expect(try await mayTalk(mesh, "other"))
            try await eventually("an audited record: \(mesh.records(of: "server"))") {
                mesh.records(of: "server").contains { record in
                    record["verdict"].text == "allow"
                        && record["rule"].text?.contains("(audit: policy 1 deny[0] \"try-it\")") == true
                }
            }
        }
    }

    @Test("a wrong file changes nothing, and neither does one without a key", arguments: Setting.one)
    func wrongFile(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.launch("server", serves: ["7000"], command: ["sleep", "60"])
            try await server.isReady()
            let file = try mesh.write("mesh-policy: 1\nunmatched: configs\n", to: "p.yaml")
            let keyless = try await mesh.host("mesh", "policy", "apply", file)
            #expect(
                keyless.ending == .exited(1) && keyless.error.contains("mesh trust policy-key"), "\(keyless)")
            try await mesh.makePolicyKey()
            try mesh.write("mesh-policy: 1\nruels: []\n", to: "p.yaml")
            let wrong = try await mesh.host("mesh", "policy", "apply", file)
            #expect(wrong.ending == .exited(2) && wrong.error.contains("did you mean \"rules\"?"), "\(wrong)")
            #expect(try await server.status()["policy_head"]["epoch"].number == 0)
            #expect(try await mesh.host("mesh", "policy", "show").ending == .exited(1))
        }
    }

    @Test("an older policy in the node's hands opens nothing to a new sidecar", arguments: Setting.one)
    func rollback(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let first = try await server(mesh)
            try await mesh.apply("unmatched: configs\n")
            let held = mesh.state + "/policy/current"
            let older = try Data(contentsOf: URL(filePath: held))
            try await mesh.apply("unmatched: configs\nrules: [{deny: {from: default/banned}}]\n")
            let newer = try Data(contentsOf: URL(filePath: held))
            try await first.end()
            _ = try await mesh.host("mesh", "node", "stop")

            func put(_ bytes: Data) throws {
                try FileManager.default.removeItem(atPath: held)
                try bytes.write(to: URL(filePath: held))
                chmod(held, 0o600)
                chown(held, mesh.person.uid, mesh.person.gid)
            }
            try put(older)
            let again = try await server(mesh)
            let status = try await again.status()
            #expect(status["policy"]["behind"].isTrue, "\(status)")
            #expect(try await !mayTalk(mesh, "friend"))
            try await again.end()
            _ = try await mesh.host("mesh", "node", "stop")
            try put(newer)
            _ = try await server(mesh)
            #expect(try await mayTalk(mesh, "friend"))
            #expect(try await !mayTalk(mesh, "banned"))
        }
    }

    @Test("without beacons everything stops within the lease, and goes on with them", arguments: Setting.one)
    func freshness(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            _ = try await server(mesh)
            let friend = try await talker(mesh, "friend")
            try await mesh.apply("unmatched: configs\nfreshness: {keys: [self]}\n")
            let beacon = try mesh.start(["mesh", "policy", "beacon", "--every", "1"], as: "beacon")
            try await beacon.says("takes this key's beacons")
            try await friend.goesOn()
            try await beacon.end()
            // The lease is 30 s, and the machine may be slow.
            try await eventually("the end of every flow", within: .seconds(60)) {
                friend.output.contains("cut after")
            }
            #expect(try await mesh.reasons(from: "friend", to: "server") == ["freshness"])
            #expect(try await !mayTalk(mesh, "other"))
            _ = try mesh.start(["mesh", "policy", "beacon", "--every", "1"], as: "beacon")
            try await eventually("traffic again") { try await mayTalk(mesh, "other") }
        }
    }
}
