// A TCP connection of the workload, spliced onto a stream of a session.
//
// Theory of operation
//
//   The handler is the last one before the socket on one side, and the stream's end on the other.
//
//       workload ── read ──▶ link.write          back-pressure: the link says it is full, and the next
//                                                read() is held until it says becameSendable
//       workload ◀── write ── receive            back-pressure: the peer gets credit for bytes only
//                                                once the socket has taken them
//
//   An ending in one direction (FIN) passes through and leaves the other one open. Any other ending is a
//   reset for both workloads: ours gets it by a close with SO_LINGER 0.
//
//   What NIO does that shapes this file:
//   - When the workload has sent its FIN, NIO reads all that is in the socket, whether a read is held or
//     not. Such bytes wait in `held`; the kernel's receive buffer bounds them.
//   - After `close(mode: .output)`, the workload's FIN comes as channelInactive and nothing else.
//   - After the workload's FIN, `close(mode: .output)` closes the socket at once, unwritten bytes lost;
//     so it is asked for only when nothing is unwritten.
//   - A reset may come as channelInactive alone.

import Glibc
import NIOCore
import SidecarProtocol
import Transport

final class FlowChannel: ChannelDuplexHandler, WorkloadFlow {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    let handle: FlowHandle
    let isOutbound: Bool
    /// Who talks to whom, where the socket itself has no such addresses: one of the userland stack's.
    var ends: (local: Endpoint, remote: Endpoint)?
    /// Resets the workload's connection where closing the socket doesn't: one of the userland stack's.
    var resetsWorkload: (() -> Void)?
    /// Whether the stack can't have heard of that reset yet.
    var isResetWaiting: (() -> Bool)?
    private unowned let owner: any FlowOwner
    private var context: ChannelHandlerContext?

    /// Nil while the flow waits for its callee.
    private var link: (any StreamLink)?
    private var stream = StreamID(number: 0)

    /// Bytes of the workload that the link doesn't take yet.
    private var held: [ByteBuffer] = []
    private var isLinkReady = false
    private var isReadHeld = false
    /// Bytes of the peer that the socket hasn't taken yet.
    private var unwritten = 0
    private var isAwaitingDrain = false

    private(set) var workloadEnded = false
    /// The link has all of the workload's bytes on their way, and was told of their end.
    private var isStreamFinished = false
    private var peerEnded = false
    /// Our FIN to the workload was asked for.
    private var isOutputShut = false
    private var sawError = false
    /// Reported, or cut: nothing more is said about this flow.
    private var isOver = false

    init(handle: FlowHandle, owner: any FlowOwner, isOutbound: Bool = true) {
        self.handle = handle
        self.isOutbound = isOutbound
        self.owner = owner
    }

    func join(_ link: any StreamLink, _ stream: StreamID) {
        guard !isOver else { return }
        self.link = link
        self.stream = stream
        becameSendable()
    }

    /// What waits for the link, in bytes.
    var heldByteCount: Int { held.reduce(0) { $0 + $1.readableBytes } }

    func cut(_ reason: CloseReason) {
        isOver = true
        link = nil
        closeByReset()
    }

