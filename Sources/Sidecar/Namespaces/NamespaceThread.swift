// The threads beside the event loop that make sockets inside the workload's network namespaces. The first
// one also reads the launcher's socket, and learns of steps of the wall clock.
//
// Theory of operation
//
//   A socket belongs to the network namespace that its maker's thread is in, for good; bind, connect and
//   listen don't look at the thread any more. The event loop must stay in the host's namespace, where
//   peers are, and an ordinary user can't enter that one again after leaving it. So the first thread enters
//   M (the mesh side), and a second one W (the workload's), where there are both; each of them stays there,
//   and so can give up the right to enter namespaces. They keep a stock of blank sockets, which the event
//   loop takes without waiting; it waits only when the stock is empty, for one socket(2).
//
//          launcher's socket ──┐
//       requests to refill ────┼── poll ── messages and clock steps go to the event loop
//            clock timer ──────┘          sockets go into the stock
//
//   Everything shared is in `stock`, under its lock.

import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// A kind of blank socket, and where it lives.
struct SocketKind: Hashable, Sendable {
    enum Place: Hashable, Sendable { case mesh, workload }
    /// TCP, UDP, or raw ICMP, of either family.
    enum Use: Hashable, Sendable { case streams, datagrams, errors }
    var place: Place
    var use: Use
    var isIPv6 = false

    static let meshTCP = SocketKind(place: .mesh, use: .streams)
    static let meshUDP = SocketKind(place: .mesh, use: .datagrams)
    static let workloadTCP = SocketKind(place: .workload, use: .streams)
}

/// What the thread tells the event loop.
enum NamespaceEvent: Sendable {
    /// The namespaces' sockets can be had once `network` has come. Its descriptors belong to the thread,
    /// but for the TAP's, which is given here.
    case message(LauncherMessage, tap: Int32?)
    /// The launcher is gone.
    case launcherEnded
    case clockStepped
    case failed(String)
}

final class NamespaceThread: Sendable {
    private let launcher: Int32
    private let stock = SocketStock()
    private let report: @Sendable (NamespaceEvent) -> Void

    /// - Parameters:
    ///   - launcher: the SEQPACKET socket.
    ///   - report: called on the new thread.
    init(launcher: Int32, report: @escaping @Sendable (NamespaceEvent) -> Void) {
        self.launcher = launcher
        self.report = report
    }

    func start() throws(SystemError) {
        try startThread(named: "mesh-namespaces") { self.run() }
    }

    /// A blank, non-blocking socket, which the caller owns.
    func take(_ kind: SocketKind) throws(SystemError) -> Int32 { try stock.take(kind) }

    // MARK: On the thread

    private func run() {
        let clock = mesh_clock_step_descriptor()
        var sources = [
            pollfd(fd: launcher, events: Int16(POLLIN), revents: 0),
            pollfd(fd: -1, events: Int16(POLLIN), revents: 0),
            pollfd(fd: clock, events: Int16(POLLIN), revents: 0),
        ]
        var place: SocketKind.Place?
        while true {
            guard poll(&sources, nfds_t(sources.count), -1) >= 0 || errno == EINTR else {
                return report(.failed("\(SystemError("poll"))"))
            }
            if sources[2].revents != 0, stepped(clock) { report(.clockStepped) }
            if sources[0].revents != 0, !receive(&place) {
                sources[0].fd = -1
                sources[0].revents = 0
            }
            guard let place else { continue }
            sources[1].fd = stock.requests(place)
            if sources[1].revents != 0 { stock.drainRequests(place) }
            stock.refill(place)
        }
    }

    /// The second thread.
    private func serve(_ place: SocketKind.Place, in namespace: Int32) {
        guard enter(place, namespace) else { return }
        var source = pollfd(fd: stock.requests(place), events: Int16(POLLIN), revents: 0)
        while true {
            stock.refill(place)
            guard poll(&source, 1, -1) >= 0 || errno == EINTR else {
                return report(.failed("\(SystemError("poll"))"))
            }
            if source.revents != 0 { stock.drainRequests(place) }
        }
    }

