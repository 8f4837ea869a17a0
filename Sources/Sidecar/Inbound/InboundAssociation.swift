// A peer's UDP association, delivered to the workload.

import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

/// Datagrams of one peer's port to a port of the workload, on a socket bound to the peer's address and
/// connected to the workload's.
///
/// Whether anything listens is known only from the answer to a datagram. One that is refused through M
/// before anything came back goes to 127.0.0.1 inside W, where the workload may listen instead; one that
/// is refused there too, and by IPv6, or later, ends the association, and the peer's workload hears of it.
final class InboundAssociation: ChannelInboundHandler, Association {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    let handle: FlowHandle
    private var routes: ArraySlice<WorkloadRoute>
    /// Nil once they are in `routes`.
    private var restOfRoutes: (() -> [WorkloadRoute])?
    private let loop: any EventLoop
    private let sockets: NamespaceThread
    private unowned let owner: any DatagramOwner

    private var context: ChannelHandlerContext?
    private var destination: SocketAddress?
    private var link: (any StreamLink)?
    private var stream = StreamID(number: 0)
    /// What to send again on the next route; nil once the workload has answered.
    private var unanswered: [ByteBuffer]? = []
    /// What came before the socket was NIO's.
    private var held: [ByteBuffer] = []
    private var lastUse = Now.current().monotonic
    private var isOver = false

    init(
        _ handle: FlowHandle, routes: WorkloadRoutes, loop: any EventLoop,
        sockets: NamespaceThread, owner: any DatagramOwner
    ) {
        self.handle = handle
        self.routes = routes.first[...]
        restOfRoutes = routes.rest
        self.loop = loop
        self.sockets = sockets
        self.owner = owner
    }

    /// Opens the socket of the next route. False where none is left.
    func open() throws(SystemError) -> Bool {
        if routes.isEmpty, let rest = restOfRoutes {
            routes = rest()[...]
            restOfRoutes = nil
        }
        guard let route = routes.popFirst() else { return false }
        var kind = route.kind
        kind.use = .datagrams
        let socket = try sockets.take(kind)
        var code = RawSocket.bind(socket, to: route.source)
        if code != 0 { code = RawSocket.bind(socket, to: Endpoint(route.source.address, 0)) }
        if code == 0 { code = RawSocket.connect(socket, to: route.destination) }
        guard code == 0 else {
            close(socket)
            throw SystemError("udp to \(route.destination)", code: code)
        }
        destination = route.destination.socketAddress
        DatagramListener.serve(socket, self, on: loop)
        return true
    }

    func join(_ link: any StreamLink, _ stream: StreamID) {
        self.link = link
        self.stream = stream
    }

    // MARK: From the workload

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if isOver { return context.close(promise: nil) }
        for bytes in held { write(bytes) }
        held = []
        context.flush()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if self.context === context { self.context = nil }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        lastUse = Now.current().monotonic
        unanswered = nil
        link?.writeDatagram(unwrapInboundIn(data).data, on: stream)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isOver, let error = error as? IOError, error.errnoCode == ECONNREFUSED,
            context === self.context
        else { return }
        if let again = unanswered, (try? openNext(again)) == true { return }
        link?.reset(stream, .workloadRefused)
        end(.workloadRefused)
    }

    private func openNext(_ again: [ByteBuffer]) throws(SystemError) -> Bool {
        let old = context
        context = nil
        held = again
        unanswered = []
        defer { old?.close(promise: nil) }
        return try open()
    }

    // MARK: From the peer

    func receive(_ bytes: ByteBuffer) {}

    func receiveDatagram(_ bytes: ByteBuffer) {
        guard !isOver else { return }
        lastUse = Now.current().monotonic
        if context == nil {
            if held.count < Limits.waitingDatagramsMaximum { held.append(bytes) }
        } else {
            write(bytes)
        }
    }

    func receiveComplete() { context?.flush() }

    private func write(_ bytes: ByteBuffer) {
        guard let context, context.channel.isWritable, let destination else { return }
        if let count = unanswered?.count, count < 4 {
            unanswered?.append(ByteBuffer(bytes: bytes.readableBytesView))
        }
        context.write(
            NIOAny(AddressedEnvelope(remoteAddress: destination, data: bytes)), promise: nil)
    }

    func receiveEnd() { receiveReset(.finished) }

    func receiveReset(_ reason: CloseReason) {
        guard !isOver else { return }
        end(reason)
    }

    func becameSendable() {}

    // MARK: The end

    func cut(_ reason: CloseReason) {
        isOver = true
        link = nil
        context?.close(promise: nil)
    }

    func isIdle(at now: MonotonicTime) -> Bool { now - lastUse >= Limits.associationIdle }

    func expire() {
        guard !isOver else { return }
        link?.reset(stream, .idle)
        end(.idle)
    }

    private func end(_ reason: CloseReason) {
        cut(reason)
        owner.flowEnded(self, reason)
    }
}
