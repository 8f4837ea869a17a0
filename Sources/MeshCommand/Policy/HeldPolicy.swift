// The policy that this host's node holds, and the one that may follow it.

import Glibc
import SidecarProtocol

enum HeldPolicy {
    /// Nil where the domain has none yet. Its signature is checked, as every reader does.
    static func read(_ paths: MeshPaths) throws(Complaint) -> SignedPolicy? {
        guard let files = try TrustFiles(paths), FileStatus(paths.policyFile) != nil else { return nil }
        let bytes = try FileContent.read(paths.policyFile, atMost: Limits.policyBytesMaximum + 1)
        do throws(PolicyError) {
            let policy = try SignedPolicy(canonical: bytes)
            try files.bundle.verify(policy)
            return policy
        } catch {
            throw Complaint(
                "\(paths.policyFile) can't be believed: \(error)",
                fix: "end the node and remove it; a neighbour tells of it again, or sign anew")
        }
    }
}

/// A policy that is about to follow the one in force.
struct PolicyDraft {
    let key: PolicyKey
    let current: SignedPolicy?
    var document: PolicyDocument
    /// What was left out of it, since its time is over.
    private(set) var dropped: [String] = []

    /// Begins from the policy in force, or from one that only takes away where there is none.
    init(following paths: MeshPaths) throws(Complaint) {
        key = try PolicyKey.installed(paths)
        current = try HeldPolicy.read(paths)
        document =
            current?.document
            ?? PolicyDocument(
                trustDomain: key.bundle.id, epoch: 0, issuedAt: KeyFiles.now(), mode: .enforce,
                unmatched: .configs)
        advance()
        dropWhatIsOver()
    }

    /// Takes a file's content, in place of what is in force.
    init(_ file: CompiledPolicyFile, following paths: MeshPaths) throws(Complaint) {
        key = try PolicyKey.installed(paths)
        current = try HeldPolicy.read(paths)
        let epoch = current?.head.epoch ?? 0
        document = file.document(of: key.bundle.id, epoch: epoch, at: KeyFiles.now())
        advance()
    }

    private mutating func advance() {
        document.epoch += 1
        document.issuedAt = max(KeyFiles.now(), current?.document.issuedAt ?? KeyFiles.now())
        document.settles = []
    }

    /// What ended by itself changes nothing by being left out, and would be refused.
    private mutating func dropWhatIsOver() {
        let now = document.issuedAt
        document.locks.removeAll { $0.until <= now }
        let over = document.rules.filter { ($0.window.notAfter ?? .distantFuture) <= now }
        dropped = over.map(\.name)
        document.rules.removeAll { ($0.window.notAfter ?? .distantFuture) <= now }
    }

    func signed() throws(Complaint) -> SignedPolicy {
        do throws(PolicyError) {
            return try document.signed(by: key.key, certificate: key.certificate)
        } catch {
            throw Complaint("the policy can't be signed: \(error)", fix: "correct it; nothing has changed")
        }
    }
}

extension WallTime {
    fileprivate static let distantFuture = WallTime(milliseconds: .max)
}
