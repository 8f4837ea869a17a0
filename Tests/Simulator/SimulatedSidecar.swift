import SidecarProtocol

/// One sidecar of the world: the core, and what its shell would hold.
package struct SimulatedSidecar {
    package let index: Int
    package var node: MeshNode
    package let instance: InstanceID
    package let lifetime: MonotonicTime.Span
    package var credential: Credential?
    /// Older ones, until their leaf ends.
    package var replaced: [Credential] = []
    /// Lines of its log, warnings and errors.
    package var warnings: [String] = []
    package var isDead = false
    package var listeners: Set<Endpoint> = []
    package var answers: [QueryID: NameAnswer] = [:]
    package var records: [FlowRecord] = []
    package var flows: [FlowHandle: SimulatedFlow] = [:]
    package var bytesReceived = 0
    /// Replicas of its state that it can speak to, and what they said.
    package var replicas: Set<InstanceID> = []
    package var stateMessages: [(from: InstanceID, message: [UInt8])] = []
    /// Ports of the workload that refuse connections.
    package var closedPorts: Set<ServicePort> = []

    var links: [LinkID: LinkEnd] = [:]
    /// What arrived on a link before this end knew it as established.
    var early: [LinkID: [(World) -> Void]] = [:]
    var lastArrival: [LinkID: MonotonicTime] = [:]
    var lastQuery: UInt64 = 0
    var lastFlow: UInt64 = 0
    var lastStream: UInt32 = 0

    func answers(to staticKey: X25519PublicKey, at now: WallTime) -> Bool {
        credential?.staticKey.publicKey == staticKey
            || replaced.contains { $0.staticKey.publicKey == staticKey && now < $0.certificate.notAfter }
    }

    package func isUp(_ port: ServicePort) -> Bool {
        node.configuration.serves.contains(port) && !closedPorts.contains(port)
    }
}

/// The far end of a link.
struct LinkEnd {
    var sidecar: Int
    var link: LinkID
    var hash: [UInt8]
    var isInitiator: Bool
    var isEstablished = false
}

package struct SimulatedFlow {
    package var link: LinkID
    package var stream: StreamID
    package var permit: FlowPermit?
    package var port: ServicePort
    package var isCaller: Bool
    package var bytesReceived = 0
}
