// Packets with descriptors over SOCK_SEQPACKET pairs.

import CLinuxShims
import Glibc

/// One packet that arrived.
struct Packet {
    var bytes: [UInt8]
    var descriptors: [Int32]
    /// The sender's process id as seen here, where the socket asks for it; else 0.
    var sender: pid_t

    static let bytesMaximum = 65_536

    enum Arrival {
        case packet(Packet)
        /// Nothing yet, on a non-blocking socket.
        case nothing
        /// The other end is closed.
        case end
    }

    /// A pair of connected sockets, close-on-exec, blocking.
    static func pair() throws(LaunchFailure) -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        try checked(socketpair(AF_UNIX, type, 0, &ends), "socketpair")
        return (ends[0], ends[1])
    }

    /// False where the other end is closed, or its queue full.
    @discardableResult
    static func send(_ bytes: [UInt8], descriptors: [Int32] = [], to socket: Int32) -> Bool {
        mesh_send(socket, bytes, bytes.count, descriptors, descriptors.count) == bytes.count
    }

    static func receive(from socket: Int32) -> Arrival {
        var descriptors = [Int32](repeating: -1, count: MESH_DESCRIPTORS_MAXIMUM)
        var count = 0
        var sender: pid_t = 0
        var size = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: bytesMaximum) { buffer, filled in
            size = mesh_receive(
                socket, buffer.baseAddress, buffer.count, &descriptors, descriptors.count, &count, &sender)
            filled = max(size, 0)
        }
        if size < 0 { return errno == EAGAIN ? .nothing : .end }
        if size == 0 { return .end }
        return .packet(
            Packet(bytes: bytes, descriptors: Array(descriptors.prefix(count)), sender: sender))
    }
}
