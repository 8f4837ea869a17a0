// What may come on the issuer's socket besides certificate requests: root's launcher says which other user
// may be which workload.

/// `user` may ask for certificates of `workload` as long as the process lives that says so. In system
/// mode alone, and from root alone: a launcher says it before it becomes that user.
package struct IssuerGrant: Hashable, Sendable {
    package var userID: UInt32
    package var workload: WorkloadName
    /// What the launcher is about to execute, as it hashed the very descriptor: root's word, which the
    /// issuer passes on as its own.
    package var executable: GrantedExecutable?

    package init(userID: UInt32, workload: WorkloadName, executable: GrantedExecutable? = nil) {
        self.userID = userID
        self.workload = workload
        self.executable = executable
    }

    package func encoded() -> [UInt8] {
        CBOR.array([
            .unsigned(IssuerGrant.kind), .unsigned(UInt64(userID)), .text(workload.namespace),
            .text(workload.name), executable?.item ?? .null,
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
        var executable: GrantedExecutable?
        if parts.count > 4, parts[4] != .null {
            guard let known = GrantedExecutable(parts[4]) else { return nil }
            executable = known
        }
        self.init(userID: userID, workload: workload, executable: executable)
    }

    /// The answer to a grant that was taken; one that wasn't gets `IssuerAnswer.refused`.
    package static let taken = CBOR.array([.unsigned(kind)]).encoded()

    private static let kind: UInt64 = 1
}

package struct GrantedExecutable: Hashable, Sendable {
    /// SHA-256.
    package var digest: [UInt8]
    package var interpreter: ScriptInterpreter?

    package init(digest: [UInt8], interpreter: ScriptInterpreter?) {
        self.digest = digest
        self.interpreter = interpreter
    }

    fileprivate var item: CBOR { .array([.bytes(digest), interpreter?.item ?? .null]) }

    fileprivate init?(_ item: CBOR) {
        guard case .array(let parts) = item, parts.count >= 2, case .bytes(let digest) = parts[0],
            digest.count == 32
        else { return nil }
        self.digest = digest
        if parts[1] != .null {
            guard let known = try? ScriptInterpreter(parts[1]) else { return nil }
            interpreter = known
        }
    }
}
