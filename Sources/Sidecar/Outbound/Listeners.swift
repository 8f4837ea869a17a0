// The workload's way out: listeners on its peers' virtual addresses.

import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

/// The TCP listeners, one for each virtual address and port, never a wildcard: a port without one is the
/// kernel's own "connection refused".
final class Listeners {
    private let loop: any EventLoop
    private let sockets: NamespaceThread
    private let flow: () -> FlowChannel?
    private var open: [Endpoint: Opening] = [:]

    /// NIO takes a turn of the loop to make a channel of a socket that listens already.
    private final class Opening {
        var channel: (any Channel)?
        var isClosed = false
    }

    /// - Parameter flow: makes the handler of an accepted connection; nil refuses it.
    init(loop: any EventLoop, sockets: NamespaceThread, flow: @escaping () -> FlowChannel?) {
        self.loop = loop
        self.sockets = sockets
        self.flow = flow
    }

    /// The kernel accepts connections for `endpoint` when this returns.
    func listen(_ endpoint: Endpoint) throws(SystemError) {
        guard open[endpoint] == nil else { return }
        let kind = SocketKind(place: .mesh, use: .streams, isIPv6: endpoint.address.isV6)
        let socket = try sockets.take(kind)
        var code = RawSocket.bind(socket, to: endpoint)
        if code == 0, Glibc.listen(socket, Listeners.backlog) != 0 { code = errno }
        guard code == 0 else {
            close(socket)
            throw SystemError("listen(\(endpoint))", code: code)
        }
        let opening = Opening()
        open[endpoint] = opening
        let made = NIOLoopBound(flow, eventLoop: loop)
        let bound = NIOLoopBound(opening, eventLoop: loop)
        ServerBootstrap(group: loop)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    guard let flow = made.value() else { throw ChannelError.operationUnsupported }
                    try FlowChannel.configure(child, flow)
                }
            }
            .withBoundSocket(socket)
            .whenSuccess { channel in
                // NIO listens again, with a backlog of its own; the last word counts.
                Glibc.listen(socket, Listeners.backlog)
                bound.value.channel = channel
                if bound.value.isClosed { channel.close(promise: nil) }
            }
    }

    /// New connections are refused when this returns; those accepted stay.
    func unlisten(_ endpoint: Endpoint) {
        let opening = open.removeValue(forKey: endpoint)
        opening?.isClosed = true
        opening?.channel?.close(promise: nil)
    }

    private static let backlog: Int32 = 4096
}

extension FlowChannel {
    /// Puts the splice on a channel of the workload. One read a wake-up: more would end in a read that
    /// finds nothing. Synchronous options, since NIO's list of options costs a future each.
    static func configure(_ channel: any Channel, _ flow: FlowChannel) throws {
        if let options = channel.syncOptions {
            try options.setOption(.allowRemoteHalfClosure, value: true)
            try options.setOption(.maxMessagesPerRead, value: 1)
            try options.setOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 2048, initial: 4096, maximum: 256 << 10))
        }
        try channel.pipeline.syncOperations.addHandler(flow)
    }
}
