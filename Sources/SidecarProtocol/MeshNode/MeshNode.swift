// The sidecar's brain: names, sessions, permits and flows, as one state machine.
//
// Theory of operation
//
//   Inputs come in one at a time with the time; effects go out in the order in which the shell must
//   carry them out. Nothing here reads a clock, opens a socket or copies a flow's bytes.
//
//       name query ──▶ callee wanted ──▶ topic subscribed ──▶ announcement ──▶ dial
//                                                                               │
//       answer ◀── listeners opened ◀── VERDICTS ◀── HEAD and CALLS ◀── session established
//
//       workload dials a listener ──▶ decision ──▶ permit ──▶ stream opened ──▶ accepted ──▶ open
//       peer opens a stream       ──▶ decision ──▶ permit ──▶ delivered     ──▶ accepted ──▶ open
//
//   A flow is waiting (for its callee's session), opening (the other end has been asked), or open. It
//   holds a permit from opening on. Whatever may change a decision ends in `redecide`, which confirms or
//   revokes every live permit in one pass, before the shell reads another byte. A flow is cut at both
//   ends: by each end's own decision, and by the RESET that the first one sends.
//
//   Each session is kept alive by HEAD frames, one a third of the lease. A peer that falls silent for a
//   lease loses its flows, whatever its TCP connection says.
//
//   The parts: MeshNode+Names (questions, callees, listeners), +Dialling (announcements, dials), +Links
//   (sessions, heads, verdicts), +Flows (permits and their ends), +Standing (certificates, announcing),
//   +Renewal (ends of certificates), +Configuration (reload), +Policy (the signed policy), MeshStatus (what
//   the admin socket shows).

package struct MeshNode {
    package let instance: InstanceID
    package let incarnation: UInt64
    var authorizer: Authorizer
    var credential: Credential?
    /// Why the newest attempt to renew it failed; nil where none did since it came.
    package internal(set) var renewalProblem: String?
    var addresses: VirtualAddresses?
    /// The table of an earlier incarnation, taken over once the trust domain is known.
    let restoredAddresses: VirtualAddresses?
    var endpoints: [Endpoint] = []
    var isNodeConnected = false
    var announcedSequence: UInt64 = 0

    var callees: [WorkloadName: Callee] = [:]
    var links: [LinkID: Link] = [:]
    var flows: [FlowHandle: Flow] = [:]
    /// The other instances of the own workload that hold its state; empty without one.
    var replicas: [InstanceID: Replica] = [:]
    var replicaTopic: TopicID?
    var queries: [QueryID: HeldQuery] = [:]
    /// Whether the datapath carries IPv6, once the shell has said so.
    var hasIPv6 = false
    var wantsIPv6 = false
    /// Ports of the own workload that refused their last delivery.
    var downPorts: Set<ServicePort> = []
    var egress: EgressPolicy
    /// The own certificate is revoked, and nothing leaves the mesh.
    var isEgressRevoked = false
    var timers = TimerQueue<Timer>()
    var lastLink: UInt64 = 0
    var isStopping = false
    /// Nil before the first certificate.
    var exchange: PolicyExchange<PolicyPeer>?
    /// The policy that the certificate names was being read when it was due.
    var isPolicyFloorProlonged = false
    /// The one that `policyRead` brings, while it is handled.
    var readPolicy: ReadPolicy?
    /// A policy that came before the first certificate.
    var earlyPolicy: [UInt8]?
    /// The shell can't keep records as they come.
    package internal(set) var isRecordingPressed = false

    /// Of the input that is being handled.
    var now: Now
    var effects: [MeshEffect] = []

    enum Timer: Hashable {
        case query(QueryID)
        case wait(FlowHandle)
        case minute(FlowHandle)
        case redial(WorkloadName)
        case redialReplica(InstanceID)
        case headDue(LinkID)
        case lease(LinkID)
        case peerExpiry(LinkID)
        case retirement(LinkID)
        case probe(ServicePort)
        case ownExpiry
        case renewal
        case renewalAlarm
        case announcement
        case policyAnswer
        case policyChange
        case policyFloor
    }

    /// - Parameters:
    ///   - gate: shared with nothing but the permits that this node issues.
    ///   - addresses: what an earlier incarnation had its shell persist; ignored where it can't be read.
    package init(
        configuration: WorkloadConfiguration, instance: InstanceID, incarnation: UInt64,
        addresses: [UInt8]?, gate: DecisionGate = DecisionGate(), now: Now
    ) {
        self.instance = instance
        self.incarnation = incarnation
        self.now = now
        authorizer = Authorizer(configuration: configuration, gate: gate)
        egress = EgressPolicy(configuration)
        restoredAddresses = addresses.flatMap { try? VirtualAddresses(canonical: $0) }
    }

    package var configuration: WorkloadConfiguration { authorizer.configuration }
    package var decisionEpoch: DecisionEpoch { authorizer.gate.epoch }
    package var ownAddress: IPAddress? {
        addresses?.address(of: configuration.workload).map { IPAddress(v4: $0) }
    }

    /// When the shell must hand in `.deadline`, unless another input comes first.
    package var nextDeadline: MonotonicTime? {
        mutating get { timers.next }
    }

    package mutating func handle(_ input: MeshInput, at now: Now, effects: inout [MeshEffect]) {
        let offset = self.now.clockOffset
        self.now = now
        swap(&self.effects, &effects)
        defer { swap(&self.effects, &effects) }
        // Where nobody says that the clock stepped, it is seen.
        if abs(now.clockOffset &- offset) > MeshNode.stepMilliseconds { clockStepped() }
        handle(input)
        fireTimers()
    }

    private mutating func handle(_ input: MeshInput) {
        switch input {
        case .credential(let credential): adopt(credential)
        case .renewalFailed(let problem): renewalFailed(problem)
        case .policy(let bytes): policyCame(bytes)
        case .policyRead(let result, let head): policyRead(result, as: head)
        case .beacon(let bytes): beaconCame(bytes)
        case .nodePolicy(let message): policyMessage(message, from: .node)
        case .listening(let endpoints): announce(at: endpoints)
        case .configuration(let configuration): adopt(configuration)
        case .hasIPv6:
            wantsIPv6 = true
            openIPv6()
        case .nodeConnected: nodeConnected()
        case .announcement(let bytes, let certificates): announced(bytes, certificates)
        case .tombstone(let bytes): buried(bytes)
        case .nameQuery(let query, let question): asked(query, question)
        case .wanted(let name): want(name)
        case .workloadDialled(let flow, let source, let destination, let flowProtocol):
            dialled(flow, source, destination, flowProtocol)
        case .linkEstablished(let link, let peer): established(link, peer)
        case .linkRenewed(let link, let peer): renewed(link, peer)
        case .linkClosed(let link, let reason, let detail): closed(link, reason, detail)
        case .frame(let link, let frame): received(frame, on: link)
        case .inboundOpen(let flow, let link, let stream, let open): opened(flow, link, stream, open)
        case .streamOpened(let flow, let stream): streamOpened(flow, stream)
        case .delivered(let flow): delivered(flow)
        case .deliveryFailed(let flow, let reason): deliveryFailed(flow, reason)
        case .flowEnded(let flow, let reason): ended(flow, reason)
        case .resolved(let query, let host, let addresses, let timeToLive):
            resolved(query, host, addresses, timeToLive)
        case .egressAttempted(let source, let destination, let flowProtocol, let isAllowed):
            egressAttempted(source, destination, flowProtocol, isAllowed)
        case .egressEnded(let source, let destination, let flowProtocol, let sent, let received, let why):
            egressEnded(source, destination, flowProtocol, sent: sent, received: received, why)
        case .probed(let port, let isUp): probed(port, isUp)
        case .replicate(let message, let replica): replicate(message, to: replica)
        case .recordsPressed(let isPressed): recordsPressed(isPressed)
        case .clockStepped: clockStepped()
        case .deadline: break
        case .stop: stop()
        }
    }

    private mutating func fireTimers() {
        while let timer = timers.popDue(at: now.monotonic) {
            switch timer {
            case .query(let query): queryTimedOut(query)
            case .wait(let flow): cut(flow, .unreachable, tellPeer: true)
            case .minute(let flow): minutePassed(flow)
            case .redial(let callee): connect(callee)
            case .redialReplica(let instance): connectReplica(instance)
            case .headDue(let link): stateHead(on: link)
            case .lease(let link): leaseEnded(link)
            case .peerExpiry(let link): peerExpiryDue(link)
            case .ownExpiry: ownExpiryDue()
            case .retirement(let link): retirementDue(link)
            case .probe(let port): probeDue(port)
            case .renewal: renewalDue()
            case .renewalAlarm: renewalAlarmDue()
            case .announcement: register()
            case .policyAnswer: policyAnswerDue()
            case .policyChange: policyTimeCame()
            case .policyFloor: policyFloorDue()
            }
        }
    }

    mutating func log(_ level: LogLevel, _ text: String) { effects.append(.log(level, text)) }
}

