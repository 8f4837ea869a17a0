// A FlowChannel on a real TCP connection, with a link that only remembers.

import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

/// Remembers what a flow does with its stream.
final class RecordingLink: StreamLink {
    var sent: [UInt8] = []
    var isFinished = false
    var resetReason: CloseReason?
    var consumedByteCount = 0
    /// Bytes that it takes before it says that it is full.
    var room = Int.max

    func write(_ bytes: ByteBuffer, on stream: StreamID) -> Bool {
        sent += bytes.readableBytesView
        return sent.count < room
    }
    func writeDatagram(_ bytes: ByteBuffer, on stream: StreamID) { sent += bytes.readableBytesView }
    func finish(_ stream: StreamID) { isFinished = true }
    func reset(_ stream: StreamID, _ reason: CloseReason) { resetReason = reason }
    func consumed(_ count: Int, on stream: StreamID) { consumedByteCount += count }
}

/// What the test looks at; on the event loop only.
final class SpliceState: FlowOwner {
    let link = RecordingLink()
    var flow: FlowChannel!
    var ended: CloseReason?

    func receive(_ text: String) {
        flow.receive(ByteBuffer(string: text))
        flow.receiveComplete()
    }

    func flowActive(_ flow: FlowChannel, local: Endpoint?, remote: Endpoint?) {}
    func flowEnded(_ flow: any WorkloadFlow, _ reason: CloseReason) { ended = reason }
}

struct SpliceFixture {
    let workload: WorkloadSocket
    private let group: MultiThreadedEventLoopGroup
    private let state: NIOLoopBound<SpliceState>

    init() async throws {
        let (ours, theirs) = try WorkloadSocket.pair()
        workload = WorkloadSocket(theirs)
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        state = try await loop.submit {
            let state = SpliceState()
            state.flow = FlowChannel(handle: FlowHandle(number: 1), owner: state)
            return NIOLoopBound(state, eventLoop: loop)
        }.get()
        let bound = state
        _ = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try FlowChannel.configure(channel, bound.value.flow)
                }
            }
            .withConnectedSocket(ours).get()
    }

    func join() async {
        await run { $0.flow.join($0.link, StreamID(number: 1)) }
    }

    @discardableResult
    func run<Result: Sendable>(_ body: @escaping @Sendable (SpliceState) -> Result) async -> Result {
        let bound = state
        return try! await group.next().submit { body(bound.value) }.get()
    }

    /// Whether `condition` comes true within ten seconds.
    func eventually(_ condition: @escaping @Sendable (SpliceState) -> Bool) async -> Bool {
        for _ in 0..<10_000 {
            if await run(condition) { return true }
            usleep(1000)
        }
        return false
    }

    func end() async {
        workload.close()
        try? await group.shutdownGracefully()
    }
}

/// The workload's end of the connection: blocking calls with a time limit.
///
/// `@unchecked Sendable`: the test's task alone uses it, one call after the other.
final class WorkloadSocket: @unchecked Sendable {
    private let descriptor: Int32
    private var isClosed = false

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
    }

    /// A TCP connection over loopback.
    static func pair() throws -> (Int32, Int32) {
        let type = Int32(SOCK_STREAM.rawValue)
        let listener = socket(AF_INET, type, 0)
        defer { Glibc.close(listener) }
        let loopback = Endpoint(IPAddress(v4: 0x7F00_0001), 0)
        try #require(RawSocket.bind(listener, to: loopback) == 0 && listen(listener, 1) == 0)
        let local = try #require(RawSocket.localEndpoint(of: listener))
        let client = socket(AF_INET, type, 0)
        try #require(RawSocket.connect(client, to: local) == 0)
        let server = accept(listener, nil, nil)
        try #require(server >= 0)
        return (server, client)
    }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
    }

    /// Sends on a thread of its own; `wait` returns when all is sent or the time has passed.
    func sendInBackground(byteCount: Int) -> BackgroundSend {
        let send = BackgroundSend()
        let descriptor = descriptor
        try! startThread(named: "sender") {
            let block = [UInt8](repeating: 7, count: 65_536)
            var left = byteCount
            while left > 0 {
                let count = Glibc.send(descriptor, block, min(left, block.count), Int32(MSG_NOSIGNAL))
                guard count > 0 else { break }
                left -= count
            }
            send.finish()
        }
        return send
    }

    /// Up to `count` bytes; fewer where the other side ended.
    func receive(_ count: Int) -> String {
        var bytes = [UInt8](repeating: 0, count: count)
        let received = recv(descriptor, &bytes, count, Int32(MSG_WAITALL))
        return String(decoding: bytes.prefix(max(0, received)), as: UTF8.self)
    }

    func receiveAll() -> [UInt8] {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return all }
            all += chunk.prefix(count)
        }
    }

    /// errno of a receive that fails; 0 for one that doesn't.
    func receiveError() -> Int32 {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, 0) < 0 ? errno : 0
    }

    func shutDownOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

    func abort() {
        isClosed = true
        RawSocket.abort(descriptor)
    }

    func close() {
        if !isClosed { Glibc.close(descriptor) }
        isClosed = true
    }
}

final class BackgroundSend: Sendable {
    private let lock = ThreadLock()
    private let state = NIOLockedFlag()

    func finish() {
        lock.withLock {
            state.isSet = true
            lock.notify()
        }
    }

    func wait() {
        lock.lock()
        defer { lock.unlock() }
        while !state.isSet {
            guard lock.wait(atMost: .seconds(10)) else {
                Issue.record("the sender didn't come to its end")
                return
            }
        }
    }
}

/// Guarded by the lock of its owner.
final class NIOLockedFlag: @unchecked Sendable { var isSet = false }
