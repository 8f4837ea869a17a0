// The way into the workload: connections to the ports that it serves.

import Glibc
import NIOCore
import SidecarProtocol
import Transport

/// One attempt to connect to the workload, over one or more routes.
///
/// The next route is tried only when the kernel refused the connection: nothing listens there. On one
/// machine a connection is made inside connect(2), or nearly so, and the second call says so; a full
/// backlog is the exception, for which the socket is asked again, ever later.
final class WorkloadConnector {
    enum Outcome {
        /// A connected socket, which the receiver owns.
        case connected(Int32)
        case failed(CloseReason)
    }

    private let loop: any EventLoop
    private let sockets: NamespaceThread
    private let allRoutes: WorkloadRoutes
    private var routes: ArraySlice<WorkloadRoute>
    private var triedRest = false
    private var round = 0
    private let deadline: NIODeadline
    /// Until then a refusal is a program that is still starting.
    private let patience: NIODeadline
    private var refusalDelay = TimeAmount.milliseconds(1)
    /// A program that is about to listen does so within milliseconds; later ones are asked ever less.
    private var quickRetries = 50
    private var retry: Scheduled<Void>?
    private var pending: Int32 = -1
    /// Nil once called, or cancelled.
    private var completion: ((Outcome) -> Void)?

    /// - Parameter patience: until when all routes are tried anew after a refusal.
    init(
        routes: WorkloadRoutes, loop: any EventLoop, sockets: NamespaceThread,
        patience: NIODeadline = .uptimeNanoseconds(0), completion: @escaping (Outcome) -> Void
    ) {
        allRoutes = routes
        self.routes = routes.first[...]
        self.patience = patience
        self.loop = loop
        self.sockets = sockets
        self.completion = completion
        deadline = .now() + .seconds(10)
    }

    /// Calls the completion, at once where the workload is quick.
    func start() {
        while let route = nextRoute() {
            do {
                switch try open(route) {
                case .connected(let socket): return complete(.connected(socket))
                case .refused: continue
                case .pending(let socket): return wait(for: socket, route, delay: .microseconds(200))
                case .unreachable: return complete(.failed(.unreachable))
                }
            } catch {
                return complete(.failed(.limit))
            }
        }
        guard .now() < patience || !triedRest else { return complete(.failed(.workloadRefused)) }
        let bound = NIOLoopBound(self, eventLoop: loop)
        retry = loop.scheduleTask(in: refusalDelay) { bound.value.startAnew() }
        quickRetries -= 1
        if quickRetries < 0 { refusalDelay = min(refusalDelay * 2, .milliseconds(100)) }
    }

    private func startAnew() {
        round += 1
        routes = allRoutes.first[...]
        triedRest = false
        start()
    }

    /// While the program is still starting, the rest are tried every eighth time only: it is the
    /// program's processor that all this asking takes.
    private func nextRoute() -> WorkloadRoute? {
        if let route = routes.popFirst() { return route }
        guard !triedRest, round % 8 == 0 || .now() >= patience else { return nil }
        triedRest = true
        routes = allRoutes.rest()[...]
        return routes.popFirst()
    }

    func cancel() {
        completion = nil
        retry?.cancel()
        if pending >= 0 { RawSocket.abort(pending) }
        pending = -1
    }

    private func complete(_ outcome: Outcome) {
        let call = completion
        completion = nil
        call?(outcome)
    }

    // MARK: One route

    private enum Attempt {
        case connected(Int32)
        case refused
        case pending(Int32)
        case unreachable
    }

    /// From the caller's own port where it is free, else from any.
    private func open(_ route: WorkloadRoute) throws(SystemError) -> Attempt {
        if route.source.port != 0 {
            let attempt = try open(route, from: route.source)
            if let attempt { return attempt }
        }
        return try open(route, from: Endpoint(route.source.address, 0)) ?? .unreachable
    }

    /// Nil where `source` can't be used.
    private func open(_ route: WorkloadRoute, from source: Endpoint) throws(SystemError) -> Attempt? {
        let socket = try sockets.take(route.kind)
        var code = RawSocket.bind(socket, to: source)
        if code == 0 {
            code = RawSocket.connect(socket, to: route.destination)
            if code == EINPROGRESS { code = RawSocket.connect(socket, to: route.destination) }
        }
        switch code {
        case 0, EISCONN: return .connected(socket)
        case EALREADY, EINPROGRESS: return .pending(socket)
        default: close(socket)
        }
        switch code {
        case EADDRINUSE, EADDRNOTAVAIL, EACCES: return nil
        case ECONNREFUSED: return .refused
        default: return .unreachable
        }
    }

    private func wait(for socket: Int32, _ route: WorkloadRoute, delay: TimeAmount) {
        pending = socket
        let bound = NIOLoopBound(self, eventLoop: loop)
        retry = loop.scheduleTask(in: delay) { bound.value.ask(socket, route, delay: delay) }
    }

    private func ask(_ socket: Int32, _ route: WorkloadRoute, delay: TimeAmount) {
        pending = -1
        switch RawSocket.connect(socket, to: route.destination) {
        case 0, EISCONN: complete(.connected(socket))
        case EALREADY where .now() < deadline, EINPROGRESS where .now() < deadline:
            let next = min(delay.nanoseconds * 2, 50_000_000)
            wait(for: socket, route, delay: .nanoseconds(next))
        case ECONNREFUSED:
            close(socket)
            start()
        default:
            close(socket)
            complete(.failed(.unreachable))
        }
    }
}
