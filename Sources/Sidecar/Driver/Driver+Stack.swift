// What the workload does through its TAP: on both datapaths whatever leaves the mesh, and on `slirp` the
// mesh itself.

import CLinuxShims
import Glibc
import Logging
import NIOCore
import SidecarProtocol
import Transport

extension Driver: StackClientDelegate {
    private var isSlirp: Bool { network?.datapath == .slirp }

    /// Waits for the workload's first frame. Without a TAP there is no way out, and no stack.
    func startStack() {
        guard let tap, stack == nil, let own = node.ownAddress?.v4 else { return }
        let path = instanceFolder + "/" + MeshPaths.stackLogName
        let log =
            launch.logsToStandardError
            ? dup(STDERR_FILENO) : Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        let starter = LauncherStackStarter(launcher: Sidecar.launcherSocket, log: log)
        let stack = StackClient(
            StackClient.Settings(
                tap: tap, own: IPv4Address(number: own), datapath: network?.datapath ?? .veth,
                starter: starter),
            eventLoop: loop, delegate: self)
        do { try stack.start() } catch {
            return logger.error("no way out of the mesh: \(error)")
        }
        self.stack = stack
        if isSlirp { stack.serve(NameService.endpoint) }
        for listener in stackListeners where listener.flowProtocol == .tcp { stack.serve(listener.endpoint) }
        for (endpoint, until) in earlyAllowances { allowEgress(endpoint, until) }
        earlyAllowances = []
    }

    func allowEgress(_ endpoint: Endpoint, _ until: MonotonicTime?) {
        guard let stack else { return earlyAllowances.append((endpoint, until)) }
        if !stack.allow(endpoint, until: until) {
            logger.warning("egress to \(endpoint) can't be allowed")
        }
    }

    func revokeEgress(_ endpoint: Endpoint) {
        earlyAllowances.removeAll { $0.0 == endpoint }
        stack?.revoke(endpoint)
    }

    // MARK: TCP to virtual addresses

    package func stack(
        _ stack: StackClient, asks id: StackQuestionID, from source: Endpoint, to destination: Endpoint
    ) {
        let isOpen =
            destination == NameService.endpoint
            || stackListeners.contains(StackListener(destination, .tcp))
        stack.answer(id, isOpen ? .open : .refuse)
    }

    package func stack(
        _ stack: StackClient, opened flow: CInt, for id: StackQuestionID, from source: Endpoint,
        to destination: Endpoint
    ) {
        if destination == NameService.endpoint { return names.serve(flow) }
        if destination == MeshNode.stateEndpoint {
            if let state { state.adopt(flow, from: source.description) } else { close(flow) }
            return
        }
        guard let channel = newOutboundFlow() else {
            close(flow)
            return
        }
        channel.ends = (local: destination, remote: source)
        channel.resetsWorkload = { [weak stack] in stack?.reset(from: destination, to: source) }
        channel.isResetWaiting = { [weak stack] in stack?.hasCommandsWaiting ?? false }
        adoption.adopt(flow, channel) {}
    }

    // MARK: UDP to virtual addresses

    package func stack(
        _ stack: StackClient, received datagram: [UInt8], from source: Endpoint, to destination: Endpoint
    ) {
        if destination == NameService.endpoint {
            return names.received(
                datagram, .frames { [weak stack] in stack?.send($0, from: destination, to: source) })
        }
        guard let listener = stackDatagrams[destination] else {
            return stack.refuse(datagramFrom: source, to: destination)
        }
        listener.received(ByteBuffer(bytes: datagram), from: source)
    }

    // MARK: Listeners

    /// On `slirp` a listener is an entry, which the stack knows; of others it asks before it completes a
    /// connection.
    func listenInStack(_ address: IPAddress, _ port: ServicePort) {
        let endpoint = Endpoint(address, port.port)
        stackListeners.insert(StackListener(endpoint, port.protocol))
        if port.protocol == .tcp { stack?.serve(endpoint) }
        guard port.protocol == .udp, stackDatagrams[endpoint] == nil else { return }
        stackDatagrams[endpoint] = DatagramListener(
            endpoint, owner: self,
            answers: { [unowned self] in
                stack?.send($0, from: endpoint, to: $1)
            })
    }

    func unlistenInStack(_ address: IPAddress, _ port: ServicePort) {
        let endpoint = Endpoint(address, port.port)
        stackListeners.remove(StackListener(endpoint, port.protocol))
        if port.protocol == .tcp { stack?.withdraw(endpoint) }
        if port.protocol == .udp { stackDatagrams.removeValue(forKey: endpoint)?.close() }
    }

    // MARK: Egress

    package func stack(_ stack: StackClient, reports egress: EgressReport) {
        let source = Endpoint(egress.tuple.source)
        let destination = Endpoint(egress.tuple.destination)
        switch egress.event {
        case .opened:
            feed(
                .egressAttempted(
                    source: source, destination: destination, egress.flowProtocol, isAllowed: true))
        case .refused(_, let attempts):
            counters.egressRefusals += UInt64(attempts)
            feed(
                .egressAttempted(
                    source: source, destination: destination, egress.flowProtocol, isAllowed: false))
        case .closed(let end, let sent, let received, _):
            let reason: CloseReason =
                switch end {
                case .finished: .finished
                case .revoked: .policy
                case .idle: .idle
                }
            feed(
                .egressEnded(
                    source: source, destination: destination, egress.flowProtocol, sent: sent,
                    received: received, reason))
        }
    }

    package func stack(_ stack: StackClient, counts counters: StackCounters) { stackCounters = counters }

    package func stack(_ stack: StackClient, ended reason: String) {
        logger.error("the userland stack ended, the next frame starts it again: \(reason)")
    }

    // MARK: Names outside the mesh

    /// Asks the host's resolver, on a thread of its own, since getaddrinfo(3) blocks.
    func resolve(_ query: QueryID, _ host: String) {
        guard resolutionCount < Limits.resolutionsMaximum else {
            return feed(.resolved(query, host: host, [], timeToLive: .seconds(0)))
        }
        resolutionCount += 1
        let bound = NIOLoopBound(self, eventLoop: loop)
        HostResolver.resolve(host) { [loop] addresses in
            loop.execute {
                bound.value.resolutionCount -= 1
                bound.value.feed(
                    .resolved(query, host: host, addresses, timeToLive: HostResolver.timeToLive))
            }
        }
    }
}

/// Asks the launcher, which executes what the sidecar's filter doesn't let it.
private final class LauncherStackStarter: StackStarter {
    private let launcher: Int32
    /// Where the process writes what it has to say.
    private let log: Int32

    init(launcher: Int32, log: Int32) {
        self.launcher = launcher
        self.log = log
    }

    func startStack(channel: CInt) throws(SystemError) {
        let message = SidecarMessage.startStack.encoded()
        guard mesh_send(launcher, message, message.count, [channel, log], 2) == message.count else {
            throw SystemError("message to mesh-launch")
        }
    }

    func endStack() {
        let message = SidecarMessage.endStack.encoded()
        _ = mesh_send(launcher, message, message.count, nil, 0)
    }
}

struct StackListener: Hashable {
    var endpoint: Endpoint
    var flowProtocol: FlowProtocol
    init(_ endpoint: Endpoint, _ flowProtocol: FlowProtocol) {
        self.endpoint = endpoint
        self.flowProtocol = flowProtocol
    }
}
