// The driver: it owns the sidecar's core, feeds it what happens and carries out what it decides.
//
// Theory of operation
//
//       launcher ─▶┐                         ┌▶ name service, listeners, deliveries
//        issuer ──▶│   feed ─▶ MeshNode ─▶   │▶ links to peers
//          node ──▶│        (the core)       │▶ node, issuer
//      workload ──▶│                         │▶ records, addresses, log
//         peers ──▶┘                         └▶ the end
//
//   All of it runs on one event loop, the process's main thread. An effect may cause an input while the
//   effects before it are still being carried out; such inputs wait until all of them are done, so that
//   the core sees one thing after the other and effects keep their order.
//
//   A flow's bytes don't come by here: FlowChannel and PeerLink pass them to each other.

import CLinuxShims
import Glibc
import Logging
import NIOCore
import SidecarProtocol
import Transport

final class Driver {
    let loop: any EventLoop
    let launch: SidecarStart
    let paths: MeshPaths
    let workload: WorkloadName
    let logger: Logger
    let records: RecordWriter
    /// Itself, once it has begun: whom the writer's thread tells how it gets on.
    let recordsOwner: NIOLoopBoundBox<Driver?>
    let startedAt = Now.current()

    var node: MeshNode
    private var inputs: [MeshInput] = []
    private var isHandling = false
    private var timer: Scheduled<Void>?
    private var timerDeadline: MonotonicTime?

    // MARK: Parts

    /// The thread's stock of sockets; set before anything can ask for it.
    var sockets: NamespaceThread!
    lazy var names = NameService(loop: loop) { [unowned self] in feed(.nameQuery($0, $1)) }
    lazy var listeners = Listeners(loop: loop, sockets: sockets) { [unowned self] in newOutboundFlow() }
    lazy var adoption = FlowAdoption(loop: loop)
    var datagramListeners: [Endpoint: DatagramListener] = [:]
    /// Those flows that are UDP associations.
    var associations: Set<FlowHandle> = []
    var isSweepScheduled = false
    /// For port unreachable; made at their first use.
    var errorSockets: [SocketKind: Int32] = [:]
    var peerListener: PeerListener?
    var admin: AdminSocket?
    var credentials: CredentialSource?
    var isAskingIssuer = false
    var isNodeConnected = false
    lazy var issuer = IssuerClient(path: paths.issuerSocket, eventLoop: loop)
    lazy var topics = NodeClient(
        path: paths.topicsSocket, instanceFolder: instanceFolder, launcherProcessID: getppid(),
        eventLoop: loop
    ) { [unowned self] in handle($0) }

    // MARK: The TAP

    var tap: Int32?
    var stack: StackClient?
    var stackCounters = StackCounters()
    /// What was allowed before there was a stack to tell.
    var earlyAllowances: [(Endpoint, MonotonicTime?)] = []
    /// Peers' ports that the workload may dial, on `slirp`.
    var stackListeners: Set<StackListener> = []
    var stackDatagrams: [Endpoint: DatagramListener] = [:]
    var resolutionCount = 0

    // MARK: State

    var stateSlot: StateSlot?
    var state: StateService?
    /// What is there of it has been read, or takes longer than the launch waits for.
    var isStateAwaited = false

    // MARK: Flows and links

    var links: [LinkID: PeerLink] = [:]
    var acceptedLinkCount: UInt64 = 0
    var handshakes = HandshakeSlots<LinkID>()
    var isCipherPrepared = false
    var flows: [FlowHandle: any WorkloadFlow] = [:]
    var deliveries: [FlowHandle: Delivery] = [:]
    private var lastFlow: UInt64 = 0
    /// The stream whose opening the core is deciding on.
    var opening: (flow: FlowHandle, link: LinkID, stream: StreamID)?
    /// Listeners that were asked for before the namespaces were there.
    var earlyListeners: [(IPAddress, ServicePort)] = []

    // MARK: Life

