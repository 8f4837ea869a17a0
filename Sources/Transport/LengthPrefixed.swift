// Frames on a unix stream socket: 4 bytes of length, big-endian, then as many bytes of canonical CBOR.

import NIOCore
import SidecarProtocol

package enum LengthPrefixedError: Error, Equatable, CustomStringConvertible {
    /// The frame is longer than this socket takes; nothing after it can be read.
    case tooLong(byteCount: UInt32, limit: Int)

    package var description: String {
        switch self {
        case .tooLong(let byteCount, let limit):
            "a frame of \(byteCount) bytes came, where at most \(limit) are taken"
        }
    }
}

/// Cuts what comes into frames' bodies.
package struct LengthPrefixedDecoder: ByteToMessageDecoder {
    package typealias InboundOut = [UInt8]

    private let byteCountMaximum: Int

    package init(byteCountMaximum: Int) { self.byteCountMaximum = byteCountMaximum }

    package mutating func decode(
        context: ChannelHandlerContext, buffer: inout ByteBuffer
    ) throws -> DecodingState {
        guard let count = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else {
            return .needMoreData
        }
        guard count <= byteCountMaximum else {
            throw LengthPrefixedError.tooLong(byteCount: count, limit: byteCountMaximum)
        }
        guard buffer.readableBytes >= 4 + Int(count) else { return .needMoreData }
        buffer.moveReaderIndex(forwardBy: 4)
        let body = buffer.readBytes(length: Int(count)) ?? []
        context.fireChannelRead(wrapInboundOut(body))
        return .continue
    }

    /// What is left of an unfinished frame when the peer closes is of no use to anyone.
    package mutating func decodeLast(
        context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool
    ) throws -> DecodingState {
        try decode(context: context, buffer: &buffer)
    }
}

extension ByteBuffer {
    /// The frame around `body`. A body past `Limits.nodeFrameBytesMaximum` is a programmer's error.
    package init(framing body: [UInt8]) {
        precondition(body.count <= Limits.nodeFrameBytesMaximum, "a frame of \(body.count) bytes")
        self.init()
        reserveCapacity(4 + body.count)
        writeInteger(UInt32(body.count))
        writeBytes(body)
    }
}
