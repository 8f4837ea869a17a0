import Foundation
import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct TrustTests {
    /// Writes a trust domain's public files, as a node would, valid until the given year's first day.
    private func write(_ mesh: FakeMesh, until year: Int = 2099, rootKey hasRootKey: Bool = true) throws {
        let end = try #require(WallClock.seconds(rfc3339: "\(year)-01-01T00:00:00Z"))
        let start = WallTime(seconds: 0)
        let root = SigningKeyPair(seed: [UInt8](repeating: 1, count: 32))
        let issuer = SigningKeyPair(seed: [UInt8](repeating: 2, count: 32))
        let rootContents = CertificateContents(
            kind: .root, trustDomain: "example.org", subject: nil, signingKey: root.publicKey,
            notBefore: start, notAfter: WallTime(seconds: Int64(end)), serial: 1)
        var issuerContents = CertificateContents(
            kind: .issuer, trustDomain: "example.org", subject: .host("here"), signingKey: issuer.publicKey,
            notBefore: start, notAfter: WallTime(seconds: Int64(end)), serial: 2)
        issuerContents.names = [IdentityPattern(namespace: .any, name: .any)]
        let bundle = try TrustBundle(firstOf: "example.org", roots: [try rootContents.signed(by: root)])
        for (name, bytes) in [
            ("trust/bundle", bundle.encoded),
            ("issuer/issuer.cert", try issuerContents.signed(by: root).encoded),
            ("trust/root.key", hasRootKey ? [0] : []),
        ] where !bytes.isEmpty {
            let path = try mesh.write("", to: "state/" + name)
            try Data(bytes).write(to: URL(fileURLWithPath: path))
        }
    }

    @Test("trust show tells domain, id, roots and issuer")
    func shows() throws {
        let mesh = FakeMesh()
        try write(mesh)
        let answer = try mesh.answer("trust", "show")
        #expect(answer.exitCode == 0)
        for part in [
            "trust domain  example.org\n", "a domain of this host alone", "until 2099-01-01T00:00:00Z",
            "issuer        spiffe://example.org/host/here for */* until",
        ] { #expect(answer.text.contains(part), "\(part) is not in:\n\(answer.text)") }
        let json = try #require(JSON(parsing: Array(try mesh.answer("trust", "show", "--json").text.utf8)))
        #expect(json["trust_domain"].text == "example.org")
        #expect(json["roots"].list.count == 1)
        #expect(json["issuer"]["names"].list == [.text("*/*")])
    }

    @Test("no domain yet is said, a damaged bundle is an error")
    func otherwise() throws {
        let mesh = FakeMesh()
        #expect(try mesh.answer("trust", "show").exitCode == 1)
        _ = try mesh.write("no bundle", to: "state/trust/bundle")
        let complaint = #expect(throws: Complaint.self) { try mesh.answer("trust", "show") }
        #expect(complaint?.what.contains("isn't a trust bundle") == true)
    }

    @Test("check names the domain, and says when it has ended")
    func checks() throws {
        let mesh = FakeMesh()
        try write(mesh, rootKey: false)
        #expect(
            try mesh.answer("check").text.contains("example.org (its root is elsewhere), valid until 2099"))
        try write(mesh, until: 2001)
        #expect(try mesh.answer("check").text.contains("a root or the issuer of example.org"))
    }

    @Test("one's own domain may be spelled out in a config file, another may not")
    func ownDomain() throws {
        let mesh = FakeMesh()
        try write(mesh)
        #expect(TrustFiles.ownDomain(mesh.paths) == "example.org")
        #expect(TrustFiles.ownDomain(FakeMesh().paths) == nil)
        let file = try mesh.write("mesh: 1\nworkload: w\ncalls: [other.org/default/db]\n", to: "w.yaml")
        let failure = #expect(throws: ConfigurationFailure.self) {
            try ConfigurationSource.compiled(file, TrustFiles.ownDomain(mesh.paths))
        }
        #expect(failure?.description.contains("\"other.org\", but one's own is \"example.org\"") == true)
    }
}
