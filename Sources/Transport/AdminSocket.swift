// HTTP/1.1 on a unix socket that only its owner can open: how operators reach one process of the mesh.

import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import SidecarProtocol

package struct AdminRequest: Sendable {
    package enum Method: Hashable, Sendable { case get, post }
    package var method: Method
    /// Without the query.
    package var path: String
    package var body: [UInt8]

    package init(method: Method, path: String, body: [UInt8]) {
        self.method = method
        self.path = path
        self.body = body
    }
}

package struct AdminResponse: Sendable {
    package var status: Int
    package var contentType: String
    package var body: [UInt8]

    package init(status: Int, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    package static func json(_ status: Int = 200, _ body: (inout JSONWriter) -> Void) -> AdminResponse {
        var writer = JSONWriter()
        writer.object(body)
        return AdminResponse(
            status: status, contentType: "application/json",
            body: writer.bytes + [UInt8(ascii: "\n")])
    }

    package static func text(_ status: Int, _ text: String) -> AdminResponse {
        AdminResponse(
            status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }
}

/// Answers requests on `path` by a function that runs on the event loop.
package final class AdminSocket {
    package typealias Responder = (AdminRequest) -> AdminResponse
    /// Answers when it can, once, on the loop.
    package typealias PatientResponder = (AdminRequest, @escaping (AdminResponse) -> Void) -> Void

    private let path: String
    private let channel: any Channel

    private init(path: String, channel: any Channel) {
        self.path = path
        self.channel = channel
    }

    /// Opens the socket with mode 0600; one of that name from an earlier process is replaced. Must be
    /// called on `loop`, where `respond` runs too.
    package static func open(
        path: String, on loop: any EventLoop, respond: @escaping Responder
    ) throws(SystemError) -> EventLoopFuture<AdminSocket> {
        try open(path: path, on: loop, answer: { request, answer in answer(respond(request)) })
    }

    /// The same, for answers that take time.
    package static func open(
        path: String, on loop: any EventLoop, answer respond: @escaping PatientResponder
    ) throws(SystemError) -> EventLoopFuture<AdminSocket> {
        let descriptor = try bind(path)
        let state = NIOLoopBound(AdminState(respond: respond), eventLoop: loop)
        return ServerBootstrap(group: loop)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    guard state.value.admitConnection() else { throw ChannelError.operationUnsupported }
                    let pipeline = child.pipeline.syncOperations
                    try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
                    try pipeline.addHandler(AdminHandler(state.value))
                }
            }
            .withBoundSocket(descriptor)
            .assumeIsolated()
            .map { AdminSocket(path: path, channel: $0) }
            .nonisolated()
    }

    /// Stops answering and removes the socket.
    package func close() {
        unlink(path)
        channel.close(promise: nil)
    }

    /// Bound and listening. The umask makes the mode right from the first moment on.
    private static func bind(_ path: String) throws(SystemError) -> Int32 {
        let stage = "admin socket \(path)"
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemError(stage, code: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, type, 0)
        guard descriptor >= 0 else { throw SystemError(stage) }
        unlink(path)
        // bind(2) gives the name the mode of the socket itself, so that nobody else can ever connect; the
        // umask would be every thread's.
        guard fchmod(descriptor, 0o600) == 0 else {
            Glibc.close(descriptor)
            throw SystemError(stage)
        }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        let code = errno
        guard bound == 0, listen(descriptor, 64) == 0 else {
            let failure = SystemError(stage, code: bound == 0 ? errno : code)
            Glibc.close(descriptor)
            throw failure
        }
        return descriptor
    }
}

/// What the connections of one socket share.
private final class AdminState {
    let respond: AdminSocket.PatientResponder
    private var connectionCount = 0

    init(respond: @escaping AdminSocket.PatientResponder) { self.respond = respond }

    func admitConnection() -> Bool {
        guard connectionCount < Limits.adminConnectionsMaximum else { return false }
        connectionCount += 1
        return true
    }

    func connectionEnded() { connectionCount -= 1 }
}

private final class AdminHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: AdminState
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []
    private var isTooLong = false
    private var idle: Scheduled<Void>?

    init(_ state: AdminState) { self.state = state }

    func handlerRemoved(context: ChannelHandlerContext) {
        idle?.cancel()
        state.connectionEnded()
    }

    func handlerAdded(context: ChannelHandlerContext) { restartIdleTimer(context) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
            isTooLong = false
        case .body(let part):
            isTooLong = isTooLong || body.count + part.readableBytes > Limits.adminBodyBytesMaximum
            if !isTooLong { body += part.readableBytesView }
        case .end:
            restartIdleTimer(context)
            guard let head else { return }
            self.head = nil
            // Whoever asked may be gone by then: a write to a closed channel is nobody's loss.
            let (channel, context) = (context.channel, context)
            answer(head) { [self] response in
                guard channel.isActive else { return }
                send(response, keepsAlive: head.isKeepAlive, context: context)
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func answer(_ head: HTTPRequestHead, _ answer: @escaping (AdminResponse) -> Void) {
        if isTooLong {
            return answer(.text(413, "the body is longer than \(Limits.adminBodyBytesMaximum) bytes"))
        }
        let path = String(head.uri.prefix { $0 != "?" })
        switch head.method {
        case .GET: state.respond(AdminRequest(method: .get, path: path, body: body), answer)
        case .POST: state.respond(AdminRequest(method: .post, path: path, body: body), answer)
        default:
            answer(.text(405, "\(head.method.rawValue) isn't a method of this socket; use GET or POST"))
        }
    }

    private func send(_ response: AdminResponse, keepsAlive: Bool, context: ChannelHandlerContext) {
        restartIdleTimer(context)
        var headers = HTTPHeaders([
            ("content-type", response.contentType), ("content-length", "\(response.body.count)"),
        ])
        if !keepsAlive { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        let bytes = context.channel.allocator.buffer(bytes: response.body)
        context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        let sent = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !keepsAlive {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            sent.whenComplete { _ in bound.value.close(promise: nil) }
        }
    }

    /// A connection on which nothing happens is closed, so that forgotten ones don't use up the limit.
    private func restartIdleTimer(_ context: ChannelHandlerContext) {
        idle?.cancel()
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        idle = context.eventLoop.scheduleTask(in: .seconds(30)) { bound.value.close(promise: nil) }
    }
}
