// The policy head that goes with each certificate, and whom the policy revokes.
//
// Theory of operation
//
//   The node keeps the signed policy in policy/current. The issuer reads it whenever it has changed, and
//   believes it by its signature alone, as a sidecar does. The highest head that it has ever seen lies in
//   issuer/policy.head, written before the first certificate that carries it: if the policy's file is
//   lost, or an older one is put in its place, certificates go on naming the newer head. New sidecars then
//   let nothing pass until they find that policy at a peer or a node, which is what a rollback deserves.

import Glibc
import SidecarProtocol

struct IssuedPolicyHead {
    private let paths: MeshPaths
    private var saved: SavedPolicyHead?
    private var hasRead = false
    private var stamp: DomainFiles.Stamp?
    private var revocations: [PolicyRevocation.Subject: PolicyRevocation] = [:]

    init(paths: MeshPaths) { self.paths = paths }

    /// The head for a certificate that is made now. What can't be read or believed is said, and left out.
    mutating func current(of domain: IssuerDomain) throws(FileError) -> PolicyHead {
        let id = domain.bundle.id
        if !hasRead { try readSaved() }
        if saved?.domain != id {
            saved = nil
            stamp = nil
        }
        let found = DomainFiles.stamp(paths.policyFile)
        if stamp != found {
            stamp = found
            try adopt(readPolicy(domain), of: id)
        }
        return saved?.head ?? .initial(of: id)
    }

    /// Why nobody gets a certificate under this name or for this instance any more; nil where that isn't so.
    func refusal(of request: IssuerRequest) -> String? {
        var subjects: [PolicyRevocation.Subject] = [.instance(request.instance)]
        if case .workload(let workload) = request.subject { subjects.append(.identity(workload)) }
        guard let revocation = subjects.lazy.compactMap({ revocations[$0] }).first else { return nil }
        let epoch = saved?.head.epoch ?? 0
        let reason = revocation.reason.isEmpty ? "" : " (\(revocation.reason))"
        return "\(revocation.subject) is revoked by the policy of epoch \(epoch)\(reason):"
            + " see `mesh policy show`"
    }

    private mutating func readSaved() throws(FileError) {
        let path = paths.issuerPolicyHeadFile
        if let bytes = try OwnFiles.read(path, byteCountMaximum: Limits.savedPolicyHeadBytesMaximum) {
            do { saved = try SavedPolicyHead(canonical: bytes) } catch {
                throw FileError(
                    path, "isn't a policy head (\(error))",
                    fix: "restore it from a backup; without it, this host could be rolled back")
            }
        }
        hasRead = true
    }

    private func readPolicy(_ domain: IssuerDomain) -> SignedPolicy? {
        do {
            guard
                let bytes = try OwnFiles.read(
                    paths.policyFile, byteCountMaximum: Limits.policyBytesMaximum)
            else { return nil }
            let policy = try SignedPolicy(canonical: bytes)
            try domain.bundle.verify(policy)
            return policy
        } catch {
            NodeProgram.say("\(paths.policyFile) is left out: \(error)")
            return nil
        }
    }

    private mutating func adopt(_ policy: SignedPolicy?, of domain: TrustDomainID) throws(FileError) {
        guard let policy else { return }
        let known = saved?.head
        guard policy.head.epoch >= known?.epoch ?? 0 else {
            NodeProgram.say(
                "\(paths.policyFile) has epoch \(policy.head.epoch), and epoch \(known?.epoch ?? 0) was here:"
                    + " it is left out")
            return
        }
        if policy.head.epoch > known?.epoch ?? 0 {
            let newest = SavedPolicyHead(domain: domain, head: policy.head)
            try OwnFiles.replace(paths.issuerPolicyHeadFile, with: newest.encoded())
            saved = newest
        }
        revocations = [:]
        guard policy.document.mode == .enforce else { return }
        for revocation in policy.document.revocations { revocations[revocation.subject] = revocation }
    }
}
