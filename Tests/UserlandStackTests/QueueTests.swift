import Glibc
import SidecarProtocol
import Testing

@testable import Sidecar

@Suite("The queues of the userland stack")
struct QueueTests {
    /// A channel that expectations can change.
    private final class Sender {
        var channel: StackChannel

        init(_ channel: StackChannel) { self.channel = channel }

        func send(_ bytes: [UInt8], flow: Int32 = -1, leaving reserve: Int = 0) -> Bool {
            channel.send(StackChannel.Packet(bytes: bytes, flow: flow), leaving: reserve)
        }
    }

    /// A sender whose other end reads nothing until it is asked.
    private func channel() -> (Sender, other: Int32) {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        #expect(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        return (Sender(StackChannel(descriptor: ends[0])), ends[1])
    }

    /// Fills the socket, so that what follows is queued.
    private func block(_ sender: Sender) -> Int {
        var sent = 0
        while !sender.channel.isBlocked {
            #expect(sender.send(Array(repeating: 1, count: 1000)))
            sent += 1
        }
        return sent
    }

    @Test("so many messages wait, and the next is refused; then all come, in order")
    func messages() {
        let (sender, other) = channel()
        defer { close(other) }
        let sent = block(sender)
        // One waits already.
        for number in 1..<Limits.stackQueueMaximum {
            #expect(sender.send([UInt8(truncatingIfNeeded: number)]))
        }
        #expect(!sender.send([0]))
        var reader = StackChannel(descriptor: other)
        var heard: [Int] = []
        while heard.count < sent + Limits.stackQueueMaximum - 1 {
            sender.channel.flush()
            guard case .message(let bytes, _) = reader.receive() else { break }
            if bytes.count == 1 { heard.append(Int(bytes[bytes.startIndex])) } else { heard.append(-1) }
        }
        let expected = (1..<Limits.stackQueueMaximum).map { $0 & 255 }
        #expect(heard.filter { $0 >= 0 } == expected && !sender.channel.isBlocked)
        sender.channel.end()
    }

    @Test("so many bytes wait, and no more")
    func bytes() {
        let (sender, other) = channel()
        defer { close(other) }
        _ = block(sender)
        let size = 65_536
        var waiting = 1000
        while waiting + size <= Limits.stackQueueBytesMaximum {
            #expect(sender.send(Array(repeating: 0, count: size)))
            waiting += size
        }
        let rest = Limits.stackQueueBytesMaximum - waiting
        #expect(!sender.send(Array(repeating: 0, count: rest + 1)))
        #expect(sender.send(Array(repeating: 0, count: rest)))
        sender.channel.end()
    }

    @Test("datagrams leave room to commands")
    func reserve() {
        let (sender, other) = channel()
        defer { close(other) }
        _ = block(sender)
        while sender.send([1], leaving: 10) {}
        for _ in 0..<10 { #expect(sender.send([2])) }
        #expect(!sender.send([2]))
        sender.channel.end()
    }

    @Test("a descriptor goes with its message and isn't kept, sent or refused")
    func descriptors() throws {
        let (sender, other) = channel()
        defer { close(other) }
        let first = open("/dev/null", O_RDONLY)
        #expect(sender.send([1], flow: first))
        #expect(fcntl(first, F_GETFD) < 0)
        var reader = StackChannel(descriptor: other)
        guard case .message(_, let received) = reader.receive() else {
            Issue.record("nothing came")
            return
        }
        #expect(received >= 0)
        close(received)
        _ = block(sender)
        while sender.send([1]) {}
        let refused = open("/dev/null", O_RDONLY)
        #expect(!sender.send([1], flow: refused))
        #expect(fcntl(refused, F_GETFD) < 0)
        sender.channel.end()
    }

    @Test("so many frames wait for the TAP, one more is dropped and counted, and the rest keep their order")
    func frames() {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        #expect(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        defer { for end in ends { close(end) } }
        var tap = TAPDevice(descriptor: ends[0])
        var written = 0
        while !tap.isBlocked {
            tap.writeNumber(written)
            written += 1
        }
        for _ in 1..<Limits.stackFramesMaximum {
            tap.writeNumber(written)
            written += 1
        }
        #expect(tap.droppedCount == 0)
        tap.writeNumber(written)
        #expect(tap.droppedCount == 1)
        var heard: [Int] = []
        while true {
            tap.flush()
            var number = 0
            guard read(ends[1], &number, 8) == 8 else { break }
            heard.append(number)
        }
        #expect(heard == Array(0..<written) && !tap.isBlocked)
    }
}

extension TAPDevice {
    fileprivate mutating func writeNumber(_ number: Int) {
        withUnsafeBytes(of: number) { write($0) }
    }
}
