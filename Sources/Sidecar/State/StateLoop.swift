// The workload's connections to its state: a thread and an epoll of their own.
//
// Theory of operation
//
//   A command may take milliseconds (KEYS, SORT, a script), and the event loop carries everybody's flows.
//   So state has a thread: it owns the keyspace, the replicated store and the log, alone and without a
//   lock, and nothing of it is touched from outside. What comes from the event loop (connections, messages
//   of replicas, the disk's outcomes) comes as closures through an inbox; a byte in a pipe wakes the
//   thread where it sleeps.
//
//   One turn: wait; take what has come; read each readable connection once; let the owner end its turn,
//   which is where replies are released; write. A connection whose peer doesn't read its replies isn't
//   read from either, so that what one client can pile up here is bounded. While every reply waits for the
//   disk the thread waits for it too: so those who ask meanwhile share one turn, and the next sync.

import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// Who serves the connections. All calls come on the loop's thread.
protocol StateLoopOwner: AnyObject {
    /// Nil refuses the connection.
    func accepted(from address: String, to local: String) -> ClientID?
    func received(_ bytes: UnsafeRawBufferPointer, from client: ClientID)
    /// The client doesn't take what was written to it, or takes it again.
    func paused(_ client: ClientID, _ isPaused: Bool)
    func wantsInput(from client: ClientID) -> Bool
    /// The client is gone; nothing can be written to it any more.
    func closed(_ client: ClientID)
    /// Everything that was there has been handed over.
    func turnEnded()
    /// The connections needn't be read before something else has come.
    var readsLater: Bool { get }
    /// What isn't urgent is to be handled at once all the same.
    var wantsOutcomes: Bool { get }
    /// When `turnEnded` wants to be called at the latest.
    func nextDeadline() -> MonotonicTime?
}

/// `@unchecked Sendable`: the inbox is touched under `lock` only, everything else on the thread.
final class StateLoop: @unchecked Sendable {
    private let lock = ThreadLock()
    private var inbox: [() -> Void] = []
    private var isAsleep = false
    /// Only what is urgent wakes the thread.
    private var isPatient = false

