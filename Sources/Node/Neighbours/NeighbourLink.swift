// One connection to the node of another host: a channel around a NodeSession.

import NIOCore
import SidecarProtocol
import Transport

/// Called on the event loop.
protocol NeighbourLinkDelegate: AnyObject {
    /// Who connected knows the domain's discovery key.
    func greeted(_ link: NeighbourLink)
    func established(_ link: NeighbourLink)
    func received(_ message: NodeMessage, from link: NeighbourLink)
    /// Once for each link, with the reason for the log.
    func closed(_ link: NeighbourLink, reason: String)
}

final class NeighbourLink: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let neighbour: TopicTable.Neighbour
    /// The seed that was dialled; nil for who connected.
    let seed: String?
    private(set) var session: NodeSession
    private weak var delegate: (any NeighbourLinkDelegate)?
    private var context: ChannelHandlerContext?
    private var timer: Scheduled<Void>?
    /// Nil: the other node closes it.
    private var reason: String?
    /// Also before there is a connection, which is closed when it comes then.
    private var isClosing = false
    private(set) var wasEstablished = false

    init(
        _ neighbour: TopicTable.Neighbour, seed: String?, session: NodeSession,
        delegate: any NeighbourLinkDelegate
    ) {
        self.neighbour = neighbour
        self.seed = seed
        self.session = session
        self.delegate = delegate
    }

    /// Who it is, for the log.
    var name: String {
        let address = context?.channel.remoteAddress.map { "\($0)" } ?? "nowhere"
        let identity = session.peer?.identity.map { "\($0)" }
        return [identity, seed.map { "seed \($0)" } ?? address].compactMap { $0 }.joined(separator: ", ")
    }

    var isConnected: Bool { context != nil }

    func send(_ message: NodeMessage) {
        guard context != nil else { return }
        attempt { now throws(SessionError) in try session.send(message, at: now) }
    }

    func close(_ reason: String) {
        self.reason = reason
        isClosing = true
        context?.close(promise: nil)
    }

    // MARK: The channel

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        guard !isClosing else { return context.close(promise: nil) }
        attempt { _ throws(SessionError) in }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = Array(unwrapInboundIn(data).readableBytesView)
        var messages: [NodeMessage] = []
        attempt { now throws(SessionError) in messages = try session.receive(bytes, at: now) }
        if session.hasFirstFlight { delegate?.greeted(self) }
        if session.isEstablished, !wasEstablished {
            wasEstablished = true
            delegate?.established(self)
        }
        for message in messages { delegate?.received(message, from: self) }
    }

    /// What a neighbour doesn't read in time is told anew when it connects again.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard !context.channel.isWritable else { return }
        close("the other node doesn't read")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close("\(error)") }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        timer = nil
        let delegate = delegate
        self.delegate = nil
        delegate?.closed(self, reason: reason ?? othersReason)
        self.context = nil
    }

    /// A stranger is told nothing by the node that it has called.
    private var othersReason: String {
        wasEstablished
            ? "closed by the other node"
            : "closed by the other node before the handshake was done: its node.log says why;"
                + " it may be of another trust domain"
    }

    // MARK: The session

    /// Does something with the session, and then what it wants: bytes on the wire, a timer, the end.
    private func attempt(_ body: (Now) throws(SessionError) -> Void) {
        do throws(SessionError) { try body(Now.current()) } catch { close("\(error)") }
        let output = session.takeOutput()
        if !output.isEmpty, let context {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: output)), promise: nil)
        }
        setTimer()
    }

    /// One timer; a deadline that has moved away is found out when it fires.
    private func setTimer() {
        guard timer == nil, let context, let deadline = session.nextDeadline else { return }
        let span = deadline - Now.current().monotonic
        timer = context.eventLoop.assumeIsolated().scheduleTask(
            in: .nanoseconds(Int64(clamping: span.nanoseconds) + 1_000_000)
        ) {
            self.timer = nil
            self.attempt { now throws(SessionError) in try self.session.passTime(at: now) }
        }
    }
}
