// One end of a drill: a sidecar's core and its sessions, without a workload.

import NIOCore
import SidecarProtocol
import Transport

/// Runs the core of a canary as `Driver` runs the workload's: its inputs, its links, and its flows up to
/// where a socket of a workload would begin.
final class CanarySidecar: PeerLinkDelegate {
    let side: CutDrill.Side
    private let loop: any EventLoop
    private(set) var node: MeshNode
    private let credentials: CredentialSource
    private var links: [LinkID: PeerLink] = [:]
    private var ends: [FlowHandle: CanaryEnd] = [:]
    /// Inbound flows that the core may deliver, by their handle.
    private var opening: [FlowHandle: (link: LinkID, stream: StreamID)] = [:]
    private var inputs: [MeshInput] = []
    private var isHandling = false
    private var lastFlow: UInt64 = 0
    private var acceptedCount: UInt64 = 0
    /// What it announces: announcements and certificates.
    private(set) var announced: (records: [[UInt8]], certificates: [[UInt8]]) = ([], [])

    /// An end of a flow is there, moved bytes, or was cut. The stream names the flow at both ends.
    var onEvent: (Event, StreamID) -> Void = { _, _ in }

    enum Event {
        case opened
        case moved(Int)
        case cut
    }

    init(_ canary: CanaryPair.Canary, _ side: CutDrill.Side, on loop: any EventLoop, at now: Now) {
        self.side = side
        self.loop = loop
        node = MeshNode(
            configuration: canary.configuration, instance: canary.instance, incarnation: 1, addresses: nil,
            now: now)
        credentials = CredentialSource(canary.credential)
        feed(.credential(canary.credential))
        feed(.nodeConnected)
    }

    func feed(_ input: MeshInput) {
        inputs.append(input)
        guard !isHandling else { return }
        isHandling = true
        var effects: [MeshEffect] = []
        while !inputs.isEmpty {
            let input = inputs.removeFirst()
            if case .inboundOpen(let flow, let link, let stream, _) = input { opening[flow] = (link, stream) }
            effects.removeAll(keepingCapacity: true)
            node.handle(input, at: Now.current(), effects: &effects)
            for effect in effects { perform(effect) }
        }
        isHandling = false
    }

    /// Lets the core do what is due.
    func tick() {
        if let deadline = node.nextDeadline, deadline <= Now.current().monotonic { feed(.deadline) }
        for end in ends.values { end.write() }
    }

    /// Opens a canary flow to the first callee, as if the workload had dialled it.
    func dial(_ port: ServicePort) {
        guard let callee = node.status.calls.first else { return }
        lastFlow += 1
        let source = Endpoint(node.ownAddress ?? callee.address, UInt16(truncatingIfNeeded: 1024 + lastFlow))
        feed(
            .workloadDialled(
                FlowHandle(number: lastFlow), source: source,
                destination: Endpoint(callee.address, port.port), port.protocol))
    }

    /// Whether the callee has said that the port is open, and has heard of nothing else since.
    func isPermitted(_ port: ServicePort) -> Bool {
        node.status.calls.first?.verdicts.contains { $0.port == port && $0.verdict == .allow } == true
    }

    var firstFlightKeys: FirstFlightKeys { credentials.firstFlightKeys }

    func accept(_ channel: any Channel) {
        acceptedCount += 1
        let id = LinkID(number: LinkID.firstAccepted.number + acceptedCount)
        links[id] = PeerLink.accept(id: id, channel: channel, credentials: credentials, delegate: self)
    }

    func close() {
        onEvent = { _, _ in }
        for link in links.values { link.close(.finished) }
        links = [:]
        ends = [:]
    }

    // MARK: Effects

    private func perform(_ effect: MeshEffect) {
        switch effect {
        case .register(let announcements, let certificates, _):
            announced = (announcements, certificates)
        case .dial(let id, let target):
            links[id] = PeerLink.dial(
                id: id, target: target, credential: credentials.current, on: loop, delegate: self)
        case .closeLink(let id, let reason): links.removeValue(forKey: id)?.close(reason)
        case .send(let id, let frame): send(frame, on: id)
        case .openStream(let flow, let id, let open, let permit): openStream(flow, id, open, permit)
        case .deliver(let flow, _, _, _, let permit): deliver(flow, permit)
        case .cut(let flow, _): cut(flow)
        case .withdraw, .subscribe, .unsubscribe, .renewCredential, .persistAddresses, .answer, .listen,
            .unlisten, .allowEgress, .revokeEgress, .probe, .record, .log, .stopped, .persistPolicy,
            .readPolicy,
            .tellNode,
            .replicaUp, .replicaDown, .replicated:
            break
        }
    }

