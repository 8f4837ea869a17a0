import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

@Suite(
    "UDP associations",
    .enabled(if: NamespaceFixture.isPermitted, "entering a network namespace needs root"))
struct DatagramTests {
    @Test("datagrams wait for their stream, and answers come from the address that was asked")
    func outbound() async throws {
        try await withFixture { fixture in
            let virtual = Endpoint(IPAddress(v4: 0x7F00_0031), try LoopbackServer.freePort())
            try await fixture.run { state in
                let listener = DatagramListener(virtual, owner: state)
                try listener.open(state.thread, on: state.loop)
                state.listener = listener
            }
            let workload = DatagramSocket(0x7F00_0001)
            #expect(RawSocket.connect(workload.descriptor, to: virtual) == 0)
            workload.send("one")
            workload.send("two")
            #expect(await fixture.eventually { $0.began?.destination == virtual })
            try await fixture.run { $0.joinOutbound() }
            #expect(await fixture.eventually { $0.link.sent == Array("onetwo".utf8) })
            workload.send("three")
            #expect(await fixture.eventually { $0.link.sent == Array("onetwothree".utf8) })
            try await fixture.run { state in
                state.outbound?.receiveDatagram(ByteBuffer(string: "answer"))
                state.outbound?.receiveComplete()
            }
            #expect(workload.receive() == "answer")
        }
    }

    @Test("a refused association tells the workload, and the next datagram begins another")
    func refusedOutbound() async throws {
        try await withFixture { fixture in
            let virtual = Endpoint(IPAddress(v4: 0x7F00_0032), try LoopbackServer.freePort())
            try await fixture.run { state in
                let listener = DatagramListener(virtual, owner: state)
                try listener.open(state.thread, on: state.loop)
                state.listener = listener
            }
            let workload = DatagramSocket(0x7F00_0001)
            #expect(RawSocket.connect(workload.descriptor, to: virtual) == 0)
            workload.send("one")
            #expect(await fixture.eventually { $0.beganCount == 1 })
            try await fixture.run { $0.outbound?.receiveReset(.workloadRefused) }
            #expect(await fixture.eventually { $0.unreachable?.destination == virtual })
            #expect(await fixture.eventually { $0.ended == .workloadRefused })
            workload.send("again")
            #expect(await fixture.eventually { $0.beganCount == 2 })
        }
    }

    @Test("what is sent right after a cut is dropped")
    func cutOutbound() async throws {
        try await withFixture { fixture in
            let virtual = Endpoint(IPAddress(v4: 0x7F00_0033), try LoopbackServer.freePort())
            try await fixture.run { state in
                let listener = DatagramListener(virtual, owner: state)
                try listener.open(state.thread, on: state.loop)
                state.listener = listener
            }
            let workload = DatagramSocket(0x7F00_0001)
            #expect(RawSocket.connect(workload.descriptor, to: virtual) == 0)
            workload.send("one")
            #expect(await fixture.eventually { $0.beganCount == 1 })
            try await fixture.run { $0.outbound?.cut(.policy) }
            workload.send("two")
            let other = DatagramSocket(0x7F00_0002)
            #expect(RawSocket.connect(other.descriptor, to: virtual) == 0)
            other.send("three")
            // The other's datagram came after the one that was dropped.
            #expect(await fixture.eventually { $0.beganCount == 2 })
            #expect(await fixture.eventually { $0.began?.source.address == IPAddress(v4: 0x7F00_0002) })
        }
    }

    @Test("a datagram that nothing takes on one address goes to the next, and its answer comes back")
    func inboundRoutes() async throws {
        try await withFixture { fixture in
            let service = DatagramSocket(0x7F00_0001)
            let port = try #require(RawSocket.localEndpoint(of: service.descriptor)).port
            let source = Endpoint(IPAddress(v4: 0x7F00_0041), 0)
            let nobody = Endpoint(IPAddress(v4: 0x7F00_0042), port)
            let somebody = Endpoint(IPAddress(v4: 0x7F00_0001), port)
            try await fixture.openInbound([(source, nobody), (source, somebody)])
            try await fixture.run { $0.receiveInbound("hello") }
            #expect(service.receive(answering: true) == "hello")
            #expect(await fixture.eventually { $0.link.sent == Array("hello".utf8) })
        }
    }

