// The workload's name server, 198.18.0.53 port 53, over UDP and TCP.

import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

/// Reads questions, hands them to the core, and writes the core's answers.
final class NameService {
    typealias Ask = (QueryID, NameQuestion) -> Void

    private let loop: any EventLoop
    private let ask: Ask
    private var pending: [QueryID: Pending] = [:]
    private var lastQuery: UInt64 = 0
    private var channels: [any Channel] = []
    private(set) var connectionCount = 0
    /// Questions that were dropped at the limit.
    private(set) var refusedCount: UInt64 = 0

    private struct Pending {
        var question: DNSQuestion
        var reply: Reply
    }

    enum Reply {
        case datagram(any Channel, SocketAddress)
        case stream(any Channel)
        /// Through the userland stack.
        case frames(([UInt8]) -> Void)
    }

    static let endpoint = Endpoint(IPAddress(v4: ReservedAddress.nameService), 53)

    init(loop: any EventLoop, ask: @escaping Ask) {
        self.loop = loop
        self.ask = ask
    }

    /// Both sockets take questions when this returns.
    func open(sockets: NamespaceThread) throws(SystemError) {
        let endpoint = NameService.endpoint
        let datagrams = try NameService.bind(.meshUDP, endpoint, sockets)
        let stream = try NameService.bind(.meshTCP, endpoint, sockets)
        guard listen(stream, 64) == 0 else { throw SystemError("listen(\(endpoint))") }
        let bound = NIOLoopBound(self, eventLoop: loop)
        DatagramBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramQuestions(bound.value))
                }
            }
            .withBoundSocket(datagrams)
            .whenSuccess { bound.value.channels.append($0) }
        ServerBootstrap(group: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard bound.value.connectionCount < Limits.nameConnectionsMaximum else {
                        throw ChannelError.operationUnsupported
                    }
                    try channel.pipeline.syncOperations.addHandler(StreamQuestions(bound.value))
                }
            }
            .withBoundSocket(stream)
            .whenSuccess { bound.value.channels.append($0) }
    }

    private static func bind(
        _ kind: SocketKind, _ endpoint: Endpoint, _ sockets: NamespaceThread
    ) throws(SystemError) -> Int32 {
        let socket = try sockets.take(kind)
        let code = RawSocket.bind(socket, to: endpoint)
        guard code == 0 else {
            close(socket)
            throw SystemError("bind(\(endpoint), \(kind.use))", code: code)
        }
        return socket
    }

    /// Takes questions from a connection that the userland stack accepted.
    func serve(_ socket: Int32) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard bound.value.connectionCount < Limits.nameConnectionsMaximum else {
                        throw ChannelError.operationUnsupported
                    }
                    try channel.pipeline.syncOperations.addHandler(StreamQuestions(bound.value))
                }
            }
            .withConnectedSocket(socket)
            .whenFailure { _ in }
    }

    // MARK: Questions

    /// One message of a resolver. What can't be read is answered so, or dropped where there is nothing to
    /// answer to; a question past the limit is dropped too, and the resolver asks again.
    func received(_ message: [UInt8], _ reply: Reply) {
        let question: DNSQuestion
        do {
            question = try DNSQuestion(reading: message)
        } catch {
            switch error {
            case .drop: return
            case .answer(let id, let code):
                return send(DNSQuestion.refusal(id: id, code: code), reply)
            }
        }
        guard pending.count < Limits.nameQueriesMaximum else {
            refusedCount += 1
            return
        }
        lastQuery += 1
        let query = QueryID(number: lastQuery)
        pending[query] = Pending(question: question, reply: reply)
        let kind: NameQuestion.Kind =
            switch question.kind {
            case .a: .a
            case .aaaa: .aaaa
            case .ptr: .ptr
            case nil: .other
            }
        ask(query, NameQuestion(kind: kind, name: question.name))
    }

    // MARK: Answers

    func answer(_ query: QueryID, _ answer: NameAnswer) {
        guard let waiting = pending.removeValue(forKey: query) else { return }
        let question = waiting.question
        let message: [UInt8] =
            switch answer {
            case .address(let address): question.answer(addresses: [address])
            case .addresses(let addresses): question.answer(addresses: addresses)
            case .pointer(let name): question.answer(pointer: name)
            case .noData: question.answer(code: DNSCode.noError)
            case .nameError: question.answer(code: DNSCode.nameError)
            case .serverFailure, .resolve: question.answer(code: DNSCode.serverFailure)
            }
        switch waiting.reply {
        case .datagram, .frames: send(question.fitting(message), waiting.reply)
        case .stream: send(message, waiting.reply)
        }
    }

    private func send(_ message: [UInt8], _ reply: Reply) {
        switch reply {
        case .datagram(let channel, let address):
            let envelope = AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: message))
            channel.writeAndFlush(envelope, promise: nil)
        case .frames(let write): write(message)
        case .stream(let channel):
            var bytes = ByteBuffer()
            bytes.writeInteger(UInt16(truncatingIfNeeded: message.count))
            bytes.writeBytes(message)
            channel.writeAndFlush(bytes, promise: nil)
        }
    }

    // MARK: Connections

    fileprivate func connectionBegan() { connectionCount += 1 }
    fileprivate func connectionEnded() { connectionCount -= 1 }
}

private final class DatagramQuestions: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private unowned let service: NameService

    init(_ service: NameService) { self.service = service }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        service.received(
            Array(envelope.data.readableBytesView), .datagram(context.channel, envelope.remoteAddress))
    }

    /// An ICMP error for an answer that nobody waited for.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// Questions on a connection: each with its length before it (RFC 1035 §4.2.2).
final class StreamQuestions: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private unowned let service: NameService
    private var unread = ByteBuffer()
    private var idle: Scheduled<Void>?

    init(_ service: NameService) { self.service = service }

    func handlerAdded(context: ChannelHandlerContext) {
        service.connectionBegan()
        restartIdleTimer(context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        idle?.cancel()
        service.connectionEnded()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        restartIdleTimer(context)
        var bytes = unwrapInboundIn(data)
        unread.writeBuffer(&bytes)
        while let length = unread.getInteger(at: unread.readerIndex, as: UInt16.self),
            unread.readableBytes >= 2 + Int(length)
        {
            unread.moveReaderIndex(forwardBy: 2)
            let message = unread.readBytes(length: Int(length)) ?? []
            service.received(message, .stream(context.channel))
        }
        unread.discardReadBytes()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func restartIdleTimer(_ context: ChannelHandlerContext) {
        idle?.cancel()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        idle = context.eventLoop.scheduleTask(in: .seconds(30)) { bound.value.close(promise: nil) }
    }
}
