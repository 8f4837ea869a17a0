import Glibc
import SidecarProtocol
import Synchronization
import Testing
import Transport

@testable import Sidecar

/// Over real sockets on loopback.
@Suite("The thread that takes peers' connections")
struct PeerAcceptorTests {
    private let key = X25519KeyPair(secret: .random())
    private let domain = TrustDomainID([UInt8](repeating: 1, count: 32))!
    private let port: UInt16
    private let acceptor: PeerAcceptor
    private let admitted = Admitted()

    /// The sockets that were handed over.
    private final class Admitted: Sendable {
        let sockets = Mutex<[Int32]>([])
        var count: Int { sockets.withLock { $0.count } }
        var first: Int32? { sockets.withLock { $0.first } }
        deinit { for socket in sockets.withLock({ $0 }) { close(socket) } }
    }

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
        try #require(RawSocket.bind(listener, to: Endpoint(IPAddress(v4: 0x7F00_0001), 0)) == 0)
        try #require(listen(listener, 64) == 0)
        port = try #require(RawSocket.localEndpoint(of: listener)).port
        var capacity = HandshakeCapacity()
        (capacity.silent, capacity.greeted) = (2, 3)
        acceptor = PeerAcceptor([listener], capacity: capacity) { [admitted] socket in
            admitted.sockets.withLock { $0.append(socket) }
        }
    }

    private var keys: FirstFlightKeys { FirstFlightKeys(domain: domain, staticKeys: [key.publicKey]) }

    private func flight(tagged isTagged: Bool = true) -> [UInt8] {
        let preamble = Preamble(
            pattern: .xk, offered: 1...1, chosen: 1, domain: domain,
            topic: TopicID([UInt8](repeating: 2, count: 16))!)
        let message = (0..<48).map { _ in UInt8.random(in: 0...255) }
        let key = isTagged ? FirstFlight.tagKey(staticKey: key.publicKey) : [1, 2, 3]
        return FirstFlight.encode(preamble, message: message, key: key)
    }

    private func connected(sending bytes: [UInt8] = []) throws -> Int32 {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        try #require(RawSocket.connect(connection, to: Endpoint(IPAddress(v4: 0x7F00_0001), port)) == 0)
        try #require(send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count)
        return connection
    }

    /// Waits for the other side's end, in order or by a reset; false where bytes came instead.
    private func isClosed(_ connection: Int32) -> Bool {
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var byte: UInt8 = 0
        let count = recv(connection, &byte, 1, 0)
        return count == 0 || (count < 0 && errno == ECONNRESET)
    }

    private func admits(_ count: Int) async throws -> Bool {
        for _ in 0..<10_000 where admitted.count < count { try await Task.sleep(for: .milliseconds(1)) }
        return admitted.count == count
    }

    @Test("a right first flight is handed over with its bytes, one that comes byte by byte too")
    func admits() async throws {
        defer { acceptor.close() }
        let flight = flight()
        // Before there are keys it waits.
        let early = try connected(sending: flight)
        try acceptor.use(keys)
        #expect(try await admits(1))
        var bytes = [UInt8](repeating: 0, count: 200)
        #expect(recv(try #require(admitted.first), &bytes, 200, 0) == flight.count)
        #expect(Array(bytes[..<flight.count]) == flight)

        let slow = try connected()
        for byte in self.flight() { #expect(send(slow, [byte], 1, 0) == 1) }
        #expect(try await admits(2))
        close(early)
        close(slow)
    }

    @Test("a wrong tag, other bytes and a flight that came before are closed without an answer")
    func refuses() async throws {
        defer { acceptor.close() }
        try acceptor.use(keys)
        let flight = flight()
        let first = try connected(sending: flight)
        #expect(try await admits(1))
        for bytes in [self.flight(tagged: false), Array("GET / HTTP/1.1\r\n".utf8), flight] {
            let stranger = try connected(sending: bytes)
            #expect(isClosed(stranger))
            close(stranger)
        }
        #expect(admitted.count == 1)
        close(first)
    }

    @Test("of more silent connections than there are slots the oldest is closed, and who speaks is served")
    func silent() async throws {
        defer { acceptor.close() }
        try acceptor.use(keys)
        let strangers = try (0..<3).map { _ in try connected() }
        #expect(isClosed(strangers[0]))
        #expect(send(strangers[1], flight(), FirstFlightGate.byteCount, 0) == FirstFlightGate.byteCount)
        #expect(try await admits(1))
        let honest = try connected(sending: flight())
        #expect(try await admits(2))
        for connection in strangers + [honest] { close(connection) }
    }

    @Test("what is refused for want of room at the event loop is admitted once that has taken some")
    func full() async throws {
        defer { acceptor.close() }
        try acceptor.use(keys)
        var open: [Int32] = []
        for _ in 0..<3 { open.append(try connected(sending: flight())) }
        #expect(try await admits(3))
        let beyond = try connected(sending: flight())
        #expect(isClosed(beyond))
        acceptor.taken()
        open += [beyond, try connected(sending: flight())]
        #expect(try await admits(4))
        for connection in open { close(connection) }
    }

    @Test("at its end silent connections are closed, and nobody comes in")
    func end() throws {
        try acceptor.use(keys)
        let silent = try connected()
        acceptor.close()
        #expect(isClosed(silent))
        close(silent)
    }
}
