import CLinuxShims
import Glibc
import SidecarProtocol

/// One end of the socket between sidecar and userland stack: non-blocking, one message a packet, with a
/// bounded queue for what the socket doesn't take at once.
struct StackChannel {
    let descriptor: Int32
    private var queue = StackQueue()
    private var buffer: [UInt8]

    struct Packet {
        var bytes: [UInt8]
        /// Goes along with the message, and is closed once it is gone; -1 for none.
        var flow: Int32 = -1
    }

    enum Received {
        case message(ArraySlice<UInt8>, flow: Int32)
        case nothing
        /// The other end is gone, or says what nobody understands.
        case end
    }

    init(descriptor: Int32) {
        self.descriptor = descriptor
        buffer = Array(repeating: 0, count: Limits.stackMessageBytesMaximum)
        // A datagram of the largest size must fit, with what the kernel adds; the default may be less.
        var size: Int32 = 1 << 20
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }

    var isBlocked: Bool { !queue.isEmpty }

    /// Sends, or queues. False where the queue has room for no more than `reserve`: the message is dropped,
    /// its descriptor closed.
    mutating func send(_ packet: Packet, leaving reserve: Int = 0) -> Bool {
        if queue.isEmpty, transmit(packet) { return true }
        guard queue.append(packet, leaving: reserve) else {
            if packet.flow >= 0 { close(packet.flow) }
            return false
        }
        return true
    }

    /// Sends what has waited, as far as the socket takes it.
    mutating func flush() {
        while let packet = queue.first, transmit(packet) { queue.removeFirst() }
    }

    /// True where the message is gone: sent, or there is nobody to take it, which `receive` will tell.
    private func transmit(_ packet: Packet) -> Bool {
        var flow = packet.flow
        let sent = packet.bytes.withUnsafeBytes {
            mesh_send(descriptor, $0.baseAddress, $0.count, &flow, flow >= 0 ? 1 : 0)
        }
        if sent < 0, errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS { return false }
        if flow >= 0 { close(flow) }
        return true
    }

    mutating func receive() -> Received {
        var flow: Int32 = -1
        var count = 0
        var sender: pid_t = 0
        let size = buffer.withUnsafeMutableBytes {
            mesh_receive(descriptor, $0.baseAddress, $0.count, &flow, 1, &count, &sender)
        }
        if size < 0 { return errno == EAGAIN ? .nothing : .end }
        guard size > 0 else {
            if count > 0 { close(flow) }
            return .end
        }
        return .message(buffer[0..<size], flow: count > 0 ? flow : -1)
    }

    /// Closes the socket, and what waits to go through it.
    mutating func end() {
        while let packet = queue.first {
            if packet.flow >= 0 { close(packet.flow) }
            queue.removeFirst()
        }
        close(descriptor)
    }
}

/// Packets that wait, first in first out, at most so many and so long.
private struct StackQueue {
    private var packets: [StackChannel.Packet] = []
    private var start = 0
    private var byteCount = 0

    var isEmpty: Bool { start == packets.count }
    var first: StackChannel.Packet? { isEmpty ? nil : packets[start] }

    mutating func append(_ packet: StackChannel.Packet, leaving reserve: Int) -> Bool {
        guard packets.count - start < Limits.stackQueueMaximum - reserve,
            byteCount + packet.bytes.count <= Limits.stackQueueBytesMaximum
        else { return false }
        packets.append(packet)
        byteCount += packet.bytes.count
        return true
    }

    mutating func removeFirst() {
        byteCount -= packets[start].bytes.count
        start += 1
        // What is gone leaves the array now and then, so that taking one costs a constant on average.
        guard start >= 64, start * 2 >= packets.count else { return }
        packets.removeFirst(start)
        start = 0
    }
}
