// What may come on the issuer's socket besides certificate requests: root's launcher says which other user
// may be which workload.

/// `user` may ask for certificates of `workload` as long as the process lives that says so. In system
/// mode alone, and from root alone: a launcher says it before it becomes that user.
package struct IssuerGrant: Hashable, Sendable {
    package var userID: UInt32
    package var workload: WorkloadName

    package init(userID: UInt32, workload: WorkloadName) {
        self.userID = userID
        self.workload = workload
    }

    package func encoded() -> [UInt8] {
        CBOR.array([
            .unsigned(IssuerGrant.kind), .unsigned(UInt64(userID)), .text(workload.namespace),
            .text(workload.name),
        ]).encoded()
    }

    /// Nil where the message is something else, such as a certificate request.
    package init?(canonical bytes: [UInt8]) {
        guard case .array(let parts)? = try? CBOR(canonical: bytes), parts.count >= 4,
            parts[0] == .unsigned(IssuerGrant.kind), case .unsigned(let user) = parts[1],
            let userID = UInt32(exactly: user), case .text(let namespace) = parts[2],
            case .text(let name) = parts[3],
            let workload = try? WorkloadName(namespace: namespace, name: name)
        else { return nil }
        self.init(userID: userID, workload: workload)
    }

    /// The answer to a grant that was taken; one that wasn't gets `IssuerAnswer.refused`.
    package static let taken = CBOR.array([.unsigned(kind)]).encoded()

    private static let kind: UInt64 = 1
}