    @Test("a datagram that nothing takes anywhere resets the stream as refused")
    func inboundRefused() async throws {
        try await withFixture { fixture in
            let port = try LoopbackServer.freePort()
            let source = Endpoint(IPAddress(v4: 0x7F00_0041), 0)
            try await fixture.openInbound([(source, Endpoint(IPAddress(v4: 0x7F00_0043), port))])
            try await fixture.run { $0.receiveInbound("hello") }
            #expect(await fixture.eventually { $0.link.resetReason == .workloadRefused })
            #expect(await fixture.eventually { $0.ended == .workloadRefused })
        }
    }

    private func withFixture(_ body: (DatagramFixture) async throws -> Void) async throws {
        let fixture = try await DatagramFixture()
        try await body(fixture)
        try await fixture.end()
    }
}

/// What the tests look at; on the event loop only.
final class DatagramState: DatagramOwner {
    let loop: any EventLoop
    let thread: NamespaceThread
    let link = RecordingLink()
    var listener: DatagramListener?
    var inbound: InboundAssociation?
    var outbound: OutboundAssociation?
    var began: (source: Endpoint, destination: Endpoint)?
    var beganCount = 0
    var unreachable: (source: Endpoint, destination: Endpoint)?
    var ended: CloseReason?

    init(loop: any EventLoop, thread: NamespaceThread) {
        self.loop = loop
        self.thread = thread
    }

    func joinOutbound() { outbound?.join(link, StreamID(number: 1)) }

    func receiveInbound(_ text: String) {
        inbound?.receiveDatagram(ByteBuffer(string: text))
        inbound?.receiveComplete()
    }

    func newAssociation<Made: WorkloadFlow>(_ make: (FlowHandle) -> Made) -> Made? {
        make(FlowHandle(number: UInt64(beganCount + 1)))
    }

    func associationBegan(_ association: OutboundAssociation, source: Endpoint, destination: Endpoint) {
        outbound = association
        began = (source, destination)
        beganCount += 1
    }

    func sendPortUnreachable(source: Endpoint, destination: Endpoint) {
        unreachable = (source, destination)
    }

    func flowActive(_ flow: FlowChannel, local: Endpoint?, remote: Endpoint?) {}
    func flowEnded(_ flow: any WorkloadFlow, _ reason: CloseReason) { ended = reason }
}

struct DatagramFixture {
    private let namespaces: NamespaceFixture
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let state: NIOLoopBound<DatagramState>

    init() async throws {
        namespaces = try NamespaceFixture()
        try namespaces.sendNetwork()
        let loop = group.next()
        let thread = namespaces.thread
        state = try await loop.submit {
            NIOLoopBound(DatagramState(loop: loop, thread: thread), eventLoop: loop)
        }.get()
    }

    @discardableResult
    func run<Result: Sendable>(
        _ body: @escaping @Sendable (DatagramState) throws -> Result
    ) async throws -> Result {
        let bound = state
        return try await group.next().submit { try body(bound.value) }.get()
    }

    func openInbound(_ pairs: [(Endpoint, Endpoint)]) async throws {
        let routes = pairs.map { WorkloadRoute(kind: .meshTCP, source: $0.0, destination: $0.1) }
        try await run { state in
            let association = InboundAssociation(
                FlowHandle(number: 1), routes: WorkloadRoutes(routes), loop: state.loop,
                sockets: state.thread, owner: state)
            state.inbound = association
            let isOpen = try association.open()
            #expect(isOpen)
            association.join(state.link, StreamID(number: 1))
        }
    }

    /// Whether `condition` comes true within ten seconds.
    func eventually(_ condition: @escaping @Sendable (DatagramState) -> Bool) async -> Bool {
        for _ in 0..<10_000 {
            if (try? await run(condition)) == true { return true }
            usleep(1000)
        }
        return false
    }

    func end() async throws {
        close(namespaces.launcher)
        try await group.shutdownGracefully()
    }
}

/// A program's UDP socket, with a time limit.
final class DatagramSocket: Sendable {
    let descriptor: Int32

    init(_ address: UInt32) {
        descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        #expect(RawSocket.bind(descriptor, to: Endpoint(IPAddress(v4: address), 0)) == 0)
    }

    deinit { close(descriptor) }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(Glibc.send(descriptor, bytes, bytes.count, 0) == bytes.count)
    }

    /// - Parameter answering: sends back what came.
    func receive(answering: Bool = false) -> String {
        var bytes = [UInt8](repeating: 0, count: 2048)
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let count = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
                let count = recvfrom(descriptor, &bytes, bytes.count, 0, peer, &size)
                if answering, count > 0 { sendto(descriptor, bytes, count, 0, peer, size) }
                return count
            }
        }
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
