// The workload's way out by UDP: one socket a virtual address and port, and the associations on it.

import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

/// Datagrams to one endpoint of a peer, from any port of the workload. Bound to the endpoint, so that
/// answers come from where the questions went.
final class DatagramListener: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    let endpoint: Endpoint
    private unowned let owner: any DatagramOwner
    /// Writes answers as frames, on `slirp`, where there is no socket.
    private let answers: (([UInt8], Endpoint) -> Void)?
    private var context: ChannelHandlerContext?
    private var associations: [Endpoint: OutboundAssociation] = [:]
    /// Sources whose association was just cut; what they send is dropped until then.
    private var silenced: [Endpoint: MonotonicTime] = [:]
    private var isClosed = false

    init(
        _ endpoint: Endpoint, owner: any DatagramOwner, answers: (([UInt8], Endpoint) -> Void)? = nil
    ) {
        self.endpoint = endpoint
        self.owner = owner
        self.answers = answers
    }

    /// The kernel takes datagrams for the endpoint when this returns.
    func open(_ sockets: NamespaceThread, on loop: any EventLoop) throws(SystemError) {
        let kind = SocketKind(place: .mesh, use: .datagrams, isIPv6: endpoint.address.isV6)
        let socket = try sockets.take(kind)
        let code = RawSocket.bind(socket, to: endpoint)
        guard code == 0 else {
            Glibc.close(socket)
            throw SystemError("bind(\(endpoint), udp)", code: code)
        }
        DatagramListener.serve(socket, self, on: loop)
    }

    static func serve(_ socket: Int32, _ handler: any ChannelInboundHandler, on loop: any EventLoop) {
        let bound = NIOLoopBound(handler, eventLoop: loop)
        DatagramBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.syncOptions?.setOption(
                        .recvAllocator,
                        value: FixedSizeRecvByteBufferAllocator(capacity: Limits.datagramBytesMaximum + 1))
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .withBoundSocket(socket)
            .whenFailure { _ in }
    }

    /// New datagrams are answered by the kernel: port unreachable. Associations that are open go on in
    /// the core's hands, which ends them.
    func close() {
        isClosed = true
        context?.close(promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if isClosed { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        if let source = Endpoint(envelope.remoteAddress) { received(envelope.data, from: source) }
    }

    func received(_ bytes: ByteBuffer, from source: Endpoint) {
        guard !isSilenced(source) else { return }
        if let association = associations[source] { return association.send(bytes) }
        let made = owner.newAssociation { OutboundAssociation($0, from: source, on: self, owner: owner) }
        guard let association = made else { return }
        associations[source] = association
        association.send(bytes)
        owner.associationBegan(association, source: source, destination: endpoint)
    }

    /// An ICMP error for an answer that its receiver didn't wait for.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}

    // MARK: Associations

    fileprivate func answer(_ bytes: ByteBuffer, to source: Endpoint) {
        if let answers { return answers(Array(bytes.readableBytesView), source) }
        // A workload that reads too slowly loses datagrams, as it would without a mesh.
        guard let context, context.channel.isWritable, let address = source.socketAddress else { return }
        context.write(
            NIOAny(AddressedEnvelope(remoteAddress: address, data: bytes)), promise: nil)
    }

    fileprivate func flush() { context?.flush() }

    fileprivate func ended(_ source: Endpoint, silencedUntil: MonotonicTime?) {
        associations[source] = nil
        if let silencedUntil, silenced.count < Limits.associationsMaximum {
            silenced[source] = silencedUntil
        }
    }

    private func isSilenced(_ source: Endpoint) -> Bool {
        guard let until = silenced[source] else { return false }
        return Now.current().monotonic < until
    }

    /// Forgets what is over.
    func sweep(at now: MonotonicTime) {
        silenced = silenced.filter { $0.value > now }
    }
}

/// Who keeps associations.
protocol DatagramOwner: FlowOwner {
    /// Nil where a limit is reached.
    func newAssociation<Made: WorkloadFlow>(_ make: (FlowHandle) -> Made) -> Made?
    func associationBegan(_ association: OutboundAssociation, source: Endpoint, destination: Endpoint)
    /// Tells the workload that nothing takes what it sent from `source` to `destination`.
    func sendPortUnreachable(source: Endpoint, destination: Endpoint)
}

/// The workload's datagrams from one port to one peer's port.
final class OutboundAssociation: Association {
    let handle: FlowHandle
    private let source: Endpoint
    private unowned let listener: DatagramListener
    private unowned let owner: any DatagramOwner
    private var link: (any StreamLink)?
    private var stream = StreamID(number: 0)
    private var held: [ByteBuffer] = []
    private var lastUse = Now.current().monotonic
    private var isOver = false

    init(
        _ handle: FlowHandle, from source: Endpoint, on listener: DatagramListener,
        owner: any DatagramOwner
    ) {
        self.handle = handle
        self.source = source
        self.listener = listener
        self.owner = owner
    }

    func send(_ bytes: ByteBuffer) {
        guard !isOver else { return }
        lastUse = Now.current().monotonic
        if let link { return link.writeDatagram(bytes, on: stream) }
        if held.count == Limits.waitingDatagramsMaximum { held.removeFirst() }
        // A copy, since a slice would keep the whole buffer of the read.
        held.append(ByteBuffer(bytes: bytes.readableBytesView))
    }

    func join(_ link: any StreamLink, _ stream: StreamID) {
        guard !isOver else { return }
        self.link = link
        self.stream = stream
        for bytes in held { link.writeDatagram(bytes, on: stream) }
        held = []
    }

    func receive(_ bytes: ByteBuffer) {}

    func receiveDatagram(_ bytes: ByteBuffer) {
        guard !isOver else { return }
        lastUse = Now.current().monotonic
        listener.answer(bytes, to: source)
    }

    func receiveComplete() { listener.flush() }

    func receiveEnd() { receiveReset(.finished) }

    func receiveReset(_ reason: CloseReason) {
        guard !isOver else { return }
        end(reason)
    }

    func becameSendable() {}

    func cut(_ reason: CloseReason) {
        guard !isOver else { return }
        close(reason)
    }

    func isIdle(at now: MonotonicTime) -> Bool { now - lastUse >= Limits.associationIdle }

    func expire() {
        guard !isOver else { return }
        link?.reset(stream, .idle)
        end(.idle)
    }

    private func end(_ reason: CloseReason) {
        close(reason)
        owner.flowEnded(self, reason)
    }

    /// After a decision, what the source sends in the next second is dropped: it would only be decided
    /// again.
    private func close(_ reason: CloseReason) {
        isOver = true
        link = nil
        held = []
        let now = Now.current().monotonic
        listener.ended(source, silencedUntil: reason.isDecision ? now + .seconds(1) : nil)
        if reason == .workloadRefused {
            owner.sendPortUnreachable(source: source, destination: listener.endpoint)
        }
    }
}

extension CloseReason {
    /// Whether asking again at once would be answered the same.
    fileprivate var isDecision: Bool {
        switch self {
        case .policy, .expiry, .revocation, .lease, .limit, .protocolError, .untrusted, .lock, .freshness,
            .unrecorded:
            true
        case .finished, .workloadRefused, .workloadReset, .sessionLost, .unreachable, .shutdown, .idle,
            .duplicate:
            false
        }
    }
}
