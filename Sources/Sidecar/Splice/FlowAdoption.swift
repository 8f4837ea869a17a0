import NIOCore
import NIOPosix

/// Makes channels of flows' sockets that are connected already, all by one bootstrap: making one, and its
/// options, for every connection costs more than the channel.
final class FlowAdoption {
    private let loop: any EventLoop
    private var bootstrap: ClientBootstrap
    /// Whose socket NIO is taking over at this moment, inside `adopt`.
    private var flow: FlowChannel?

    init(loop: any EventLoop) {
        self.loop = loop
        bootstrap = ClientBootstrap(group: loop)
        let bound = NIOLoopBoundBox<FlowAdoption?>.makeEmptyBox(eventLoop: loop)
        let done = loop.makeSucceededVoidFuture()
        bootstrap = bootstrap.channelInitializer { channel in
            do {
                guard let flow = bound.value?.flow else { throw ChannelError.inappropriateOperationForState }
                try FlowChannel.configure(channel, flow)
                return done
            } catch { return channel.eventLoop.makeFailedFuture(error) }
        }
        bound.value = self
    }

    /// Takes the socket over. `flow` becomes active inside this call, unless `failed` is called, inside it
    /// or later: the socket ended before NIO had it, and is closed.
    func adopt(_ socket: Int32, _ flow: FlowChannel, failed: @escaping () -> Void) {
        self.flow = flow
        defer { self.flow = nil }
        let failed = NIOLoopBound(failed, eventLoop: loop)
        bootstrap.withConnectedSocket(socket).whenFailure { _ in failed.value() }
    }
}
