// UDP associations, in both directions.

import CLinuxShims
import Glibc
import Logging
import NIOCore
import SidecarProtocol
import Transport

extension Driver: DatagramOwner {
    // MARK: Outbound

    func listenForDatagrams(_ endpoint: Endpoint) throws(SystemError) {
        guard datagramListeners[endpoint] == nil else { return }
        let listener = DatagramListener(endpoint, owner: self)
        try listener.open(sockets, on: loop)
        datagramListeners[endpoint] = listener
    }

    func newAssociation<Made: WorkloadFlow>(_ make: (FlowHandle) -> Made) -> Made? {
        guard stage != .stopping, flows.count < flowsMaximum,
            associations.count < Limits.associationsMaximum
        else {
            counters.refusedConnections += 1
            return nil
        }
        let made = make(nextFlow())
        flows[made.handle] = made
        associations.insert(made.handle)
        sweepLater()
        return made
    }

    func associationBegan(_ association: OutboundAssociation, source: Endpoint, destination: Endpoint) {
        feed(.workloadDialled(association.handle, source: source, destination: destination, .udp))
    }

    func sendPortUnreachable(source: Endpoint, destination: Endpoint) {
        // There the workload's datagrams come through its TAP, and not through M.
        if network?.datapath == .slirp {
            stack?.refuse(datagramFrom: source, to: destination)
            return
        }
        guard let message = PortUnreachable(source: source, destination: destination) else { return }
        do {
            message.send(on: try errorSocket(isIPv6: source.address.isV6))
        } catch {
            logger.warning("port unreachable can't be sent: \(error)")
        }
    }

    private func errorSocket(isIPv6: Bool) throws(SystemError) -> Int32 {
        let kind = SocketKind(place: .mesh, use: .errors, isIPv6: isIPv6)
        if let socket = errorSockets[kind] { return socket }
        let socket = try sockets.take(kind)
        errorSockets[kind] = socket
        return socket
    }

    // MARK: Inbound

    func deliverDatagrams(
        _ id: FlowHandle, _ linkID: LinkID, _ stream: StreamID, _ routes: WorkloadRoutes,
        _ permit: FlowPermit
    ) {
        guard let link = links[linkID], associations.count < Limits.associationsMaximum else {
            return feed(.deliveryFailed(id, .limit))
        }
        let association = InboundAssociation(
            id, routes: routes, loop: loop, sockets: sockets, owner: self)
        do {
            guard try association.open() else { return feed(.deliveryFailed(id, .unreachable)) }
        } catch {
            logger.warning("\(error)")
            return feed(.deliveryFailed(id, .unreachable))
        }
        flows[id] = association
        associations.insert(id)
        sweepLater()
        feed(.delivered(id))
        association.join(link, stream)
        link.attach(stream, permit: permit, end: association)
    }

    // MARK: The end

    func forgetAssociation(_ id: FlowHandle) { associations.remove(id) }

    /// One look at all of them every few seconds, in place of a timer each.
    private func sweepLater() {
        guard !isSweepScheduled else { return }
        isSweepScheduled = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .seconds(5)) { bound.value.sweep() }
    }

    private func sweep() {
        isSweepScheduled = false
        let now = Now.current().monotonic
        for listener in datagramListeners.values { listener.sweep(at: now) }
        for id in associations {
            guard let association = flows[id] as? any Association, association.isIdle(at: now) else {
                continue
            }
            association.expire()
        }
        if !associations.isEmpty { sweepLater() }
    }
}