    /// Goes there for good.
    private func enter(_ place: SocketKind.Place, _ namespace: Int32) -> Bool {
        let result = mesh_enter_namespace(namespace, Int32(MESH_NEW_NETWORK))
        let failure = SystemError("setns(\(place))")
        close(namespace)
        Confinement.stayInNamespace()
        if result != 0 { report(.failed("\(failure)")) }
        return result == 0
    }

    /// False when nothing more will come.
    private func receive(_ place: inout SocketKind.Place?) -> Bool {
        var bytes = [UInt8](repeating: 0, count: Limits.launcherMessageBytesMaximum)
        var descriptors = [Int32](repeating: -1, count: 4)
        var count = 0
        var sender: pid_t = 0
        let received = mesh_receive(
            launcher, &bytes, bytes.count, &descriptors, descriptors.count, &count, &sender)
        guard received > 0 else {
            if received < 0 { report(.failed("\(SystemError("message from mesh-launch"))")) }
            report(.launcherEnded)
            return false
        }
        do {
            let message = try LauncherMessage(canonical: Array(bytes.prefix(received)))
            var tap: Int32?
            if case .network(let network) = message {
                place = try adopt(Array(descriptors.prefix(count)), network)
                tap = network.hasTAP ? descriptors[count - 1] : nil
            }
            report(.message(message, tap: tap))
        } catch {
            report(.failed("message from mesh-launch: \(error)"))
        }
        return true
    }

    /// Takes the namespaces' descriptors: W, M (veth only), and last the TAP, where there is one.
    ///
    /// - Returns: where this thread is from now on.
    private func adopt(
        _ descriptors: [Int32], _ network: SidecarNetwork
    ) throws(SystemError) -> SocketKind.Place {
        let hasMesh = network.datapath == .veth
        guard descriptors.count == 1 + (hasMesh ? 1 : 0) + (network.hasTAP ? 1 : 0) else {
            throw SystemError("network with \(descriptors.count) descriptors", code: EINVAL)
        }
        let workload = descriptors[0]
        // While this thread still has the right to enter, which the other one inherits.
        if hasMesh { try startThread(named: "mesh-workload") { self.serve(.workload, in: workload) } }
        let place = hasMesh ? SocketKind.Place.mesh : .workload
        guard enter(place, hasMesh ? descriptors[1] : workload) else {
            throw SystemError("network namespace \(place)", code: EPERM)
        }
        stock.open(keepingReady: hasMesh)
        return place
    }

    private func stepped(_ clock: Int32) -> Bool {
        var expirations: UInt64 = 0
        return read(clock, &expirations, 8) < 0 && errno == ECANCELED
    }
}

/// Makes sockets in the namespace that its caller's thread is in.
private enum SocketMaker {
    static func make(_ kind: SocketKind) throws(SystemError) -> Int32 {
        let (type, number) =
            switch kind.use {
            case .streams: (SOCK_STREAM, 0)
            case .datagrams: (SOCK_DGRAM, 0)
            case .errors: (SOCK_RAW, kind.isIPv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)
            }
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(
            kind.isIPv6 ? AF_INET6 : AF_INET, Int32(type.rawValue) | flags, Int32(number))
        guard descriptor >= 0 else { throw SystemError("socket(\(kind.place), \(kind.use))") }
        prepare(descriptor, kind)
        return descriptor
    }

    /// Options that every use of such a socket wants, set here and not in the path of a connection.
    /// Accepted sockets inherit them from their listener.
    private static func prepare(_ descriptor: Int32, _ kind: SocketKind) {
        switch kind.use {
        case .streams:
            enable(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY)
            // A delivery may come from a port whose last connection is in TIME_WAIT.
            enable(descriptor, SOL_SOCKET, SO_REUSEADDR)
            enable(descriptor, Int32(IPPROTO_IP), SocketOption.bindAddressNoPort)
        case .datagrams, .errors: break
        }
        // An address that a local route makes ours isn't one of a device, and couldn't be bound else.
        if kind.isIPv6 { enable(descriptor, Int32(IPPROTO_IPV6), SocketOption.ipv6FreeBind) }
    }

