// Flows of the workload, in both directions, and what becomes of them.

import CLinuxShims
import Glibc
import NIOCore
import SidecarProtocol
import Transport

/// An inbound flow on its way to the workload.
struct Delivery {
    var connector: WorkloadConnector
    var link: LinkID
    var stream: StreamID
    var permit: FlowPermit
}

extension Driver: FlowOwner {
    // MARK: Outbound

    /// Nil refuses the connection, where a limit is reached.
    func newOutboundFlow() -> FlowChannel? {
        guard stage != .stopping, flows.count < flowsMaximum else {
            counters.refusedConnections += 1
            return nil
        }
        return FlowChannel(handle: nextFlow(), owner: self)
    }

    /// Each flow has a descriptor; sockets in stock, links and files need some too.
    var flowsMaximum: Int {
        min(Limits.flowsMaximum, max(64, counters.descriptorsMaximum - 256))
    }

    func flowActive(_ flow: FlowChannel, local: Endpoint?, remote: Endpoint?) {
        if let delivery = deliveries.removeValue(forKey: flow.handle) {
            return delivered(flow, delivery)
        }
        guard flow.isOutbound, let local, let remote, isVirtual(local.address) else {
            return flow.cut(.protocolError)
        }
        flows[flow.handle] = flow
        feed(.workloadDialled(flow.handle, source: remote, destination: local, .tcp))
    }

    /// M's own address, 169.254.77.1, would be accepted on too.
    func isVirtual(_ address: IPAddress) -> Bool {
        guard let number = address.v4 else { return true }
        return number & ReservedAddress.networkMask == ReservedAddress.network
    }

    func openStream(_ id: FlowHandle, _ linkID: LinkID, _ open: FlowOpen, _ permit: FlowPermit) {
        guard let flow = flows[id] else { return }
        guard let link = links[linkID], let stream = link.openStream(open, permit: permit, end: flow) else {
            let reason = links[linkID] == nil ? CloseReason.sessionLost : .limit
            cut(id, reason)
            return feed(.flowEnded(id, reason))
        }
        feed(.streamOpened(id, stream))
        flow.join(link, stream)
    }

    // MARK: Inbound

    func deliver(
        _ id: FlowHandle, from source: Endpoint, or localSource: Endpoint, to port: ServicePort,
        _ permit: FlowPermit
    ) {
        guard let opening, opening.flow == id else { return feed(.deliveryFailed(id, .limit)) }
        if port.protocol == .udp {
            return deliverDatagrams(
                id, opening.link, opening.stream, routes(to: port, from: source, or: localSource), permit)
        }
        let connector = WorkloadConnector(
            routes: routes(to: port, from: source, or: localSource), loop: loop, sockets: sockets,
            patience: portsSeenUp.contains(port) ? .now() : startPatience
        ) { [unowned self] outcome in
            switch outcome {
            case .connected(let socket):
                portsSeenUp.insert(port)
                adopt(socket, id)
            case .failed(let reason):
                deliveries[id] = nil
                feed(.deliveryFailed(id, reason))
            }
        }
        deliveries[id] = Delivery(
            connector: connector, link: opening.link, stream: opening.stream, permit: permit)
        connector.start()
    }

    private func routes(
        to port: ServicePort, from source: Endpoint, or localSource: Endpoint
    ) -> WorkloadRoutes {
        let isVeth = network?.datapath == .veth
        return WorkloadRoutes(
            to: port.port, own: node.ownAddress, from: source, or: localSource, isVeth: isVeth
        ) { [unowned self] in node.ipv6Twin(of: $0) }
    }

    /// The workload took the connection.
    private func adopt(_ socket: Int32, _ id: FlowHandle) {
        let flow = FlowChannel(handle: id, owner: self, isOutbound: false)
        adoption.adopt(socket, flow) { [unowned self] in
            guard deliveries.removeValue(forKey: id) != nil else { return }
            feed(.deliveryFailed(id, .workloadReset))
        }
    }

    private func delivered(_ flow: FlowChannel, _ delivery: Delivery) {
        guard let link = links[delivery.link] else { return flow.cut(.sessionLost) }
        flows[flow.handle] = flow
        feed(.delivered(flow.handle))
        // What the stream holds comes inside `attach`.
        flow.join(link, delivery.stream)
        link.attach(delivery.stream, permit: delivery.permit, end: flow)
    }

    func probe(_ port: ServicePort) {
        guard port.protocol == .tcp else { return feed(.probed(port, isUp: true)) }
        let source = Endpoint(IPAddress(v4: ReservedAddress.nameService), 0)
        let local = Endpoint(
            IPAddress(v4: VirtualAddresses.localHalf(of: ReservedAddress.nameService)), 0)
        let connector = WorkloadConnector(
            routes: routes(to: port, from: source, or: local), loop: loop, sockets: sockets
        ) { [unowned self] outcome in
            if case .connected(let socket) = outcome {
                RawSocket.abort(socket)
                feed(.probed(port, isUp: true))
            } else {
                feed(.probed(port, isUp: false))
            }
        }
        connector.start()
    }

    // MARK: The end

    func cut(_ id: FlowHandle, _ reason: CloseReason) {
        deliveries.removeValue(forKey: id)?.connector.cancel()
        flows.removeValue(forKey: id)?.cut(reason)
        forgetAssociation(id)
        trimLater()
    }

    func flowEnded(_ flow: any WorkloadFlow, _ reason: CloseReason) {
        guard flows.removeValue(forKey: flow.handle) != nil else { return }
        forgetAssociation(flow.handle)
        feed(.flowEnded(flow.handle, reason))
        trimLater()
    }

    /// A second after traffic stops its buffers go back to the kernel; not sooner, since traffic that
    /// goes on would want them again.
    private func trimLater() {
        guard !isTrimScheduled else { return }
        isTrimScheduled = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .seconds(1)) {
            bound.value.isTrimScheduled = false
            mesh_trim_allocator()
        }
    }
}
