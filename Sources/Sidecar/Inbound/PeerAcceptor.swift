// The thread that takes peers' connections.
//
// Theory of operation
//
//   listener ──accept──▶ first flight there? ──no──▶ silent, one of so many ──bytes──▶ (looked at again)
//                            │                              └──▶ pushed out, too late, or closed
//                            ├── wrong ──▶ closed
//                            └── right ──▶ handed over to the event loop, with its bytes unread
//
//   Whoever can reach the port may open connections as fast as one core sends them. A channel of NIO's for
//   each would cost the event loop more than they cost the stranger, and the honest peer would stand behind
//   all of them in the kernel's queue. Here one costs three calls: accept, a look at its bytes (MSG_PEEK),
//   close. A connection has no memory of its own here but a slot (`HandshakeSlots`); its bytes stay in the
//   kernel, which bounds them. `FirstFlightGate` says whether they are right; the session reads and judges
//   them anew.
//
//   The thread starts with the first keys: until then connections wait in the kernel. No more than
//   `Limits.handshakesMaximum` wait for the event loop; the next is closed.

import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// `@unchecked Sendable`: what several threads see is used with the lock held.
final class PeerAcceptor: @unchecked Sendable {
    private let lock = ThreadLock()
    private let listeners: [Int32]
    private let capacity: HandshakeCapacity
    private let admit: @Sendable (Int32) -> Void
    private var keys: FirstFlightKeys?
    private var hasStarted = false
    private var isClosed = false
    /// Handed over, and not yet taken.
    private var waiting = 0

    /// - Parameters:
    ///   - listeners: sockets that listen, and don't block; closed by this object.
    ///   - admit: called on the thread with a connected socket, the callee's from now on. It calls `taken`
    ///     when it comes to it.
    init(
        _ listeners: [Int32], capacity: HandshakeCapacity = HandshakeCapacity(),
        admit: @escaping @Sendable (Int32) -> Void
    ) {
        self.listeners = listeners
        self.capacity = capacity
        self.admit = admit
    }

    /// Takes connections from now on, of those who know one of these.
    func use(_ keys: FirstFlightKeys) throws(SystemError) {
        let isFirst = lock.withLock {
            self.keys = keys
            defer { hasStarted = true }
            return !hasStarted && !isClosed
        }
        guard isFirst else { return }
        let epoll = mesh_epoll_create()
        guard epoll >= 0 else { throw SystemError("epoll_create1") }
        try startThread(named: "mesh-accept") { self.serve(keys, epoll) }
    }

    func taken() { lock.withLock { waiting -= 1 } }

    /// Refuses everybody from now on.
    func close() {
        lock.withLock {
            guard !isClosed else { return }
            isClosed = true
            for listener in listeners {
                if hasStarted {
                    // Which wakes the thread; it closes them.
                    shutdown(listener, Int32(SHUT_RD))
                } else {
                    Glibc.close(listener)
                }
            }
        }
    }

    // MARK: The thread

    private func serve(_ first: FirstFlightKeys, _ epoll: Int32) {
        var loop = AcceptorLoop(epoll, FirstFlightGate(first), capacity) { [self] socket in
            let hasRoom = lock.withLock {
                guard waiting < capacity.greeted else { return false }
                waiting += 1
                return true
            }
            if hasRoom { admit(socket) } else { RawSocket.abort(socket) }
        }
        loop.listen(to: listeners)
        while let keys = lock.withLock({ isClosed ? nil : keys }) {
            loop.turn(keys)
        }
        loop.close()
        for listener in listeners { Glibc.close(listener) }
    }
}

/// What the thread has for itself.
private struct AcceptorLoop {
    private let epoll: Int32
    private var listeners: [Int32] = []
    private var gate: FirstFlightGate
    private var slots: HandshakeSlots<Int32>
    private let admit: (Int32) -> Void
    private var ready = [mesh_readiness](repeating: mesh_readiness(), count: 64)
    private var flight = [UInt8](repeating: 0, count: FirstFlightGate.byteCount)

    /// Connections that are taken before those are looked at that were taken before.
    private static let batch = 64
    private static let readable: UInt32 = 1
    private static let peerClosed: UInt32 = 0x2000
    /// Each arrival is told once, so that bytes that aren't enough don't wake the thread for ever.
    private static let edge: UInt32 = 1 << 31

    init(
        _ epoll: Int32, _ gate: FirstFlightGate, _ capacity: HandshakeCapacity,
        admit: @escaping (Int32) -> Void
    ) {
        self.epoll = epoll
        self.gate = gate
        self.admit = admit
        slots = HandshakeSlots(capacity: capacity)
    }

    mutating func listen(to listeners: [Int32]) {
        self.listeners = listeners
        for listener in listeners { mesh_epoll_want(epoll, listener, Self.readable, 0) }
    }

    /// Waits for something to do, and does it.
    mutating func turn(_ keys: FirstFlightKeys) {
        let count = mesh_epoll_ready(epoll, &ready, Int32(ready.count), slots.silentCount > 0 ? 1_000 : -1)
        gate.use(keys)
        let events = ready.prefix(Int(max(0, count))).map(\.descriptor)
        // First the connections that are there: taking new ones closes old ones, whose numbers are used again.
        for socket in events where !listeners.contains(socket) { look(at: socket) }
        for socket in events where listeners.contains(socket) { accept(from: socket) }
        for late in slots.expire(at: Now.current().monotonic) { RawSocket.abort(late) }
    }

    private mutating func accept(from listener: Int32) {
        let now = Now.current().monotonic
        for _ in 0..<Self.batch {
            guard let (socket, endpoint) = RawSocket.accept(from: listener) else {
                // No descriptor is left: who waits waits on, without this thread turning meanwhile.
                if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM {
                    usleep(10_000)
                }
                return
            }
            let source = ConnectionSource(endpoint?.address ?? IPAddress(v4: 0))
            guard slots.isInTime(source, at: now) else {
                RawSocket.abort(socket)
                continue
            }
            switch judge(socket) {
            case .passes: admit(socket)
            case .refused: Glibc.close(socket)
            case .incomplete:
                for old in slots.hold(socket, from: source, at: now) { RawSocket.abort(old) }
                mesh_epoll_want(epoll, socket, Self.readable | Self.peerClosed | Self.edge, 0)
            }
        }
    }

    /// At a silent connection of which bytes have come, or the end.
    private mutating func look(at socket: Int32) {
        switch judge(socket) {
        case .incomplete: break
        case .passes:
            slots.leave(socket)
            mesh_epoll_want(epoll, socket, 0, 1)
            admit(socket)
        case .refused:
            slots.leave(socket)
            Glibc.close(socket)
        }
    }

    /// Unread bytes turn the close of a refused connection into a reset.
    private mutating func judge(_ socket: Int32) -> FirstFlightGate.Verdict {
        let count = recv(socket, &flight, flight.count, Int32(MSG_PEEK))
        guard count > 0 else { return count < 0 && errno == EAGAIN ? .incomplete : .refused }
        return flight.withUnsafeBytes { gate.judge(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    mutating func close() {
        for socket in slots.leaveAll() { RawSocket.abort(socket) }
        Glibc.close(epoll)
    }
}
