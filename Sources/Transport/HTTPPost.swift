// One HTTP/1.1 request to a service of the host's network, and the status of its answer.

import NIOCore
import NIOHTTP1
import NIOPosix
import SidecarProtocol

package struct HTTPPost {
    package var address: SocketAddress
    /// The `Host` header: `127.0.0.1:4318`.
    package var authority: String
    package var path: String
    package var contentType: String
    package var body: [UInt8]

    package init(
        address: SocketAddress, authority: String, path: String, contentType: String, body: [UInt8]
    ) {
        self.address = address
        self.authority = authority
        self.path = path
        self.contentType = contentType
        self.body = body
    }

    /// Over a connection of its own, which is closed behind it. To be called on the loop, where
    /// `completion` is called too, once: with the status, or nil where there was none within `patience`.
    package func send(
        on loop: any EventLoop, patience: MonotonicTime.Span, completion: @escaping (Int?) -> Void
    ) {
        let time = TimeAmount.nanoseconds(Int64(clamping: patience.nanoseconds))
        let bound = NIOLoopBound((self, PostState(completion)), eventLoop: loop)
        ClientBootstrap(group: loop)
            .connectTimeout(time)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let (post, state) = bound.value
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(PostHandler(post, state))
                }
            }
            .connect(to: address)
            .whenComplete { result in
                switch result {
                case .success(let channel):
                    loop.scheduleTask(in: time) { channel.close(promise: nil) }
                case .failure: bound.value.1.finish(nil)
                }
            }
    }
}

private final class PostState {
    private var completion: ((Int?) -> Void)?

    init(_ completion: @escaping (Int?) -> Void) { self.completion = completion }

    func finish(_ status: Int?) {
        completion?(status)
        completion = nil
    }
}

/// Nothing of the answer but its status matters.
private final class PostHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let post: HTTPPost
    private let state: PostState
    private var bytesRead = 0

    init(_ post: HTTPPost, _ state: PostState) {
        self.post = post
        self.state = state
    }

    func channelActive(context: ChannelHandlerContext) {
        let headers = HTTPHeaders([
            ("host", post.authority), ("content-type", post.contentType),
            ("content-length", "\(post.body.count)"), ("connection", "close"),
        ])
        let head = HTTPRequestHead(version: .http1_1, method: .POST, uri: post.path, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        let body = context.channel.allocator.buffer(bytes: post.body)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard head.status.code >= 200 else { return }
            state.finish(Int(head.status.code))
        case .body(let bytes):
            bytesRead += bytes.readableBytes
            if bytesRead > Limits.postAnswerBytesMaximum { context.close(promise: nil) }
        case .end: context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) { state.finish(nil) }
}
