// The client's end of a unix socket that carries length-prefixed frames.

import NIOCore
import NIOPosix
import SidecarProtocol

/// A connection that is made again whenever it is lost: after 10 ms, then twice as long each time, up
/// to 1 s. Everything happens on one event loop; no frame waits for a connection that isn't there.
package final class FrameSocket {
    package enum Event {
        case connected
        case frame([UInt8])
        /// The connection was lost, or couldn't be made; another attempt follows unless closed.
        case disconnected(String)
    }

    private enum State {
        case idle
        case connecting
        case connected(any Channel)
        case waiting(Scheduled<Void>)
        case closed
    }

    private let path: String
    private let eventLoop: any EventLoop
    private let delayMaximum: TimeAmount
    private var state = State.idle
    private var delay = FrameSocket.delayMinimum
    private var connectedAt = NIODeadline.distantFuture
    private var report: ((Event) -> Void)?

    private static let delayMinimum = TimeAmount.milliseconds(10)

    /// - Parameter report: called on the event loop until `close`.
    package init(
        path: String, eventLoop: any EventLoop, delayMaximum: TimeAmount = .seconds(1),
        report: @escaping (Event) -> Void
    ) {
        self.path = path
        self.eventLoop = eventLoop
        self.delayMaximum = delayMaximum
        self.report = report
    }

    package func start() {
        eventLoop.preconditionInEventLoop()
        if case .idle = state { connect() }
    }

    /// False where there is no connection: the frame is dropped.
    @discardableResult
    package func send(_ body: [UInt8]) -> Bool {
        eventLoop.preconditionInEventLoop()
        guard case .connected(let channel) = state else { return false }
        channel.writeAndFlush(ByteBuffer(framing: body), promise: nil)
        return true
    }

    package func close() {
        eventLoop.preconditionInEventLoop()
        report = nil
        let last = state
        state = .closed
        switch last {
        case .connected(let channel): channel.close(promise: nil)
        case .waiting(let attempt): attempt.cancel()
        case .idle, .connecting, .closed: break
        }
    }

    // MARK: - The connection's life

    private func connect() {
        state = .connecting
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let decoder = LengthPrefixedDecoder(byteCountMaximum: Limits.nodeFrameBytesMaximum)
                    try channel.pipeline.syncOperations.addHandlers(
                        ByteToMessageHandler(decoder), FrameSocketHandler(socket: bound.value))
                }
            }
            .connect(unixDomainSocketPath: path)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let channel): self.didConnect(channel)
                case .failure(let error): self.didLose("\(self.path): \(error)")
                }
            }
    }

    private func didConnect(_ channel: any Channel) {
        guard case .connecting = state else {
            channel.close(promise: nil)
            return
        }
        guard channel.isActive else {
            didLose("\(path): closed at once")
            return
        }
        state = .connected(channel)
        connectedAt = .now()
        report?(.connected)
    }

    fileprivate func didLose(_ reason: String) {
        switch state {
        // A server that takes connections only to close them isn't asked every 10 ms.
        case .connected where .now() - connectedAt >= .seconds(1): delay = FrameSocket.delayMinimum
        case .connecting, .connected: break
        case .idle, .waiting, .closed: return
        }
        state = .waiting(eventLoop.assumeIsolated().scheduleTask(in: delay) { self.connect() })
        delay = min(TimeAmount.nanoseconds(delay.nanoseconds * 2), delayMaximum)
        report?(.disconnected(reason))
    }

    fileprivate func didReceive(_ body: [UInt8]) {
        report?(.frame(body))
    }
}

private final class FrameSocketHandler: ChannelInboundHandler {
    typealias InboundIn = [UInt8]

    private let socket: FrameSocket
    private var reason = "the other end closed the connection"

    init(socket: FrameSocket) { self.socket = socket }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        socket.didReceive(unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = "\(error)"
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        socket.didLose(reason)
    }
}