    private static func enable(_ descriptor: Int32, _ level: Int32, _ option: Int32) {
        var one: Int32 = 1
        setsockopt(descriptor, level, option, &one, socklen_t(MemoryLayout<Int32>.size))
    }
}

/// Constants of <linux/in.h> and <linux/in6.h> that glibc's module map leaves out.
enum SocketOption {
    static let bindAddressNoPort: Int32 = 24
    static let ipv6Only: Int32 = 26
    static let ipv6FreeBind: Int32 = 78
}

/// The blank sockets, shared by the thread that makes them and the event loop that takes them.
///
/// `@unchecked Sendable`: every stored property but the bells is touched under `lock` only, and those are
/// never changed.
private final class SocketStock: @unchecked Sendable {
    private let mesh = Bell()
    private let workload = Bell()
    private let lock = ThreadLock()
    private var sockets: [SocketKind: [Int32]] = [:]
    /// How many of a kind to keep. A kind enters at its first use.
    private var levels: [SocketKind: Int] = [:]
    private var failures: [SocketKind: SystemError] = [:]
    private var opened = false

    /// A pair of sockets: one end becomes readable when a byte is written to the other.
    private struct Bell {
        let hearing: Int32
        let ringing: Int32

        init() {
            var ends: [Int32] = [-1, -1]
            let type =
                Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            socketpair(AF_UNIX, type, 0, &ends)
            hearing = ends[0]
            ringing = ends[1]
        }
    }

    private func bell(_ place: SocketKind.Place) -> Bell { place == .mesh ? mesh : workload }

    /// Becomes readable when the thread of that place should look at the stock.
    func requests(_ place: SocketKind.Place) -> Int32 { bell(place).hearing }

    /// - Parameter keepingReady: sockets in M for TCP, before the first is asked for.
    func open(keepingReady: Bool) {
        lock.withLock {
            opened = true
            if keepingReady { levels[.meshTCP] = Limits.blankSocketsMaximum }
        }
    }

    func take(_ kind: SocketKind) throws(SystemError) -> Int32 {
        lock.lock()
        defer { lock.unlock() }
        failures[kind] = nil
        if levels[kind] == nil { levels[kind] = kind.use == .errors ? 1 : Limits.blankSocketsMaximum / 4 }
        let deadline = MonotonicTime.Span.seconds(2)
        var isWaiting = false
        while sockets[kind, default: []].isEmpty {
            if let failure = failures[kind] { throw failure }
            guard opened else { throw SystemError("socket before the namespaces are ready", code: EAGAIN) }
            if isWaiting, !lock.wait(atMost: deadline) {
                throw SystemError("a socket of \(kind.place)", code: ETIMEDOUT)
            }
            if !isWaiting { wake(kind.place) }
            isWaiting = true
        }
        let socket = sockets[kind]!.removeLast()
        if !isWaiting, sockets[kind]!.count == levels[kind]! / 2 { wake(kind.place) }
        return socket
    }

    func drainRequests(_ place: SocketKind.Place) {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(requests(place), &bytes, bytes.count) > 0 {}
    }

    /// Makes what is missing, without the lock while it is in the kernel.
    func refill(_ place: SocketKind.Place) {
        while let kind = lock.withLock({ opened ? lowest(place) : nil }) {
            do {
                let socket = try SocketMaker.make(kind)
                lock.withLock {
                    sockets[kind, default: []].append(socket)
                    lock.notify()
                }
            } catch {
                lock.withLock {
                    failures[kind] = error
                    levels[kind] = nil
                    lock.notify()
                }
            }
        }
    }

    /// An empty kind before any other, since the event loop may be waiting for it.
    private func lowest(_ place: SocketKind.Place) -> SocketKind? {
        var best: (kind: SocketKind, count: Int)?
        for (kind, level) in levels where kind.place == place {
            let count = sockets[kind]?.count ?? 0
            if count < level, best == nil || count < best!.count { best = (kind, count) }
        }
        return best?.kind
    }

    private func wake(_ place: SocketKind.Place) {
        var byte: UInt8 = 0
        _ = write(bell(place).ringing, &byte, 1)
    }
}
