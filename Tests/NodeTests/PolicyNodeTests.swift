import Foundation
import Glibc
import SidecarProtocol
import Testing

@Suite("A node and its issuer hold the signed policy")
struct PolicyNodeTests {
    /// A running node of a local domain, and a policy key that its root certifies.
    private struct Domain {
        let node: NodeProcess
        let process: Subprocess
        let bundle: TrustBundle
        let root: SigningKeyPair
        let key = SigningKeyPair(seed: [UInt8](repeating: 9, count: 32))
        let certificate: Certificate

        init() throws {
            node = try NodeProcess()
            process = try node.start()
            let client = try TestClient(node, "first")
            try #require(client.line("connected") != nil)
            func read(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path))) }
            bundle = try TrustBundle(canonical: read(node.paths.trustBundleFile))
            root = SigningKeyPair(seed: try read(node.paths.rootKeyFile))
            let now = WallTime(seconds: Int64(time(nil)))
            let contents = CertificateContents(
                kind: .policy, trustDomain: bundle.trustDomain, subject: nil, signingKey: key.publicKey,
                notBefore: now - .seconds(600), notAfter: now + .seconds(3600), serial: 1)
            certificate = try contents.signed(by: root)
        }

        /// - Parameter salt: makes two of one epoch differ.
        func document(_ epoch: UInt64, salt: String = "") throws -> PolicyDocument {
            var document = PolicyDocument(
                trustDomain: bundle.id, epoch: epoch, issuedAt: WallTime(seconds: Int64(time(nil))),
                mode: .enforce, unmatched: .configs)
            document.revocations = [
                PolicyRevocation(
                    .identity(try WorkloadName(namespace: "default", name: "gone")), reason: "stolen \(salt)")
            ]
            return document
        }

        func policy(_ epoch: UInt64, salt: String = "") throws -> SignedPolicy {
            try document(epoch, salt: salt).signed(by: key, certificate: certificate)
        }

        /// As a later version may sign it, with a field that this one doesn't know.
        func policy(_ epoch: UInt64, with field: UInt64) throws -> (bytes: [UInt8], head: PolicyHead) {
            var fields = try CBORFields(CBOR(canonical: document(epoch).body()), of: "policy")
            fields[field] = .text("later")
            let signed = SignedBytes(body: fields.item.encoded(), context: .policy, signedBy: key).encoded()
            let head = try #require(PolicyHead(epoch: epoch, hash: SHA256.hash(signed)))
            return (CBOR.array([.bytes(signed), .bytes(certificate.encoded)]).encoded(), head)
        }
    }

    /// Hands over bytes as the policy of a head, and returns what the node then says of itself: the heads
    /// that it states, or why it refuses.
    private func hand(_ node: NodeProcess, _ bytes: [UInt8], as head: PolicyHead) throws -> [NodeMessage] {
        let client = try RawClient(node.paths.topicsSocket)
        client.send(frame: ClientMessage.policy(.head(head)).encoded())
        // A node that doesn't want it asks for nothing; it answers the next question all the same.
        client.send(frame: ClientMessage.status.encoded())
        var questions = 1
        var said: [NodeMessage] = []
        while questions > 0, let frame = client.frame() {
            let message = try NodeMessage(canonical: frame)
            switch message {
            case .policy(.request(_, let offset)):
                let part = PolicyPart(
                    head: head, offset: offset, total: UInt32(bytes.count),
                    bytes: Array(bytes.dropFirst(Int(offset)).prefix(Limits.policyPartBytesMaximum)))
                client.send(frame: ClientMessage.policy(.part(part)).encoded())
                client.send(frame: ClientMessage.status.encoded())
                questions += 1
            case .status: questions -= 1
            default: said.append(message)
            }
        }
        return said
    }

    private func refusal(_ said: [NodeMessage]) -> String? {
        for case .refused(let reason) in said { return reason }
        return nil
    }

    @Test("a policy is kept for its owner alone, told to sidecars, and named in each new certificate")
    func kept() throws {
        let domain = try Domain()
        let (node, paths) = (domain.node, domain.node.paths)
        let sidecar = try TestClient(node, "web")
        #expect(sidecar.line("head")?.hasPrefix("head 0/") == true)
        #expect(sidecar.line("connected") != nil)
        let policy = try domain.policy(1)
        let said = try hand(node, policy.encoded, as: policy.head)
        #expect(said.contains(.policy(.head(policy.head))), "\(said)")
        #expect(sidecar.line("policy \(policy.head)") != nil)
        #expect(
            eventually {
                FileManager.default.contents(atPath: paths.policyFile).map(Array.init) == policy.encoded
            })
        for (path, mode) in [(paths.policyFolder, mode_t(0o700)), (paths.policyFile, 0o600)] {
            var status = stat()
            #expect(lstat(path, &status) == 0 && status.st_mode & 0o7777 == mode, "\(path)")
        }
        let late = try TestClient(node, "late")
        #expect(late.line("head") == "head \(policy.head)")
        #expect(late.line("policy") == "policy \(policy.head)")
        let gone = try TestClient(node, "gone")
        #expect(gone.line("failed")?.contains("identity default/gone is revoked") == true)
    }

    @Test("an issuer that is killed, and a node that starts anew, go on with the same head")
    func survives() throws {
        let domain = try Domain()
        let (node, paths) = (domain.node, domain.node.paths)
        let policy = try domain.policy(3)
        _ = try hand(node, policy.encoded, as: policy.head)
        // Before anybody has asked for a certificate under it.
        #expect(
            eventually {
                FileManager.default.contents(atPath: paths.issuerPolicyHeadFile)
                    .flatMap { try? SavedPolicyHead(canonical: Array($0)) }?.head == policy.head
            })
        let before = try TestClient(node, "before")
        #expect(before.line("head") == "head \(policy.head)")
        kill(try #require(children(of: domain.process.processID).first), SIGKILL)
        let after = try TestClient(node, "after")
        #expect(after.line("head") == "head \(policy.head)")
        domain.process.end(SIGKILL)
        // The policy's own file is lost, or an older one is put in its place: the head isn't.
        let older = try domain.policy(2)
        try Data(older.encoded).write(to: URL(filePath: paths.policyFile))
        chmod(paths.policyFile, 0o600)
        try node.start()
        let rolledBack = try TestClient(node, "later")
        #expect(rolledBack.line("head") == "head \(policy.head)")
        #expect(rolledBack.line("policy") == "policy \(older.head)")
    }

    @Test("what can't be believed is refused with its reason, and nothing has changed")
    func refused() throws {
        let domain = try Domain()
        let node = domain.node
        let policy = try domain.policy(5)
        _ = try hand(node, policy.encoded, as: policy.head)
        let file = { FileManager.default.contents(atPath: node.paths.policyFile).map(Array.init) }
        #expect(eventually { file() == policy.encoded })

        func refuses(_ bytes: [UInt8], _ head: PolicyHead, _ reason: String) throws {
            let said = try hand(node, bytes, as: head)
            #expect(refusal(said)?.contains(reason) == true, "\(reason): \(said)")
            #expect(file() == policy.encoded)
        }
        let next = try domain.policy(6)
        // Signed by a key that the certificate beside it doesn't name.
        let stranger = SigningKeyPair(seed: [UInt8](repeating: 8, count: 32))
        let forged = try domain.document(6).sealed(by: stranger, certificate: domain.certificate)
        try refuses(forged.encoded, forged.head, "the policy's signature is wrong")
        // Certified by nobody that the domain knows.
        var contents = domain.certificate.contents
        contents.signingKey = stranger.publicKey
        let own = try domain.document(6, salt: "own").signed(
            by: stranger, certificate: contents.signed(by: stranger))
        try refuses(own.encoded, own.head, "which the trust bundle doesn't hold")
        try refuses(policy.encoded, next.head, "was asked for")
        var damaged = next.encoded
        damaged[damaged.count / 2] ^= 1
        #expect(try refusal(hand(node, damaged, as: next.head)) != nil)
        // Fields of a later version: one that may be passed over, and one that may not.
        let critical = try domain.policy(6, with: 65)
        try refuses(critical.bytes, critical.head, "critical field 65, which this version doesn't know")
        // An older one isn't even asked for.
        let older = try domain.policy(4)
        #expect(try hand(node, older.encoded, as: older.head) == [])
        #expect(file() == policy.encoded)
        #expect(node.log.contains("policy refused"))
        let grown = try domain.policy(6, with: 64)
        #expect(try hand(node, grown.bytes, as: grown.head).contains(.policy(.head(grown.head))))
        #expect(eventually { file() == grown.bytes })
    }

    @Test("two policies of one epoch are kept both, and only one that settles both is taken")
    func conflict() throws {
        let domain = try Domain()
        let (node, paths) = (domain.node, domain.node.paths)
        let (first, second) = (try domain.policy(1, salt: "a"), try domain.policy(1, salt: "b"))
        _ = try hand(node, first.encoded, as: first.head)
        let said = try hand(node, second.encoded, as: second.head)
        #expect(said.contains(.policy(.head(first.head))) && said.contains(.policy(.head(second.head))))
        #expect(eventually { FileManager.default.contents(atPath: paths.rivalPolicyFile) != nil })
        #expect(node.log.contains("two policies of one epoch stand against each other"))
        let plain = try domain.policy(2)
        #expect(try refusal(hand(node, plain.encoded, as: plain.head))?.contains("settle") == true)

        // The next node knows of both.
        domain.process.end(SIGKILL)
        try node.start()
        let client = try TestClient(node, "web")
        #expect(client.line("policy") != nil && client.line("policy") != nil)
        var document = try domain.document(3)
        document.settles = [first.head, second.head]
        let settled = try document.signed(by: domain.key, certificate: domain.certificate)
        #expect(try hand(node, settled.encoded, as: settled.head).contains(.policy(.head(settled.head))))
        #expect(eventually { FileManager.default.contents(atPath: paths.rivalPolicyFile) == nil })
    }
}