// MARK: - What it holds

extension MeshNode {
    /// A workload that `calls` names.
    struct Callee {
        var interest: CallInterest
        var address: UInt32
        /// Once a query or a connection asked for it, for the rest of the run.
        var isWanted = false
        var topic: TopicID?
        var providers: [InstanceID: Provider] = [:]
        /// The session in use or being dialled.
        var link: LinkID?
        /// The callee's last word on the session in use.
        var verdicts: Verdicts?
        var listeners: Set<ServicePort> = []
        var queries: [QueryID] = []
        var waiting: [FlowHandle] = []
        var failures: UInt64 = 0
    }

    /// A question that waits for its callee's verdicts.
    struct HeldQuery {
        var name: WorkloadName
        var wantsV6: Bool
    }

    /// An instance that announced itself.
    struct Provider {
        var announcement: Announcement
        var certificate: Certificate
        var expiry: MonotonicTime
    }

    struct Link {
        enum Phase {
            case dialling(WorkloadName)
            /// Another instance of the own workload.
            case diallingReplica(InstanceID)
            case established
        }

        var phase: Phase
        /// Nil while dialling.
        var session: SessionPeer?
        var peer: Authorizer.Peer?
        var establishedAt: MonotonicTime
        /// Gave way to another session with the same instance; see `retire`.
        var isRetired = false
        /// Number of the peer's trust bundle; nil until it says so, which the first version never does.
        var peerBundle: UInt64?
        /// What the peer's `calls` name of us; nil until it says so.
        var interest: CallInterest?
        var sentVerdicts: Verdicts?
        var flows: [StreamID: FlowHandle] = [:]
        /// While it carries the own workload's state between two replicas.
        var replicaPermit: FlowPermit?
        /// Denied ports that are on record, with the epoch of their record.
        var denied: Set<ServicePort> = []
        var deniedEpoch: UInt64 = 0
    }

    struct Flow {
        enum Phase { case waiting, opening, open }

        let direction: FlowDirection
        /// The workload at the other end.
        let workload: WorkloadName
        let port: ServicePort
        let source: Endpoint
        let destination: Endpoint
        var phase: Phase
        var link: LinkID?
        var stream: StreamID?
        var permit: FlowPermit?
        var rule = ""
        var since: MonotonicTime
    }
}
