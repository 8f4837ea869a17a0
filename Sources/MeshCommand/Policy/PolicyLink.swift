// A conversation with the node about policies: its head is stated, the node asks for what it lacks.

import Glibc
import SidecarProtocol

struct PolicyLink: ~Copyable {
    private let client: NodeClient

    /// Nil where no node runs.
    init?(_ paths: MeshPaths) throws(Complaint) {
        guard let client = try NodeClient(paths) else { return nil }
        self.client = client
    }

    /// Hands a policy over, to the node or, where none runs, to the disk for the next one.
    ///
    /// - Returns: whether a node has it.
    static func send(_ policy: SignedPolicy, _ paths: MeshPaths) throws(Complaint) -> Bool {
        if let link = try PolicyLink(paths) {
            try link.hand(over: policy)
            return true
        }
        try KeyFiles.makeFolder(paths.policyFolder)
        try KeyFiles.replace(paths.policyFile, policy.encoded)
        // One that started meanwhile may have read what was there before.
        guard let link = try PolicyLink(paths) else { return false }
        try link.hand(over: policy)
        return true
    }

    /// The heads of what the node holds: two, where two policies of one epoch stand against each other.
    static func heads(_ paths: MeshPaths) throws(Complaint) -> [PolicyHead] {
        guard let link = try PolicyLink(paths),
            let unknown = PolicyHead(epoch: .max, hash: [UInt8](repeating: 0, count: 32))
        else { return [] }
        // Whoever is asked for what it doesn't have says what it has.
        link.client.send(.policy(.request(unknown, offset: 0)))
        link.client.send(.status)
        var heads: [PolicyHead] = []
        while true {
            switch link.client.receive(within: 2) {
            case .message(.policy(.head(let head))): heads.append(head)
            case .message(.status): return heads
            case .message: continue
            case .end, .silence, .malformed:
                throw Complaint("the node doesn't answer", fix: "see mesh node status")
            }
        }
    }

    /// States the head, answers the node's requests, and returns once the node states the same head.
    private func hand(over policy: SignedPolicy) throws(Complaint) {
        client.send(.policy(.request(policy.head, offset: 0)))
        client.send(.policy(.head(policy.head)))
        let deadline = monotonicMilliseconds() + 30_000
        while monotonicMilliseconds() < deadline {
            switch client.receive(within: 10) {
            case .message(.policy(.head(policy.head))): return
            case .message(.policy(.head(let head))) where head.epoch > policy.head.epoch:
                throw Complaint(
                    "the node has a newer policy already, \(head)", fix: "look at it, and try again")
            case .message(.policy(.request(policy.head, let offset))): send(policy, from: Int(offset))
            case .message(.refused(let reason)):
                throw Complaint("the node refuses the policy: \(reason)", fix: "nothing has changed")
            // What it was about to say to us anyhow.
            case .message: continue
            case .end, .silence, .malformed:
                throw Complaint(
                    "the node takes no policy: it doesn't answer", fix: "see mesh node status")
            }
        }
        throw Complaint("the node doesn't take the policy within 30 s", fix: "see its node.log")
    }

    private func send(_ policy: SignedPolicy, from offset: Int) {
        let bytes = policy.encoded
        var start = offset
        for _ in 0..<Limits.policyPartsOfRequest where start < bytes.count {
            let end = min(start + Limits.policyPartBytesMaximum, bytes.count)
            client.send(
                .policy(
                    .part(
                        PolicyPart(
                            head: policy.head, offset: UInt32(start), total: UInt32(bytes.count),
                            bytes: Array(bytes[start..<end])))))
            start = end
        }
    }

    /// Sends a beacon. False where the node has gone.
    func send(beacon: [UInt8]) throws(Complaint) -> Bool {
        client.send(.policy(.beacon(beacon)))
        // An answer to the question behind it says that the beacon was read.
        client.send(.status)
        while true {
            switch client.receive(within: 5) {
            case .message(.status): return true
            case .message(.refused(let reason)):
                throw Complaint(
                    "the node refuses the beacon: \(reason)", fix: "see mesh policy show, and the clock")
            case .message: continue
            case .end, .silence, .malformed: return false
            }
        }
    }
}