    var stage = Stage.starting
    var network: SidecarNetwork?
    var workloadProcess: Int32?
    /// Until then a port that has never been up is one that the workload is about to open.
    var startPatience = NIODeadline.distantFuture
    var portsSeenUp: Set<ServicePort> = []
    var isOrphan = false
    var isTrimScheduled = false
    var metrics = FlowMetrics()
    /// Nil where the config names no collector.
    var spans: SpanExporter?
    /// At most one at a time.
    var drill: DrillRun?
    var counters = SidecarCounters()
    var cutLatencies = CutLatencies()
    /// Of the policy in force; nil while it is the first that this sidecar has known.
    var policyChange: PolicyChange?
    /// Flows that lost their permission, the last ones last.
    var recentCuts: [(flow: FlowID?, time: MonotonicTime)] = []
    /// When what is being handled came, or was due: cuts are measured from then.
    var handledSince = MonotonicTime(nanoseconds: 0)

    enum Stage { case starting, ready, stopping }

    init(launch: SidecarStart, configuration: WorkloadConfiguration, loop: any EventLoop, logger: Logger) {
        self.launch = launch
        self.loop = loop
        self.logger = logger
        workload = configuration.workload
        paths = MeshPaths(
            runtime: launch.runtimeFolder, state: launch.stateFolder, config: launch.configFolder,
            cache: launch.stateFolder)
        let folder = paths.instanceFolder(launch.instance)
        node = MeshNode(
            configuration: configuration, instance: launch.instance, incarnation: launch.incarnation,
            addresses: launch.incarnation > 1 ? SmallFile.read(folder + "/" + MeshPaths.addressesName) : nil,
            now: startedAt)
        let owner = NIOLoopBoundBox<Driver?>.makeEmptyBox(eventLoop: loop)
        recordsOwner = owner
        records = RecordWriter(
            path: paths.recordsFile(configuration.workload, launch.instance),
            signer: RecordSigner(instance: launch.instance, incarnation: launch.incarnation),
            warn: { logger.error("\($0)") },
            pressed: { isPressed in
                loop.execute { owner.value?.feed(.recordsPressed(isPressed)) }
            })
    }

    var instanceFolder: String { paths.instanceFolder(launch.instance) }

    func nextFlow() -> FlowHandle {
        lastFlow += 1
        return FlowHandle(number: lastFlow)
    }

    // MARK: Inputs and time

    /// Hands one input to the core, or queues it behind the one that is being handled.
    func feed(_ input: MeshInput) {
        inputs.append(input)
        guard !isHandling else { return }
        isHandling = true
        var index = 0
        var effects: [MeshEffect] = []
        while index < inputs.count {
            let input = inputs[index]
            index += 1
            if case .inboundOpen(let flow, let link, let stream, _) = input {
                opening = (flow, link, stream)
            }
            effects.removeAll(keepingCapacity: true)
            handle(input, &effects)
            opening = nil
        }
        inputs.removeAll(keepingCapacity: inputs.capacity <= 64)
        isHandling = false
        armTimer()
    }

    private func handle(_ input: MeshInput, _ effects: inout [MeshEffect]) {
        let before = mayChangePolicy(input) ? node.signedPolicy?.head : nil
        handledSince = cause(of: input)
        node.handle(input, at: Now.current(), effects: &effects)
        if mayChangePolicy(input), let head = node.signedPolicy?.head, head != before {
            begin(head)
        }
        for effect in effects { perform(effect) }
    }

    /// A timer that is due earlier than needed stays: it finds nothing to do and sets itself anew.
    private func armTimer() {
        guard let deadline = node.nextDeadline else { return }
        if let timerDeadline, timerDeadline <= deadline { return }
        timer?.cancel()
        timerDeadline = deadline
        let span = deadline - Now.current().monotonic
        let delay = TimeAmount.nanoseconds(Int64(clamping: span.nanoseconds))
        let bound = NIOLoopBound(self, eventLoop: loop)
        timer = loop.scheduleTask(in: delay) { bound.value.timerFired() }
    }

    private func timerFired() {
        timer = nil
        timerDeadline = nil
        feed(.deadline)
    }
}
