// Leaves, issuers and roots that are renewed under flows that go on.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct RenewalTests {
    /// With `make test-long`, 1,000 renewals and 10 rotations.
    private static let isLong = ProcessInfo.processInfo.environment["MESH_TEST_LONG"] != nil
    private static let rotations = isLong ? 10 : 2
    private static let orders = isLong ? 100 : 4

    @Test(
        "no flow notices renewals, rotations of the root and a killed node; another node is started",
        arguments: Setting.pairs)
    func outlives(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let (server, client) = try await mesh.keepers(leafSeconds: 4)
            for rotation in 0..<Self.rotations {
                try await mesh.order("trust", "rotate", "add")
                try await renew(mesh)
                try await mesh.order("trust", "rotate", "sign")
                try await renew(mesh)
                try await mesh.order("trust", "rotate", "remove")
                if rotation == 0 { try await killNode(mesh, [server, client]) }
            }
            for running in [server, client] {
                let identity = try await running.identity()
                #expect(identity["bundle"].number == 1 + 2 * Self.rotations, "\(identity)")
                let wanted = Self.isLong ? 500 : 6 * Self.rotations
                try await eventually("\(wanted) renewals of \(running.name)") {
                    (try await running.identity()["renewals"].number ?? 0) >= wanted
                }
            }
            let outcome = try await mesh.stop(client)
            #expect(outcome.output.contains("idle lives\n"), "\(outcome)")
            #expect(outcome.output.contains(" lost 0 ended {}\n"), "\(outcome)")
        }
    }

    private func renew(_ mesh: Mesh) async throws {
        for _ in 0..<Self.orders {
            for name in ["server", "client"] { try await mesh.order("identity", "renew", name) }
            guard Self.isLong else { return }
        }
    }

    /// Nobody launches anything: what needs a certificate has a node started.
    private func killNode(_ mesh: Mesh, _ workloads: [Running]) async throws {
        let node = try #require(mesh.nodeProcessID())
        kill(pid_t(node), SIGKILL)
        try await eventually("another node") { mesh.nodeProcessID().map { $0 != node } ?? false }
        for running in workloads {
            let serial = try await running.identity()["serial"].description
            try await eventually("a new certificate of \(running.name)") {
                try await running.identity()["serial"].description != serial
            }
        }
    }

    @Test(
        "a leaf that can't be renewed is said everywhere, and its end cuts every flow, busy or idle",
        arguments: Setting.otherPairs)
    func missed(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let (server, client) = try await mesh.keepers(leafSeconds: 12)
            try #require(rename(mesh.state + "/trust", mesh.state + "/away") == 0)
            let metric = "mesh_identity_renewal_overdue{certificate=\"leaf\"} 1"
            try await eventually("an overdue renewal in the metrics") {
                try await metrics(mesh, of: client).contains(metric)
            }
            let identity = try await client.identity()
            #expect(identity["renewal_overdue"].isTrue, "\(identity)")
            #expect(identity["renewal_problem"].text?.contains("/trust: missing") == true, "\(identity)")
            let check = try await mesh.host("mesh", "check")
            #expect(check.ending == .exited(1), "\(check)")
            #expect(check.output.contains("should have been renewed"), "\(check)")
            let folder = try await client.instanceFolder()
            try await eventually("a warning in the log") {
                let log = (try? String(contentsOfFile: folder + "/sidecar.log", encoding: .utf8)) ?? ""
                return log.contains("of its life, and everything is cut at its end")
            }
            let outcome = try await client.outcome()
            #expect(
                outcome.output.contains("'busy': '") && outcome.output.contains("'idle': '"), "\(outcome)")
            let closes = mesh.closes(of: "client")
            #expect(closes.count == 3 && closes.allSatisfy { $0["reason"].text == "expiry" }, "\(closes)")
            try #require(rename(mesh.state + "/away", mesh.state + "/trust") == 0)
            try await eventually("server's new certificate") {
                try await !server.identity()["renewal_overdue"].isTrue
            }
            let again = try await mesh.run(
                "client", calls: ["server"],
                command: mesh.python(
                    "again", "import socket\nprint(socket.create_connection(('server.mesh', 7000), 10))"))
            #expect(again.isSuccess, "\(again)")
        }
    }

    private func metrics(_ mesh: Mesh, of running: Running) async throws -> String {
        let socket = try await running.instanceFolder() + "/admin.sock"
        return try await mesh.host("curl", "-sS", "--unix-socket", socket, "http://sidecar/metrics").output
    }

    @Test("a stage that would cut somebody is refused, and says whom", arguments: Setting.one)
    func rehearsal(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let (_, client) = try await mesh.keepers(leafSeconds: 3600)
            try await mesh.order("trust", "rotate", "add")
            let early = try await mesh.host("mesh", "trust", "rotate", "remove")
            #expect(early.ending == .exited(1) && early.error.contains("sign first"), "\(early)")
            // The new issuer's certificate is in place, and nobody has renewed yet.
            let issuer = try Data(contentsOf: URL(filePath: mesh.state + "/issuer/issuer.cert"))
            try await mesh.order("trust", "rotate", "sign")
            let signed = try Data(contentsOf: URL(filePath: mesh.state + "/issuer/issuer.cert"))
            try issuer.write(to: URL(filePath: mesh.state + "/issuer/issuer.cert"))
            try await mesh.order("identity", "renew", "client")
            try signed.write(to: URL(filePath: mesh.state + "/issuer/issuer.cert"))
            for words in [["remove", "--rehearse"], ["remove"]] {
                let refused = try await mesh.start(["mesh", "trust", "rotate"] + words, as: "mesh").outcome()
                #expect(refused.ending == .exited(1), "\(refused)")
                #expect(refused.output.contains("would be cut: default/client"), "\(refused)")
                #expect(refused.output.contains("its peer spiffe://"), "\(refused)")
            }
            #expect(try await mesh.order("trust", "show").contains("the old root leaves (remove)"))
            #expect(try await client.identity()["bundle"].number == 2)
            try await mesh.order("identity", "renew", "client")
            try await mesh.order("trust", "rotate", "remove")
            let outcome = try await mesh.stop(client)
            #expect(outcome.output.contains(" lost 0 ended {}\n"), "\(outcome)")
        }
    }
}
