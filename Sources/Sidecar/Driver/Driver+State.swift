// The workload's state at `state.mesh`: its folder, its service, and its way to the other replicas.

import CLinuxShims
import Glibc
import Logging
import NIOCore
import SidecarProtocol
import Transport

extension Driver {
    /// Takes a folder for this replica, before the certificate is asked for, which names its slot.
    func takeStateSlot() throws(SystemError) {
        guard node.configuration.consistency == .eventual else { return }
        stateSlot = try StateSlot.take(in: paths.stateDataFolder(workload))
    }

    /// Once the listener for `state.mesh` is wanted.
    func startState() {
        guard state == nil, let stateSlot, let domain = credentials?.current.bundle.id,
            let group = StateGroup(ReplicaGroup.eventual(of: workload, in: domain))
        else { return }
        let settings = StateService.Settings(
            slot: stateSlot, group: group, configuration: node.configuration.state)
        do {
            state = try StateService(
                settings, logger: logger, eventLoop: loop
            ) { [unowned self] in handle($0) }
            isStateAwaited = true
            // A long log is read while the workload begins, whose first command waits.
            loop.assumeIsolated().scheduleTask(in: .nanoseconds(Int64(Limits.stateStartPatience.nanoseconds)))
            {
                [unowned self] in stateCame()
            }
        } catch {
            logger.error("no state: \(error)")
        }
    }

    private func handle(_ event: StateService.Event) {
        switch event {
        case .send(let message, let replica): feed(.replicate(message, to: replica))
        case .opened: stateCame()
        case .failed(let why):
            // Better no sidecar than one that forgets what it has said.
            fail("the state can't be kept: \(why)")
            exit(1)
        }
    }

    private func stateCame() {
        guard isStateAwaited else { return }
        isStateAwaited = false
        becomeReady()
    }

    func listenForState() {
        startState()
        guard let network, let state else { return }
        if network.datapath == .slirp {
            return listenInStack(MeshNode.stateEndpoint.address, MeshNode.statePort)
        }
        do {
            let socket = try sockets.take(.meshTCP)
            guard RawSocket.bind(socket, to: MeshNode.stateEndpoint) == 0, listen(socket, 1024) == 0 else {
                let failure = SystemError("listen(\(MeshNode.stateEndpoint))")
                close(socket)
                throw failure
            }
            state.listen(socket)
        } catch {
            logger.error("no listener for the state: \(error)")
        }
    }
}