    private let epoll: Int32
    /// Reading end, writing end.
    private let pipe: (Int32, Int32)
    private var owner: (any StateLoopOwner)?
    /// By their descriptors, of which the kernel gives the lowest that is free.
    private var connections: [Connection?] = []
    private var clients: [ClientID: Connection] = [:]
    private var listeners: Set<Int32> = []
    private var touched: [Connection] = []
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: StateLoop.readBytes, alignment: 16)

    private final class Connection {
        let descriptor: Int32
        let client: ClientID
        var output: [UInt8] = []
        /// How much of `output` has been written.
        var written = 0
        var events: UInt32
        var isTouched = false
        var isDropped = false
        var isPaused = false
        /// Closes when everything is written.
        var isEnding = false

        init(descriptor: Int32, client: ClientID, events: UInt32) {
            self.descriptor = descriptor
            self.client = client
            self.events = events
        }

        var pending: Int { output.count - written }
    }

    static let readBytes = 64 << 10
    /// Milliseconds that what isn't urgent waits at most, and what the connections say.
    private static let patienceMaximum: Int32 = 1
    private static let readingLaterMaximum: Int32 = 10
    /// Wanted though the kernel reports them anyway: nothing wanted would take a connection out of the epoll.
    private static let alwaysReported = UInt32(MESH_READY_ERR | MESH_READY_HUP)

    init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        epoll = mesh_epoll_create()
        guard epoll >= 0 else { throw SystemError("epoll_create1") }
        guard mesh_pipe(&ends) == 0 else {
            let failure = SystemError("pipe2")
            close(epoll)
            throw failure
        }
        pipe = (ends[0], ends[1])
        _ = mesh_epoll_want(epoll, pipe.0, UInt32(MESH_READY_IN), 0)
    }

    /// - Parameter makeOwner: called on the new thread.
    func start(_ makeOwner: @escaping @Sendable (StateLoop) -> any StateLoopOwner) throws(SystemError) {
        try startThread(named: "mesh-state", stackBytes: 1 << 20) {
            self.owner = makeOwner(self)
            self.run()
        }
    }

    // MARK: From any thread

    /// Runs `work` on the loop's thread, in order.
    ///
    /// - Parameter isUrgent: false: it may wait for the thread's next turn, unless the owner wants it.
    func post(isUrgent: Bool = true, _ work: @escaping @Sendable () -> Void) {
        lock.lock()
        inbox.append(work)
        let mustWake = isAsleep && (isUrgent || !isPatient)
        if mustWake { isAsleep = false }
        lock.unlock()
        if mustWake { _ = Glibc.write(pipe.1, [0], 1) }
    }

    // MARK: On the thread

    /// Accepts connections of a listening, non-blocking socket, which belongs to the loop from here on.
    func listen(_ socket: Int32) {
        listeners.insert(socket)
        _ = mesh_epoll_want(epoll, socket, UInt32(MESH_READY_IN), 0)
    }

    /// Serves a connected, non-blocking socket, which belongs to the loop from here on.
    func adopt(_ socket: Int32, from address: String) {
        let local = MeshNode.stateEndpoint.description
        guard let client = owner?.accepted(from: address, to: local) else {
            _ = "-ERR max number of clients reached\r\n".withCString {
                send(socket, $0, strlen($0), Int32(MSG_NOSIGNAL))
            }
            close(socket)
            return
        }
        let isRead = owner?.wantsInput(from: client) ?? false
        let connection = Connection(
            descriptor: socket, client: client,
            events: StateLoop.alwaysReported | (isRead ? UInt32(MESH_READY_IN) : 0))
        while connections.count <= Int(socket) { connections.append(nil) }
        connections[Int(socket)] = connection
        clients[client] = connection
        if mesh_epoll_want(epoll, socket, connection.events, 0) != 0 { drop(connection) }
    }

    /// Sends after everything that was written before; a client that is gone loses it.
    func write(_ bytes: UnsafeRawBufferPointer, to client: ClientID) {
        guard let connection = clients[client] else { return }
        connection.output.append(contentsOf: bytes)
        touch(connection)
    }

    /// Asks again of every connection whether it is to be read.
    func resumeReading() { for connection in clients.values { want(connection) } }

    /// Closes once what was written before is sent.
    func end(_ client: ClientID) {
        guard let connection = clients[client] else { return }
        connection.isEnding = true
        touch(connection)
    }

    private func touch(_ connection: Connection) {
        guard !connection.isTouched else { return }
        connection.isTouched = true
        touched.append(connection)
    }

    private func run() {
        var ready = [mesh_readiness](repeating: mesh_readiness(), count: 128)
        while true {
            var patience = fallAsleep()
            if patience != 0, owner?.readsLater == true {
                awaitPost(patience)
                patience = 0
            }
            let count = mesh_epoll_ready(epoll, &ready, 128, patience)
            takeInbox()
            for readiness in ready.prefix(Int(max(0, count))) { handle(readiness) }
            owner?.turnEnded()
            flush()
        }
    }

    private func takeInbox() {
        lock.lock()
        var work: [() -> Void] = []
        swap(&work, &inbox)
        isAsleep = false
        lock.unlock()
        for item in work { item() }
    }

    /// From here on `post` wakes the thread.
    ///
    /// - Returns: Milliseconds that it may sleep; -1: for ever; 0: something is in the inbox.
    private func fallAsleep() -> Int32 {
        let patience = patience()
        let wantsAll = owner?.wantsOutcomes ?? true
        lock.lock()
        defer { lock.unlock() }
        guard inbox.isEmpty else { return 0 }
        (isAsleep, isPatient) = (true, !wantsAll)
        return wantsAll ? patience : StateLoop.atMost(StateLoop.patienceMaximum, patience)
    }

    /// Milliseconds until the owner wants a turn; rounded up, so that it doesn't come too early.
    private func patience() -> Int32 {
        guard let deadline = owner?.nextDeadline() else { return -1 }
        let left = deadline - Now.current().monotonic
        return Int32(clamping: (left.nanoseconds + 999_999) / 1_000_000)
    }

    private static func atMost(_ maximum: Int32, _ patience: Int32) -> Int32 {
        patience < 0 ? maximum : min(maximum, patience)
    }

    private func awaitPost(_ patience: Int32) {
        var waking = pollfd(fd: pipe.0, events: Int16(POLLIN), revents: 0)
        poll(&waking, 1, StateLoop.atMost(StateLoop.readingLaterMaximum, patience))
    }

    private func handle(_ readiness: mesh_readiness) {
        let descriptor = readiness.descriptor
        if descriptor == pipe.0 {
            _ = Glibc.read(descriptor, buffer.baseAddress!, 64)
        } else if Int(descriptor) < connections.count, let connection = connections[Int(descriptor)] {
            if readiness.events & UInt32(MESH_READY_OUT) != 0 { touch(connection) }
            if connection.events & UInt32(MESH_READY_IN) != 0 {
                if readiness.events != UInt32(MESH_READY_OUT) { read(connection) }
            } else if readiness.events & StateLoop.alwaysReported != 0 {
                // Gone, with answers that it doesn't take or before its first request could be read.
                drop(connection)
            }
        } else if listeners.contains(descriptor) {
            accept(descriptor)
        }
    }

    private func accept(_ listener: Int32) {
        while let (socket, source) = RawSocket.accept(from: listener) {
            var on: Int32 = 1
            setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
            adopt(socket, from: source?.description ?? "")
        }
    }

    private func read(_ connection: Connection) {
        let count = Glibc.read(connection.descriptor, buffer.baseAddress!, buffer.count)
        if count > 0 {
            owner?.received(UnsafeRawBufferPointer(rebasing: buffer[..<count]), from: connection.client)
            if owner?.wantsInput(from: connection.client) == false { want(connection) }
        } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
            drop(connection)
        }
    }

    private func flush() {
        let batch = touched
        touched.removeAll(keepingCapacity: true)
        for connection in batch {
            connection.isTouched = false
            if !connection.isDropped { write(connection) }
        }
    }

    private func write(_ connection: Connection) {
        while connection.pending > 0 {
            let sent = connection.output.withUnsafeBytes {
                send(
                    connection.descriptor, $0.baseAddress! + connection.written, connection.pending,
                    Int32(MSG_NOSIGNAL))
            }
            if sent > 0 {
                connection.written += sent
            } else if errno == EAGAIN {
                break
            } else if errno != EINTR {
                return drop(connection)
            }
        }
        if connection.pending == 0 {
            connection.output.removeAll(keepingCapacity: connection.output.capacity <= StateLoop.readBytes)
            connection.written = 0
            if connection.isEnding { return drop(connection) }
        } else if connection.pending > Limits.stateOutputMaximum {
            return drop(connection)
        }
        let isSlow = connection.pending > Limits.stateOutputPause
        if isSlow != connection.isPaused {
            connection.isPaused = isSlow
            owner?.paused(connection.client, isSlow)
        }
        want(connection)
    }

    private func want(_ connection: Connection) {
        let reads = owner?.wantsInput(from: connection.client) ?? false
        let wanted =
            StateLoop.alwaysReported
            | (reads ? UInt32(MESH_READY_IN) : 0)
            | (connection.pending > 0 ? UInt32(MESH_READY_OUT) : 0)
        guard wanted != connection.events else { return }
        connection.events = wanted
        _ = mesh_epoll_want(epoll, connection.descriptor, wanted, 1)
    }

    private func drop(_ connection: Connection) {
        connection.isDropped = true
        connections[Int(connection.descriptor)] = nil
        clients[connection.client] = nil
        close(connection.descriptor)
        owner?.closed(connection.client)
    }
}

extension Limits {
    /// A client with more replies unread than this isn't read from.
    static let stateOutputPause = 1 << 20
    /// And with more than this, of published messages above all, it is closed.
    static let stateOutputMaximum = 64 << 20
}
