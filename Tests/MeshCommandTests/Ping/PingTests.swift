import Foundation
import Testing

@testable import MeshCommand

@Suite struct PingTests {
    private static let reached = """
        {"from":"default/client","to":"default/web","called":true,"state":"connected",
         "announced_at":["127.0.0.1:4000"],"endpoint":"127.0.0.1:4000",
         "session":{"handshake":"Noise_XK_25519_ChaChaPoly_SHA256","dialled_by":"self","age_ms":3200,"flows":1,
                    "head_equal":true,"peer_instance":"aabbccdd00112233","peer_version":"2",
                    "peer_certificate_not_after":"2026-01-01T01:00:00.000Z"},
         "round_trip_us":214,
         "verdicts":[{"port":8080,"protocol":"tcp","verdict":"VERDICT","rule":"calls[0] default/web"}],
         "accepts":[]}
        """

    private func ping(_ reply: FakeSidecar.Reply, _ arguments: String...) throws -> Answer {
        let mesh = FakeMesh()
        mesh.start("default/client", ["/ping": reply])
        return try mesh.answer(["ping"] + arguments)
    }

    @Test("a peer that answers is shown with its path, session, round trip and verdicts")
    func reached() throws {
        let reply = PingTests.reached.replacingOccurrences(of: "VERDICT", with: "allow")
        let answer = try ping(.init(200, reply), "web", "--count", "2")
        #expect(answer.exitCode == 0)
        for part in [
            "default/client (3f9a01c2) -> default/web: reached", "127.0.0.1:4000, dialled by this side",
            "0.21 / 0.21 / 0.21 ms", "of 2", "8080/tcp allow (calls[0] default/web)", "policy heads equal",
        ] { #expect(answer.text.contains(part), "\(answer.text)") }
        let json = try #require(
            JSON(parsing: Array(try ping(.init(200, reply), "web", "--json").text.utf8)))["pings"].list[0]
        #expect(json["reached"].bool == true && json["round_trips_us"].list.count == 3)
    }

    @Test("exit codes: 3 where every port is denied, 1 where it isn't reached or nobody knows it")
    func exitCodes() throws {
        let denied = PingTests.reached.replacingOccurrences(of: "VERDICT", with: "deny")
        #expect(try ping(.init(200, denied), "default/web").exitCode == 3)
        let silent = #"{"state":"not announced","announced_at":[],"accepts":[]}"#
        let answer = try ping(.init(200, silent), "web")
        #expect(answer.exitCode == 1 && answer.text.contains("it doesn't announce itself"))
        #expect(throws: Complaint.self) { try ping(.init(404, "neither"), "web") }
        #expect(try ping(.init(404, "neither"), "web", "--from", "client").exitCode == 1)
        #expect(throws: Complaint.self) { try ping(.init(200, denied), "client") }
    }

    @Test("the namespace is the asking workload's where none is given")
    func names() throws {
        let mesh = FakeMesh()
        let sidecar = mesh.start("shop/client", ["/ping": .init(404, "")])
        _ = try? mesh.answer("ping", "web", "--count", "1")
        #expect(sidecar.body(of: "POST /ping") == Array("shop/web".utf8))
        _ = try? mesh.answer("ping", "default/web", "--count", "1")
        #expect(sidecar.body(of: "POST /ping") == Array("default/web".utf8))
    }
}
