import ArgumentParser
import Foundation
import Glibc
import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct PolicyKeyTests {
    /// A domain on a disk, with or without its root's key.
    private func domain(_ mesh: FakeMesh, rootHere: Bool) throws -> (bundle: TrustBundle, root: String) {
        let root = mesh.folder + "/root"
        // It works where the root is, and knows no place of its own.
        let make = try #require(
            Mesh.parseAsRoot(["trust", "init", "example.org", "--root", root]) as? TrustInit)
        _ = try make.answer()
        let bundle = try RootFolder(path: root).bundle()
        for folder in ["state", "state/trust"] { mkdir("\(mesh.folder)/\(folder)", 0o700) }
        try Data(bundle.encoded).write(to: URL(fileURLWithPath: mesh.paths.trustBundleFile))
        if rootHere {
            try FileManager.default.copyItem(atPath: root + "/root.key", toPath: mesh.paths.rootKeyFile)
        }
        return (bundle, root)
    }

    private func keyID(_ answer: Answer) -> String? {
        JSON(parsing: Array(answer.text.utf8))?["key_id"].text
    }

    @Test("a local domain certifies its own policy key at once, and the same one again")
    func local() throws {
        let mesh = FakeMesh()
        let (bundle, _) = try domain(mesh, rootHere: true)
        let first = try mesh.answer("trust", "policy-key", "--json")
        let key = try PolicyKey.installed(mesh.paths)
        #expect(keyID(first) == key.key.publicKey.keyID.hex && key.bundle.id == bundle.id)
        #expect(key.certificate.kind == .policy)
        for path in [mesh.paths.policyKeyFile, mesh.paths.policyCertificateFile] {
            #expect(FileStatus(path)?.permissions == 0o600)
        }
        #expect(FileStatus(mesh.paths.policyFolder)?.permissions == 0o700)
        #expect(try keyID(mesh.answer("trust", "policy-key", "--days", "2", "--json")) == keyID(first))
    }

    @Test("an offline root certifies by request, and nobody else's certificate is taken")
    func offline() throws {
        let mesh = FakeMesh()
        let (_, root) = try domain(mesh, rootHere: false)
        let (request, grant) = (mesh.folder + "/request", mesh.folder + "/grant")
        let asked = try mesh.answer("trust", "policy-key", "--out", request, "--json")
        let early = #expect(throws: Complaint.self) { try PolicyKey.installed(mesh.paths) }
        #expect(early?.what.contains("isn't certified yet") == true)
        var sign = try #require(
            Mesh.parseAsRoot(["trust", "sign", request, "--root", root, "--out", grant, "--json"])
                as? TrustSign)
        #expect(try keyID(sign.answer()) == keyID(asked))
        _ = try mesh.answer("trust", "policy-key", "--install", grant)
        #expect(try PolicyKey.installed(mesh.paths).key.publicKey.keyID.hex == keyID(asked))

        let other = FakeMesh()
        let (_, otherRoot) = try domain(other, rootHere: false)
        _ = try other.answer("trust", "policy-key", "--out", other.folder + "/request")
        let wrongKey = #expect(throws: Complaint.self) {
            try other.answer("trust", "policy-key", "--install", grant)
        }
        #expect(wrongKey?.what.contains("it is another key's") == true)
        // The name is the same, the domain isn't.
        sign.folder = otherRoot
        sign.out = mesh.folder + "/other"
        let wrongRoot = #expect(throws: Complaint.self) { try sign.answer() }
        #expect(wrongRoot?.what.contains("asks for the domain") == true)
    }

    @Test("a root at hand certifies at once; another domain's doesn't")
    func atHand() throws {
        let mesh = FakeMesh()
        let (_, root) = try domain(mesh, rootHere: false)
        _ = try mesh.answer("trust", "policy-key", "--root", root)
        _ = try PolicyKey.installed(mesh.paths)
        let other = FakeMesh()
        let (_, otherRoot) = try domain(other, rootHere: false)
        #expect(throws: Complaint.self) { try mesh.answer("trust", "policy-key", "--root", otherRoot) }
    }

    @Test("no domain, no key and a key that others can read are said")
    func refused() throws {
        let mesh = FakeMesh()
        #expect(throws: Complaint.self) { try mesh.answer("trust", "policy-key") }
        _ = try domain(mesh, rootHere: true)
        #expect(throws: Complaint.self) { try PolicyKey.installed(mesh.paths) }
        _ = try mesh.answer("trust", "policy-key")
        chmod(mesh.paths.policyKeyFile, 0o644)
        let open = #expect(throws: Complaint.self) { try PolicyKey.installed(mesh.paths) }
        #expect(open?.what.contains("can be read by others") == true)
    }
}
