// From the launcher's first message to the end of the process.

import CLinuxShims
import Glibc
import Logging
import NIOCore
import SidecarProtocol
import Transport

extension Driver {
    /// Starts everything that doesn't need the namespaces, which the launcher builds meanwhile.
    func begin() {
        recordsOwner.value = self
        exportSpans()
        do {
            try takeStateSlot()
            // First, since the issuer then works beside this process.
            requestCredential()
            try sockets.start()
            Confinement.stayOnHost()
            peerListener = try PeerListener(node.configuration, on: loop) { [unowned self] in
                try accept($0)
            }
        } catch {
            return fail("\(error)")
        }
        readPolicy()
        feed(.listening(peerListener?.endpoints ?? []))
        topics.start()
    }

    func handle(_ event: NodeClient.Event) {
        switch event {
        case .connected:
            isNodeConnected = true
            feed(.nodeConnected)
        case .announcement(let bytes, let certificates):
            feed(.announcement(bytes, certificates: certificates))
        case .tombstone(let bytes): feed(.tombstone(bytes))
        case .policy(let message): feed(.nodePolicy(message))
        case .refused(let why): logger.warning("mesh-node: \(why)")
        case .disconnected(let why):
            isNodeConnected = false
            logger.info("no mesh-node, trying again: \(why)")
        }
    }

    func handle(_ event: NamespaceEvent) {
        switch event {
        case .message(.start, _): logger.warning("a second start message from mesh-launch, ignored")
        case .message(.network(let network), let tap): open(network, tap: tap)
        case .message(.workload(let process), _):
            workloadProcess = process
            startPatience = .now() + .nanoseconds(Int64(Limits.startPatience.nanoseconds))
        case .message(.finish, _): finish()
        case .launcherEnded:
            isOrphan = stage != .stopping
            finish()
        case .clockStepped: feed(.clockStepped)
        case .failed(let why): fail(why)
        }
    }

    private func open(_ network: SidecarNetwork, tap: Int32?) {
        self.network = network
        self.tap = tap
        do {
            if network.datapath == .veth { try names.open(sockets: sockets) }
        } catch {
            return fail("the name service can't be opened: \(error)")
        }
        openEarlyListeners()
        if network.hasIPv6 { feed(.hasIPv6) }
        becomeReady()
    }

    /// The workload may run once names resolve, its configured listeners are there, peers can be reached and
    /// reach us, and its state, where it has one, can be opened.
    func becomeReady() {
        guard stage == .starting, network != nil, credentials != nil, !isStateAwaited else { return }
        stage = .ready
        startStack()
        tellLauncher(.ready)
        openAdmin()
        logger.info("\(workload) ready on \(network?.datapath.rawValue ?? "")")
        if SecretMemory.pages.unlocked > 0 {
            logger.warning("keys may be swapped out: raise the limit of locked memory (ulimit -l) to 64 KiB")
        }
    }

    private func openAdmin() {
        let path = instanceFolder + "/" + MeshPaths.adminSocketName
        do {
            try AdminSocket.open(path: path, on: loop, answer: { [unowned self] in respond(to: $0, $1) })
                .assumeIsolated().whenSuccess { self.admin = $0 }
        } catch {
            logger.error("\(error)")
        }
    }

    // MARK: The end

    /// The sidecar can't serve its workload.
    func fail(_ why: String) {
        logger.error("\(why)")
        guard stage == .starting else { return }
        tellLauncher(.failed(why))
        exit(1)
    }

    /// Closes flows, sessions and records in order, in less than three seconds.
    func finish() {
        guard stage != .stopping else { return }
        let wasStarting = stage == .starting
        stage = .stopping
        if wasStarting { return stopped() }
        peerListener?.close()
        drain(until: .now() + .seconds(1))
    }

    /// The workload's last bytes may still be on their way: a program may write and exit at once. Its
    /// sockets are closed by the kernel, so that its flows end by themselves, unless a peer holds one open.
    private func drain(until deadline: NIODeadline) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        guard flows.isEmpty || .now() >= deadline else {
            loop.scheduleTask(in: .milliseconds(5)) { bound.value.drain(until: deadline) }
            return
        }
        loop.scheduleTask(in: .milliseconds(1500)) { bound.value.end() }
        feed(.stop)
    }

    /// Everything is said; what was written this turn leaves in the tasks that are queued already, and the
    /// last spans in a moment.
    func stopped() {
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute {
            bound.value.loop.execute {
                guard let spans = bound.value.spans else { return bound.value.endAfterSpans() }
                spans.drain(atMost: .milliseconds(500)) { bound.value.endAfterSpans() }
            }
        }
    }

    private func endAfterSpans() { end() }

    private func end() -> Never {
        if let state, !state.close(atMost: .seconds(1)) {
            logger.error("the disk is too slow, the next start takes the state's end from its log")
        }
        if !records.close(atMost: .milliseconds(500)) {
            logger.error("the disk is too slow, records are lost")
        }
        admin?.close()
        stack?.stop()
        if isOrphan { SmallFile.removeFolder(instanceFolder) }
        exit(0)
    }

    func tellLauncher(_ message: SidecarMessage) {
        let bytes = message.encoded()
        if mesh_send(Sidecar.launcherSocket, bytes, bytes.count, nil, 0) < 0 {
            logger.error("\(SystemError("message to mesh-launch"))")
        }
    }
}