    // MARK: From the workload

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        if let ends { return owner.flowActive(self, local: ends.local, remote: ends.remote) }
        let local = context.channel.localAddress.flatMap { Endpoint($0) }
        let remote = context.channel.remoteAddress.flatMap { Endpoint($0) }
        owner.flowActive(self, local: local, remote: remote)
    }

    func read(context: ChannelHandlerContext) {
        if isLinkReady { context.read() } else { isReadHeld = true }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        guard isLinkReady else { return held.append(bytes) }
        send(bytes)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case ChannelEvent.inputClosed? = event as? ChannelEvent else { return }
        workloadFinished()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        sawError = true
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard !isOver else { return }
        if isOutputShut, !sawError {
            // Both have ended; bytes that are held still go to the peer.
            workloadFinished()
        } else {
            link?.reset(stream, .workloadReset)
            end(.workloadReset)
        }
    }

    private func send(_ bytes: ByteBuffer) {
        guard let link else { return }
        isLinkReady = link.write(bytes, on: stream)
    }

    private func workloadFinished() {
        guard !workloadEnded else { return }
        workloadEnded = true
        finishStreamWhenFlushed()
    }

    /// Not before the link is ready: bytes that it keeps would be lost with the flow's permit, which ends
    /// when the flow's end is reported.
    private func finishStreamWhenFlushed() {
        guard workloadEnded, held.isEmpty, isLinkReady, !isStreamFinished, let link else { return }
        isStreamFinished = true
        link.finish(stream)
        endIfFinished()
    }

    // MARK: From the peer

    func becameSendable() {
        guard let link, !isOver else { return }
        isLinkReady = true
        while isLinkReady, !held.isEmpty {
            isLinkReady = link.write(held.removeFirst(), on: stream)
        }
        guard held.isEmpty else { return }
        if workloadEnded { return finishStreamWhenFlushed() }
        if isLinkReady, isReadHeld {
            isReadHeld = false
            context?.read()
        }
    }

    func receive(_ bytes: ByteBuffer) {
        guard let context, !isOver, !isOutputShut else { return }
        unwritten += bytes.readableBytes
        context.write(wrapOutboundOut(bytes), promise: nil)
    }

    func receiveComplete() {
        context?.flush()
        settle()
    }

    func receiveDatagram(_ bytes: ByteBuffer) {}

    func receiveEnd() {
        guard !isOver else { return }
        peerEnded = true
        receiveComplete()
    }

    func receiveReset(_ reason: CloseReason) {
        guard !isOver else { return }
        end(reason)
        closeByReset()
    }

    /// Gives the peer credit for what the socket took, and passes its FIN on once all is written.
    private func settle() {
        guard let context, !isOver else { return }
        let left = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        let written = unwritten - left
        if written > 0 {
            unwritten = left
            link?.consumed(written, on: stream)
        }
        if left > 0 {
            awaitDrain(context)
        } else if peerEnded, !isOutputShut {
            isOutputShut = true
            context.close(mode: .output, promise: nil)
            endIfFinished()
        }
    }

    /// An empty write completes when all before it is written: the one promise of a slow reader, where
    /// a promise each write would cost every reader.
    private func awaitDrain(_ context: ChannelHandlerContext) {
        guard !isAwaitingDrain else { return }
        isAwaitingDrain = true
        let marker = context.channel.allocator.buffer(capacity: 0)
        context.writeAndFlush(wrapOutboundOut(marker)).assumeIsolated().whenComplete { result in
            self.isAwaitingDrain = false
            if case .success = result { self.settle() }
        }
    }

    // MARK: The end

    private func endIfFinished() {
        if isStreamFinished, isOutputShut { end(.finished) }
    }

    private func end(_ reason: CloseReason) {
        guard !isOver else { return }
        isOver = true
        link = nil
        owner.flowEnded(self, reason)
    }

    /// Unsent bytes are dropped and the workload's socket reports ECONNRESET.
    private func closeByReset() {
        held = []
        guard let context else { return }
        if let resetsWorkload {
            // The stack hears of it by another road; the socket's end must come there second.
            self.resetsWorkload = nil
            resetsWorkload()
            return closeAfterReset(context.channel)
        }
        let socket = context.channel as? any SocketOptionProvider
        _ = socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        context.close(promise: nil)
    }

    /// Thousands that are cut at once have more to say to the stack than its socket takes.
    private func closeAfterReset(_ channel: any Channel) {
        let bound = NIOLoopBound((self, channel), eventLoop: channel.eventLoop)
        channel.eventLoop.scheduleTask(in: .milliseconds(10)) {
            let (flow, channel) = bound.value
            if flow.isResetWaiting?() == true { return flow.closeAfterReset(channel) }
            channel.close(promise: nil)
        }
    }
}
