// A listening unix socket whose connections carry frames, for node and issuer alike.

import CLinuxShims
import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

/// Who connected, as the kernel says.
struct PeerProcess: Hashable, Sendable {
    let userID: UInt32
    let processID: Int32
}

/// One accepted connection. All on the server's event loop.
final class ServerConnection {
    let number: UInt64
    let peer: PeerProcess
    private let channel: any Channel

    fileprivate init(number: UInt64, peer: PeerProcess, channel: any Channel) {
        self.number = number
        self.peer = peer
        self.channel = channel
    }

    func send(_ body: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(framing: body), promise: nil)
    }

    /// Closes, after what was sent before.
    func close() {
        let channel = channel
        channel.writeAndFlush(ByteBuffer()).whenComplete { _ in channel.close(promise: nil) }
    }

    /// A descriptor of the peer's process, readable once it has ended; -1 where it can't be had.
    func openPidfd() -> Int32 {
        let pidfd = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { mesh_peer_pidfd($0) }
        return pidfd ?? -1
    }
}

/// What a server does with its connections; called on its event loop.
protocol ServerConnectionDelegate: AnyObject {
    func connected(_ connection: ServerConnection)
    func received(_ frame: [UInt8], from connection: ServerConnection)
    /// Once for each `connected`, with the reason for the log.
    func disconnected(_ connection: ServerConnection, reason: String)
}

/// Accepts on a socket that is bound and listens already, up to a number of connections at once; those
/// past it are closed.
final class ServerSocket {
    private let eventLoop: any EventLoop
    private let connectionCountMaximum: Int
    private unowned let delegate: any ServerConnectionDelegate
    private(set) var connectionCount = 0
    private var lastNumber: UInt64 = 0

    init(
        eventLoop: any EventLoop, connectionCountMaximum: Int, delegate: any ServerConnectionDelegate
    ) {
        self.eventLoop = eventLoop
        self.connectionCountMaximum = connectionCountMaximum
        self.delegate = delegate
    }

    /// - Parameter listener: a descriptor of its own, which the channel closes.
    func serve(_ listener: Int32) -> EventLoopFuture<any Channel> {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        return ServerBootstrap(group: eventLoop)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: 1, high: Limits.nodeClientQueueBytesMaximum)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.accept(channel) }
            }
            .withBoundSocket(listener)
    }

    private func accept(_ channel: any Channel) throws {
        guard connectionCount < connectionCountMaximum else { throw ConnectionRefusal.tooMany }
        let pipeline = channel.pipeline.syncOperations
        let peer = try pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { socket in
            var processID: pid_t = 0
            var userID: uid_t = 0
            guard mesh_peer_credentials(socket, &processID, &userID) == 0 else {
                throw ConnectionRefusal.unknownPeer
            }
            return PeerProcess(userID: userID, processID: processID)
        }
        guard let peer else { throw ConnectionRefusal.unknownPeer }
        lastNumber += 1
        let connection = ServerConnection(number: lastNumber, peer: peer, channel: channel)
        let decoder = LengthPrefixedDecoder(byteCountMaximum: Limits.nodeFrameBytesMaximum)
        try pipeline.addHandlers(
            ByteToMessageHandler(decoder),
            ServerConnectionHandler(connection: connection, server: self, delegate: delegate))
    }

    fileprivate func opened() { connectionCount += 1 }
    fileprivate func closed() { connectionCount -= 1 }
}

private enum ConnectionRefusal: Error {
    case tooMany
    case unknownPeer
}

private final class ServerConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = [UInt8]

    private let connection: ServerConnection
    private let server: ServerSocket
    private let delegate: any ServerConnectionDelegate
    private var isOpen = false
    private var reason = "closed by the client"

    init(connection: ServerConnection, server: ServerSocket, delegate: any ServerConnectionDelegate) {
        self.connection = connection
        self.server = server
        self.delegate = delegate
    }

    func channelActive(context: ChannelHandlerContext) {
        isOpen = true
        server.opened()
        delegate.connected(connection)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        delegate.received(unwrapInboundIn(data), from: connection)
    }

    /// A client that doesn't read what it asked for is closed, before its queue grows past the limit.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard !context.channel.isWritable else { return }
        reason = "the client doesn't read"
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        reason = "\(error)"
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard isOpen else { return }
        isOpen = false
        server.closed()
        delegate.disconnected(connection, reason: reason)
    }
}
