import CLinuxShims
import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

@Suite(
    "Connections into the workload",
    .enabled(if: NamespaceFixture.isPermitted, "entering a network namespace needs root"))
struct WorkloadConnectorTests {
    @Test("the workload sees the caller's address, and its port where that is free")
    func source() async throws {
        let server = try LoopbackServer()
        let caller = loopback(9, try LoopbackServer.freePort())
        let first = try #require(try await connect([(caller, server.endpoint)]).socket)
        #expect(RawSocket.localEndpoint(of: first) == caller)
        // A second flow from the same port, as another instance of the caller may have it.
        let second = try #require(try await connect([(caller, server.endpoint)]).socket)
        let local = try #require(RawSocket.localEndpoint(of: second))
        #expect(local.address == caller.address && local.port != caller.port)
        for socket in [first, second] { RawSocket.abort(socket) }
    }

    @Test("a refused route is followed by the next, and the last one's refusal is the answer")
    func routes() async throws {
        let server = try LoopbackServer()
        let closed = loopback(1, try LoopbackServer.freePort())
        let from = loopback(8)
        let socket = try #require(try await connect([(from, closed), (from, server.endpoint)]).socket)
        RawSocket.abort(socket)
        let refused = try await connect([(from, closed), (from, closed)])
        #expect(refused.failure == .workloadRefused)
    }

    @Test("the rest are tried where all the first are refused, and not before")
    func rest() async throws {
        let server = try LoopbackServer()
        let closed = loopback(1, try LoopbackServer.freePort())
        let from = loopback(8)
        let rest = Asked()
        let first = try await connect([(from, server.endpoint)], rest: [(from, closed)], asked: rest)
        RawSocket.abort(try #require(first.socket))
        #expect(rest.count == 0)
        let second = try await connect([(from, closed)], rest: [(from, server.endpoint)], asked: rest)
        RawSocket.abort(try #require(second.socket))
        #expect(rest.count == 1)
        let refused = try await connect([(from, closed)], rest: [(from, closed)], asked: rest)
        #expect(refused.failure == .workloadRefused && rest.count == 2)
    }

    @Test("with patience, a port that opens late is still reached")
    func patience() async throws {
        let late = try LoopbackServer(isOpen: false)
        let outcome = try await connect([(loopback(8), late.endpoint)], patience: .now() + .seconds(300)) {
            late.open()
        }
        RawSocket.abort(try #require(outcome.socket))
    }

    @Test("a backlog that is full is waited for")
    func fullBacklog() async throws {
        let server = try LoopbackServer(backlog: 0)
        // Linux takes one more than the backlog says.
        let first = try #require(try await connect([(loopback(8), server.endpoint)]).socket)
        let second = try await connect([(loopback(8), server.endpoint)]) { server.accept() }
        for socket in [first, try #require(second.socket)] { RawSocket.abort(socket) }
    }

    // MARK: -

    private func loopback(_ last: UInt32, _ port: UInt16 = 0) -> Endpoint {
        Endpoint(IPAddress(v4: 0x7F00_0000 | last), port)
    }

    private struct Outcome: Sendable {
        var socket: Int32?
        var failure: CloseReason?
    }

    private func connect(
        _ pairs: [(Endpoint, Endpoint)], rest: [(Endpoint, Endpoint)] = [], asked: Asked = Asked(),
        patience: NIODeadline = .uptimeNanoseconds(0),
        meanwhile: @escaping @Sendable () -> Void = {}
    ) async throws -> Outcome {
        let namespaces = try NamespaceFixture()
        try namespaces.sendNetwork()
        let thread = namespaces.thread
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let routes = pairs.map { WorkloadRoute(kind: .meshTCP, source: $0.0, destination: $0.1) }
        let more = rest.map { WorkloadRoute(kind: .meshTCP, source: $0.0, destination: $0.1) }
        let promise = loop.makePromise(of: Outcome.self)
        let connector = try await loop.submit {
            var all = WorkloadRoutes(routes)
            all.rest = {
                asked.count += 1
                return more
            }
            let connector = WorkloadConnector(
                routes: all, loop: loop, sockets: thread, patience: patience
            ) { outcome in
                switch outcome {
                case .connected(let socket): promise.succeed(Outcome(socket: socket))
                case .failed(let reason): promise.succeed(Outcome(failure: reason))
                }
            }
            connector.start()
            return NIOLoopBound(connector, eventLoop: loop)
        }.get()
        meanwhile()
        let outcome = try await promise.futureResult.get()
        withExtendedLifetime(connector) { _ = close(namespaces.launcher) }
        try await group.shutdownGracefully()
        return outcome
    }
}

/// How often the rest of the routes were asked for.
///
/// `@unchecked Sendable`: the event loop writes, and the test reads after the connection's end.
final class Asked: @unchecked Sendable {
    var count = 0
}

/// A listening socket on 127.0.0.1.
final class LoopbackServer: Sendable {
    let endpoint: Endpoint
    private let socket: Int32

    /// - Parameter isOpen: else the port is taken, and refuses until `open`.
    init(backlog: Int32 = 16, isOpen: Bool = true) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(RawSocket.bind(socket, to: Endpoint(IPAddress(v4: 0x7F00_0001), 0)) == 0)
        try #require(!isOpen || listen(socket, backlog) == 0)
        endpoint = try #require(RawSocket.localEndpoint(of: socket))
    }

    deinit { close(socket) }

    func open() { _ = listen(socket, 16) }
    func accept() { _ = Glibc.accept(socket, nil, nil) }

    /// A port that nothing listens on.
    static func freePort() throws -> UInt16 { try LoopbackServer().endpoint.port }
}
