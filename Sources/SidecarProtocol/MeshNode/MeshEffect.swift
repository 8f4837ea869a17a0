// What the core asks its shell to do.

package enum NameAnswer: Hashable, Sendable {
    case address(IPAddress)
    case addresses([IPAddress])
    case pointer(String)
    /// The name exists, but not with an address of this kind: NOERROR without records.
    case noData
    case nameError
    case serverFailure
    /// A name that `egress` lists: ask the host's resolver, and hand in `resolved`.
    case resolve(String)
}

package struct DialTarget: Hashable, Sendable {
    package var endpoints: [Endpoint]
    package var staticKey: X25519PublicKey
    /// The peer's certificate must name this workload.
    package var workload: WorkloadName
    /// The topic that the announcement was found on.
    package var topic: TopicID
    /// The versions that the announcement states.
    package var versions: ClosedRange<UInt8>

    package init(
        endpoints: [Endpoint], staticKey: X25519PublicKey, workload: WorkloadName, topic: TopicID,
        versions: ClosedRange<UInt8>
    ) {
        self.endpoints = endpoints
        self.staticKey = staticKey
        self.workload = workload
        self.topic = topic
        self.versions = versions
    }
}

/// Effects are carried out in their order. `persistAddresses` completes before any effect that follows
/// it; `record` is handed over before a `cut` or `closeLink` that follows it.
package enum MeshEffect {
    /// Tell the node what this sidecar announces, and what it leaves behind should it die.
    case register(announcements: [[UInt8]], certificates: [[UInt8]], tombstone: [UInt8])
    case withdraw(tombstone: [UInt8])
    case subscribe(TopicID)
    case unsubscribe(TopicID)
    /// Ask the issuer for a new certificate.
    case renewCredential
    case persistAddresses([UInt8])
    /// Make a `ReadPolicy` of this, beside whatever else there is to do, and hand in `policyRead`.
    case readPolicy([UInt8], as: PolicyHead)
    /// Keep this signed policy, for `MeshInput.policy` of the next start. A second one of the same epoch
    /// is kept beside the first.
    case persistPolicy([UInt8])
    /// Answered, if at all, by `MeshInput.nodePolicy`.
    case tellNode(PolicyMessage)
    case answer(QueryID, NameAnswer)
    /// Open, or close, the workload's listener for a peer's virtual address. Opening one twice is fine.
    case listen(IPAddress, ServicePort)
    case unlisten(IPAddress, ServicePort)
    case dial(LinkID, DialTarget)
    case closeLink(LinkID, CloseReason)
    case send(LinkID, ControlFrame)
    /// Open a stream for the workload's flow and begin to copy; answer with `streamOpened`.
    case openStream(FlowHandle, LinkID, FlowOpen, FlowPermit)
    /// Connect to the workload's port from `source`, a peer's virtual address (or, where the service
    /// listens on 127.0.0.1 only, from `localSource`); answer with `delivered` or `deliveryFailed`.
    case deliver(
        FlowHandle, source: Endpoint, localSource: Endpoint, ServicePort, FlowPermit)
    /// End a flow at once, its workload's socket by a reset. The core has told the peer already.
    case cut(FlowHandle, CloseReason)
    /// The userland stack may open flows to this endpoint, until the time given or for good.
    case allowEgress(Endpoint, until: MonotonicTime?)
    /// And no longer; flows that are open to it end.
    case revokeEgress(Endpoint)
    /// See whether the workload's port accepts connections.
    case probe(ServicePort)
    /// Another replica of the own workload's state can be spoken to, or no longer.
    case replicaUp(InstanceID)
    case replicaDown(InstanceID)
    /// What it says.
    case replicated([UInt8], from: InstanceID)
    case record(FlowRecord)
    /// One line for the sidecar's log.
    case log(LogLevel, String)
    /// Everything is closed and recorded; the process may end.
    case stopped
}

package enum LogLevel: String, Hashable, Sendable { case debug, info, notice, warning, error }

/// One line of a records file.
package struct FlowRecord: Hashable, Sendable {
    package enum Event: String, Hashable, Sendable { case open, minute, close, denied, refused }

    package struct End: Hashable, Sendable {
        package var identity: String
        package var version: String
        package var endpoint: Endpoint?
        package init(identity: String, version: String, endpoint: Endpoint?) {
            self.identity = identity
            self.version = version
            self.endpoint = endpoint
        }
    }

    package var time: WallTime
    package var event: Event
    package var flow: FlowID?
    package var direction: FlowDirection
    package var port: ServicePort
    package var source: End
    package var destination: End
    package var isAllowed: Bool
    /// The rule that decided: `accepts[0] default/client`.
    package var rule: String
    package var head: PolicyHead
    package var decisionEpoch: UInt64
    package var bytesSent: UInt64
    package var bytesReceived: UInt64
    package var durationMilliseconds: UInt64
    package var reason: CloseReason?

    package init(
        time: WallTime, event: Event, flow: FlowID?, direction: FlowDirection, port: ServicePort,
        source: End, destination: End, isAllowed: Bool, rule: String, head: PolicyHead,
        decisionEpoch: UInt64, bytesSent: UInt64, bytesReceived: UInt64, durationMilliseconds: UInt64,
        reason: CloseReason?
    ) {
        self.time = time
        self.event = event
        self.flow = flow
        self.direction = direction
        self.port = port
        self.source = source
        self.destination = destination
        self.isAllowed = isAllowed
        self.rule = rule
        self.head = head
        self.decisionEpoch = decisionEpoch
        self.bytesSent = bytesSent
        self.bytesReceived = bytesReceived
        self.durationMilliseconds = durationMilliseconds
        self.reason = reason
    }
}
