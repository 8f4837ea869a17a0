import ArgumentParser
import Foundation
import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct IdentityTests {
    private static func report(
        serial: Int = 7, issuerRoot: String = "aa", peerRoot: String = "aa", roots: [String] = ["aa"],
        overdue: Bool = false, failures: Int = 0, peerBundle: String = "null"
    ) -> String {
        let bundleRoots = roots.map { "\"\($0)\"" }.joined(separator: ",")
        return """
            {"identity":"spiffe://local-1/ns/default/w/web","workload":"default/web","instance":"3f9a01c2",
             "trust_domain":"local-1","bundle":\(roots.count),"serial":\(serial),
             "chain":[{"kind":"leaf","key_id":"11","issuer_key_id":"22","static_key":"33",
                       "not_before":"2026-01-01T00:00:00.000Z","not_after":"2026-01-01T01:00:00.000Z",
                       "life_used_percent":61,"overdue":\(overdue)},
                      {"kind":"issuer","key_id":"22","issuer_key_id":"\(issuerRoot)","life_used_percent":3},
                      {"kind":"root","key_id":"aa","issuer_key_id":"aa"}],
             "bundle_roots":[\(bundleRoots)],"valid_until":"2026-01-01T01:00:00.000Z",
             "next_renewal":"2026-01-01T00:30:00.000Z","renewal_overdue":\(overdue),
             "renewal_failures":\(failures),"renewal_problem":\(failures > 0 ? "\"no issuer\"" : "null"),
             "executable":{"sha256":"44","attested":"self","interpreter":"/bin/sh","interpreter_sha256":"55"},
             "replaced_keys":[{"static_key":"66","not_after":"2026-01-01T00:40:00.000Z"}],
             "peers":[{"identity":"spiffe://local-1/ns/default/w/db","root_key_id":"\(peerRoot)","bundle":\(peerBundle)}]}
            """
    }

    @Test("identity show tells chain, keys, life, executable and interpreter of one, and all on lines")
    func shows() throws {
        let mesh = FakeMesh()
        mesh.start("default/web", ["/identity": .init(200, Self.report())])
        let facts = try mesh.answer("identity", "show", "web").text
        for part in [
            "key 11, signed by 22", "61 % used", "static key 33", "sha256 44, attested: self",
            "/bin/sh, sha256 55", "66 until 2026-01-01T00:40:00.000Z", "next renewal",
        ] { #expect(facts.contains(part), "\(part) is not in:\n\(facts)") }
        let line = try mesh.answer("identity", "show").text.split(separator: "\n").last ?? ""
        #expect(line.contains("default/web") && line.contains("61%") && line.hasSuffix("self"), "\(line)")
        let json = try #require(JSON(parsing: Array(try mesh.answer("identity", "show", "--json").text.utf8)))
        #expect(json["identities"].list.first?["serial"].integer == 7)
    }

    @Test("a sidecar that doesn't know of identities is named, and the exit code says so")
    func older() throws {
        let mesh = FakeMesh()
        mesh.start("default/web", ["/identity": .init(404, "nothing here")])
        let answer = try mesh.answer("identity", "show")
        #expect(answer.exitCode == 1 && answer.warning.contains("nothing here"))
    }

    @Test("identity renew waits for another serial; a refusal says why")
    func renews() throws {
        let mesh = FakeMesh()
        mesh.start(
            "default/web",
            [
                "/renew": .init(200, "{\"serial\":6,\"renewal_failures\":0}"),
                "/identity": .init(200, Self.report()),
            ])
        #expect(try mesh.answer("identity", "renew", "web").text.contains("renewed, valid until 2026"))
        mesh.start(
            "default/db", instance: "aaaaaaaaaaaaaaaa",
            [
                "/renew": .init(200, "{\"serial\":7,\"renewal_failures\":0}"),
                "/identity": .init(200, Self.report(failures: 1)),
            ])
        let refused = try mesh.answer("identity", "renew", "db")
        #expect(refused.exitCode == 1 && refused.warning.contains("isn't renewed: no issuer"), "\(refused)")
    }

    // MARK: Rehearsals

    private func rehearse(_ change: RotationRehearsal.Change, _ report: String) throws -> RotationRehearsal {
        let mesh = FakeMesh()
        mesh.start("default/web", ["/identity": .init(200, report)])
        return RotationRehearsal(change, IdentityReport.ask(try Instance.all(in: mesh.paths)))
    }

    @Test("roots that leave are missed by who rests on them, and by its peers")
    func roots() throws {
        #expect(try rehearse(.roots(["aa"]), Self.report()).problems.isEmpty)
        let both = try rehearse(.roots(["bb"]), Self.report()).problems.map(\.text)
        #expect(both.count == 2 && both[0] == "its certificate rests on the root aa")
        #expect(both[1].contains("peer spiffe://local-1/ns/default/w/db"))
        #expect(try rehearse(.roots(["bb"]), Self.report(issuerRoot: "bb")).problems.count == 1)
        #expect(try rehearse(.roots(["bb"]), Self.report(issuerRoot: "bb", peerRoot: "bb")).problems.isEmpty)
    }

    @Test("an issuer's new root must be in everybody's bundle")
    func issuer() throws {
        #expect(try rehearse(.issuer("bb", bundle: 2), Self.report(roots: ["aa", "bb"])).problems.isEmpty)
        let unaware = try rehearse(.issuer("bb", bundle: 2), Self.report())
        #expect(unaware.problems.map(\.text) == ["it has the trust bundle number 1, without bb"])
        let peer = try rehearse(
            .issuer("bb", bundle: 2), Self.report(roots: ["aa", "bb"], peerBundle: "1"))
        #expect(peer.problems.map(\.text).first?.contains("w/db has the trust bundle number 1") == true)
        #expect(unaware.text("sign").hasPrefix("would be cut: default/web"))
    }

    @Test("who doesn't answer can't be said to be safe")
    func silent() throws {
        let mesh = FakeMesh()
        mesh.start("default/web", ["/identity": .init(500, "broken")])
        let rehearsal = RotationRehearsal(
            .roots(["aa"]), IdentityReport.ask(try Instance.all(in: mesh.paths)))
        #expect(rehearsal.problems.count == 1)
    }

    // MARK: A root in a folder of its own

    @Test("an offline root is followed by another, and hosts take the bundles in order")
    func offline() throws {
        let (keeper, host) = (FakeMesh(), FakeMesh())
        let folder = keeper.folder + "/root"
        func keep(_ words: String...) throws -> Answer {
            let command = try Mesh.parseAsRoot(words)
            guard let verb = command as? any Verb else { throw Complaint("no verb", fix: "") }
            return try verb.answer()
        }
        _ = try keep("trust", "init", "mesh.test", "--root", folder)
        func grant(_ number: Int) throws {
            let (request, out) = (host.folder + "/r\(number)", host.folder + "/g\(number)")
            _ = try host.answer("trust", "request", "--host", "a", "--out", request)
            _ = try keep("trust", "sign", request, "--root", folder, "--out", out)
            let installed = try host.answer("trust", "install", out)
            #expect(installed.exitCode == 0, "\(installed)")
        }
        try grant(1)
        func rotate(_ stage: String, out: String? = nil) throws -> Answer {
            var words = ["trust", "rotate", stage, "--root", folder]
            if let out { words += ["--out", out] }
            guard let verb = try Mesh.parseAsRoot(words) as? any Verb else {
                throw Complaint("no verb", fix: "")
            }
            return try verb.answer()
        }
        let (first, last) = (host.folder + "/b1", host.folder + "/b2")
        #expect(throws: Complaint.self) { try rotate("sign") }
        _ = try rotate("add", out: first)
        #expect(throws: Complaint.self) { try rotate("add", out: first + "x") }
        #expect(throws: Complaint.self) { try rotate("remove", out: last) }
        #expect(try host.answer("trust", "install", first).text.contains("bundle number 2 is in force"))
        #expect(throws: Complaint.self) { try host.answer("trust", "install", first) }
        #expect(try host.answer("trust", "show").text.contains("(sign)"))
        _ = try rotate("sign")
        _ = try rotate("sign")
        // Too early here: this host's issuer is still the old root's.
        _ = try rotate("remove", out: last)
        #expect(throws: Complaint.self) { try host.answer("trust", "install", last) }
        try grant(2)
        let shown = try host.answer("trust", "show").text
        #expect(shown.contains("number 3") && shown.contains("none under way"), "\(shown)")
        #expect(throws: Complaint.self) { try rotate("remove", out: last + "x") }
    }
}
