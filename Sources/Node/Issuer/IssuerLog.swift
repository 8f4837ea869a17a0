// What the issuer writes to standard error, in the node's log.

import Logging
import NIOCore
import NIOPosix
import SidecarProtocol

/// Reads lines from the issuer's pipe. A line longer than a log line is cut into several.
final class IssuerLog: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let logger: Logger
    private var line: [UInt8] = []

    private init(logger: Logger) { self.logger = logger }

    static func read(_ pipe: Int32, into logger: Logger, on eventLoop: any EventLoop) {
        NIOPipeBootstrap(group: eventLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(IssuerLog(logger: logger))
                }
            }
            .takingOwnershipOfDescriptor(input: pipe)
            .whenFailure { logger.error("the issuer's log can't be read: \($0)") }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        for byte in unwrapInboundIn(data).readableBytesView {
            if byte != UInt8(ascii: "\n") { line.append(byte) }
            guard byte == UInt8(ascii: "\n") || line.count == Limits.logLineBytesMaximum else { continue }
            logger.warning("issuer: \(String(decoding: line, as: UTF8.self))")
            line.removeAll(keepingCapacity: true)
        }
    }
}