    private func send(_ frame: ControlFrame, on id: LinkID) {
        guard let link = links[id] else { return }
        if case .reset(let stream, let reason) = frame {
            link.reset(stream, reason)
        } else {
            link.send(frame)
        }
    }

    private func openStream(_ flow: FlowHandle, _ id: LinkID, _ open: FlowOpen, _ permit: FlowPermit) {
        guard let link = links[id] else { return feed(.flowEnded(flow, .sessionLost)) }
        let end = CanaryEnd(link: link, permit: permit)
        guard let stream = link.openStream(open, permit: permit, end: end) else {
            return feed(.flowEnded(flow, .limit))
        }
        add(end, flow, stream)
        feed(.streamOpened(flow, stream))
    }

    private func deliver(_ flow: FlowHandle, _ permit: FlowPermit) {
        guard let (id, stream) = opening.removeValue(forKey: flow), let link = links[id] else {
            return feed(.deliveryFailed(flow, .limit))
        }
        let end = CanaryEnd(link: link, permit: permit)
        add(end, flow, stream)
        feed(.delivered(flow))
        link.attach(stream, permit: permit, end: end)
    }

    private func add(_ end: CanaryEnd, _ flow: FlowHandle, _ stream: StreamID) {
        end.stream = stream
        end.onMove = { [unowned self] in onEvent(.moved($0), stream) }
        ends[flow] = end
        onEvent(.opened, stream)
    }

    private func cut(_ flow: FlowHandle) {
        opening[flow] = nil
        guard let end = ends.removeValue(forKey: flow), let stream = end.stream else { return }
        onEvent(.cut, stream)
    }

    // MARK: Links

    func linkEstablished(_ link: PeerLink, _ peer: SessionPeer) { feed(.linkEstablished(link.id, peer)) }

    func linkRenewed(_ link: PeerLink, _ peer: SessionPeer) { feed(.linkRenewed(link.id, peer)) }

    func link(_ link: PeerLink, opened stream: StreamID, _ open: FlowOpen) {
        lastFlow += 1
        feed(.inboundOpen(FlowHandle(number: lastFlow), link.id, stream, open))
    }

    func link(_ link: PeerLink, received frame: ControlFrame) { feed(.frame(link.id, frame)) }

    func linkClosed(_ link: PeerLink, _ reason: CloseReason, detail: String) {
        guard links.removeValue(forKey: link.id) != nil else { return }
        feed(.linkClosed(link.id, reason, detail: detail))
    }
}

/// Where a canary flow's workload would be: it writes a little whenever it is asked to, and takes what
/// comes.
final class CanaryEnd: StreamEnd {
    private let link: PeerLink
    private let permit: FlowPermit
    var stream: StreamID?
    /// Bytes that the permit has let through, in either direction.
    var onMove: (Int) -> Void = { _ in }
    private var isBlocked = false

    private static let chunk = ByteBuffer(repeating: 0x63, count: 256)

    init(link: PeerLink, permit: FlowPermit) {
        self.link = link
        self.permit = permit
    }

    func write() {
        guard let stream, !isBlocked else { return }
        let before = permit.bytesSent
        isBlocked = !link.write(CanaryEnd.chunk, on: stream)
        if permit.bytesSent > before { onMove(CanaryEnd.chunk.readableBytes) }
    }

    func receive(_ bytes: ByteBuffer) {
        onMove(bytes.readableBytes)
        if let stream { link.consumed(bytes.readableBytes, on: stream) }
    }

    func receiveDatagram(_ bytes: ByteBuffer) {}
    func receiveEnd() {}
    func receiveReset(_ reason: CloseReason) {}
    func becameSendable() { isBlocked = false }
}
