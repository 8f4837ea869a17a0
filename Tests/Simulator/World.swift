// The simulator's kernel: sidecars' cores on virtual time over a seeded network.
//
// Theory of operation
//
//   The world is another shell over `MeshNode`. It holds one queue of events, ordered by time and then
//   by number, and hands each to the core that it is for; the effects become new events. Nothing else
//   moves time. Delays come from one seeded generator, so a seed determines the whole run, and the trace
//   of a run has one hash.
//
//   Sessions are simulated by their frames: ordered, delayed, and lost together when a link breaks. The
//   Noise session underneath has tests of its own. Workloads are models: each open flow's caller sends a
//   chunk every `chunkInterval`, through its permit, and the callee receives it through its own.
//
//   The checker runs at every byte: a byte that a permit admits must be allowed by the configurations of
//   that moment, as the world itself reads them. It shares no code with the `Authorizer`.

import SidecarProtocol

package final class World {
    package private(set) var now: Now
    package var random: SeededRandom
    package private(set) var sidecars: [SimulatedSidecar] = []
    package private(set) var trace = Trace()
    /// What the checker found wrong; empty in a correct run.
    package private(set) var violations: [String] = []
    package var domain: SimulatedDomain
    /// Pairs of sidecars whose frames don't arrive.
    package var partitioned: Set<Set<Int>> = []

    /// Callers whom a policy denies everything, by its epoch.
    package private(set) var denied: [UInt64: Set<WorkloadName>] = [:]

    /// Certificates that were given out.
    package private(set) var renewalCount = 0
    /// While nobody answers, certificates aren't renewed.
    package var isIssuerDown = false

    /// Delays, and routes in one direction that are blocked.
    package var network = SimulatedNetwork()

    private var queue = EventQueue<(World) -> Void>()
    private var announcements: [TopicID: [Int: [UInt8]]] = [:]
    private var subscribers: [TopicID: [Int]] = [:]
    private var certificates: [Int: [[UInt8]]] = [:]

    package static let chunkInterval = MonotonicTime.Span.milliseconds(7)
    package static let chunkBytes = 1_000

    package init(seed: UInt64) {
        now = Now(
            monotonic: MonotonicTime(nanoseconds: 1_000_000_000), wall: WallTime(seconds: 1_800_000_000))
        random = SeededRandom(seed: seed)
        domain = SimulatedDomain(name: "simulated", random: &random, at: now.wall)
    }

    // MARK: Building

    /// A sidecar with its certificate, connected to the node; returns its index.
    package func launch(
        _ configuration: WorkloadConfiguration, lifetime: MonotonicTime.Span = Limits.leafLifetime
    ) -> Int {
        let index = sidecars.count
        let instance = InstanceID(random.bytes(16))!
        sidecars.append(
            SimulatedSidecar(
                index: index,
                node: MeshNode(
                    configuration: configuration, instance: instance, incarnation: 1, addresses: nil,
                    now: now), instance: instance, lifetime: lifetime))
        renew(index)
        hand(.nodeConnected, to: index)
        hand(.listening([Endpoint(IPAddress(v4: 0x7F00_0001), UInt16(7000 + index))]), to: index)
        return index
    }

    package func renew(_ index: Int) {
        let sidecar = sidecars[index]
        let credential = domain.credential(
            for: sidecar.node.configuration.workload, instance: sidecar.instance,
            lifetime: sidecar.lifetime, replicates: sidecar.node.configuration.consistency != .none,
            random: &random, at: now.wall)
        if let old = sidecars[index].credential { sidecars[index].replaced.append(old) }
        sidecars[index].replaced.removeAll { $0.certificate.notAfter <= now.wall }
        sidecars[index].credential = credential
        renewalCount += 1
        hand(.credential(credential), to: index)
        for (link, end) in sidecars[index].links where end.isEstablished {
            after(delay()) { world in
                world.hand(.linkRenewed(end.link, world.peer(index, from: end, link)), to: end.sidecar)
            }
        }
    }

    // MARK: Running

    package func after(_ span: MonotonicTime.Span, _ action: @escaping (World) -> Void) {
        queue.add(action, at: now.monotonic + span)
    }

    package func run(for span: MonotonicTime.Span) {
        let end = now.monotonic + span
        while true {
            let event = queue.next
            let deadline = sidecars.indices.compactMap { index in
                sidecars[index].node.nextDeadline.map { ($0, index) }
            }.min { $0 < $1 }
            guard let next = [event, deadline?.0].compactMap({ $0 }).min(), next <= end else { break }
            advance(to: next)
            if let event, event <= next {
                queue.popFirst()?.event(self)
            } else if let deadline {
                hand(.deadline, to: deadline.1)
            }
        }
        advance(to: end)
    }

    private func advance(to time: MonotonicTime) {
        now.monotonic = max(time, now.monotonic)
        now.wall = WallTime(
            milliseconds: 1_799_999_999_000 + wallOffset + Int64(now.monotonic.nanoseconds / 1_000_000))
    }

    /// Milliseconds by which the wall clock was stepped.
    private var wallOffset: Int64 = 0

    package func stepWallClock(by milliseconds: Int64) {
        wallOffset += milliseconds
        advance(to: now.monotonic)
        for index in sidecars.indices { hand(.clockStepped, to: index) }
    }

    package func hand(_ input: MeshInput, to index: Int) {
        var effects: [MeshEffect] = []
        sidecars[index].node.handle(input, at: now, effects: &effects)
        for effect in effects { carryOut(effect, of: index) }
    }

    /// Signs a policy that denies these callers everything, and hands it to one sidecar.
    package func publish(epoch: UInt64, denying callers: Set<WorkloadName>, at index: Int) {
        denied[epoch] = callers
        var document = PolicyDocument(
            trustDomain: domain.bundle.id, epoch: epoch, issuedAt: now.wall, mode: .enforce,
            unmatched: .configs)
        let anyone = PolicyRule.Party.anyone
        document.rules = callers.sorted().map { caller in
            let pattern = IdentityPattern(
                namespace: .exactly(caller.namespace), name: .exactly(caller.name))
            return PolicyRule(.deny, name: caller.name, from: PolicyRule.Party([pattern]), to: anyone)
        }
        hand(.policy(domain.sign(document, at: now.wall).encoded), to: index)
    }

    func delay() -> MonotonicTime.Span { network.delay(&random) }

    func note(_ index: Int, _ text: String) {
        trace.add("\(now.monotonic.nanoseconds) \(sidecars[index].node.configuration.workload): \(text)")
    }
}

// MARK: - Effects

extension World {
    private func carryOut(_ effect: MeshEffect, of index: Int) {
        switch effect {
        case .register(let records, let chain, _): register(records, chain, of: index)
        case .withdraw: announcements = announcements.mapValues { $0.filter { $0.key != index } }
        case .subscribe(let topic): subscribe(index, to: topic)
        case .unsubscribe(let topic): subscribers[topic]?.removeAll { $0 == index }
        case .renewCredential:
            after(delay()) { world in
                guard world.isIssuerDown else { return world.renew(index) }
                world.hand(.renewalFailed("the issuer is down"), to: index)
            }
        case .answer(let query, let answer):
            note(index, "answer \(query.number) \(answer)")
            sidecars[index].answers[query] = answer
        case .listen(let address, let port):
            note(index, "listen \(address) \(port)")
            sidecars[index].listeners.insert(Endpoint(address, port.port))
        case .unlisten(let address, let port):
            note(index, "unlisten \(address) \(port)")
            sidecars[index].listeners.remove(Endpoint(address, port.port))
        case .dial(let link, let target): dial(link, target, from: index)
        case .closeLink(let link, let reason): closeLink(link, reason, of: index)
        case .send(let link, let frame): send(frame, on: link, from: index)
        case .openStream(let flow, let link, let open, let permit):
            openStream(flow, link, open, permit, from: index)
        case .deliver(let flow, _, _, let port, let permit): deliver(flow, port, permit, at: index)
        case .cut(let flow, let reason):
            note(index, "cut \(flow.number) \(reason.name)")
            sidecars[index].flows[flow] = nil
        case .probe(let port):
            after(delay()) { $0.hand(.probed(port, isUp: $0.sidecars[index].isUp(port)), to: index) }
        case .record(let record):
            note(
                index,
                "record \(record.event) \(record.flow?.description ?? "-") \(record.reason?.name ?? "-")")
            sidecars[index].records.append(record)
        case .replicaUp(let replica):
            note(index, "replica up \(replica)")
            sidecars[index].replicas.insert(replica)
        case .replicaDown(let replica):
            note(index, "replica down \(replica)")
            sidecars[index].replicas.remove(replica)
        case .replicated(let message, let replica):
            sidecars[index].stateMessages.append((replica, message))
        case .log(let level, let text):
            if level == .warning || level == .error { sidecars[index].warnings.append(text) }
        case .readPolicy(let bytes, let head):
            let result = Result { () throws(PolicyError) in try ReadPolicy(canonical: bytes) }
            after(delay()) { $0.hand(.policyRead(result, as: head), to: index) }
        case .persistPolicy, .tellNode, .persistAddresses, .stopped, .allowEgress, .revokeEgress: break
        }
    }

    private func register(_ records: [[UInt8]], _ chain: [[UInt8]], of index: Int) {
        certificates[index] = chain
        for bytes in records {
            guard let topic = try? Announcement(canonical: bytes).topic else { continue }
            announcements[topic, default: [:]][index] = bytes
            for subscriber in subscribers[topic] ?? [] { tell(subscriber, bytes, chain) }
        }
    }

    private func subscribe(_ index: Int, to topic: TopicID) {
        guard subscribers[topic]?.contains(index) != true else { return }
        subscribers[topic, default: []].append(index)
        for (provider, bytes) in (announcements[topic] ?? [:]).sorted(by: { $0.key < $1.key }) {
            tell(index, bytes, certificates[provider] ?? [])
        }
    }

    private func tell(_ index: Int, _ bytes: [UInt8], _ chain: [[UInt8]]) {
        after(delay()) { $0.hand(.announcement(bytes, certificates: chain), to: index) }
    }

    // MARK: Links

    private func dial(_ link: LinkID, _ target: DialTarget, from index: Int) {
        let callee = sidecars.firstIndex {
            !$0.isDead && $0.answers(to: target.staticKey, at: now.wall)
        }
        guard let callee, !partitioned.contains([index, callee]) else {
            return after(delay()) {
                $0.hand(.linkClosed(link, .unreachable, detail: "no answer"), to: index)
            }
        }
        let accepted = LinkID(number: LinkID.firstAccepted.number + random.next() % 1_000_000_000)
        let hash = random.bytes(32)
        sidecars[index].links[link] = LinkEnd(sidecar: callee, link: accepted, hash: hash, isInitiator: true)
        sidecars[callee].links[accepted] = LinkEnd(sidecar: index, link: link, hash: hash, isInitiator: false)
        for (from, id) in [(index, link), (callee, accepted)] {
            after(delay()) { world in
                guard let end = world.sidecars[from].links[id] else { return }
                world.sidecars[from].links[id]?.isEstablished = true
                world.hand(
                    .linkEstablished(
                        id, world.peer(end.sidecar, from: end, id, isInitiator: end.isInitiator)),
                    to: from)
                world.flushEarly(id, of: from)
            }
        }
    }

    /// `index` as its peer sees it.
    func peer(_ index: Int, from end: LinkEnd, _ link: LinkID, isInitiator: Bool? = nil) -> SessionPeer {
        let credential = sidecars[index].credential!
        // Of no bundle that the other end knows, so that it verifies the chain itself.
        return SessionPeer(
            CertificateChain(leaf: credential.certificate, issuer: credential.chain[0]),
            validUntil: credential.validUntil, bundle: 0, handshakeHash: end.hash,
            isInitiator: isInitiator ?? !end.isInitiator)
    }

    private func closeLink(_ link: LinkID, _ reason: CloseReason, of index: Int) {
        guard let end = sidecars[index].links.removeValue(forKey: link) else { return }
        note(index, "close link \(reason.name)")
        let other = end.link
        after(arrival(of: link, from: index, end)) { world in
            guard world.sidecars[end.sidecar].links.removeValue(forKey: other) != nil else { return }
            world.hand(.linkClosed(other, .sessionLost, detail: "closed by peer"), to: end.sidecar)
        }
    }

    /// Breaks every session between two sidecars, as a lost connection does.
    package func breakLinks(between first: Int, and second: Int) {
        for (link, end) in sidecars[first].links where end.sidecar == second {
            sidecars[first].links[link] = nil
            sidecars[second].links[end.link] = nil
            hand(.linkClosed(link, .sessionLost, detail: "broken"), to: first)
            hand(.linkClosed(end.link, .sessionLost, detail: "broken"), to: second)
        }
    }

    package func close(port: ServicePort, of index: Int) { sidecars[index].closedPorts.insert(port) }
    package func open(port: ServicePort, of index: Int) { sidecars[index].closedPorts.remove(port) }

    /// The process is gone: nobody hears from it again, and its links break.
    package func kill(_ index: Int) {
        sidecars[index].isDead = true
        announcements = announcements.mapValues { $0.filter { $0.key != index } }
        for (_, end) in sidecars[index].links {
            sidecars[end.sidecar].links[end.link] = nil
            hand(.linkClosed(end.link, .sessionLost, detail: "reset"), to: end.sidecar)
        }
        sidecars[index].links = [:]
    }

    /// Frames of one direction of a link keep their order.
    private func arrival(of link: LinkID, from index: Int, _ end: LinkEnd) -> MonotonicTime.Span {
        let earliest = sidecars[index].lastArrival[link] ?? now.monotonic
        let time = max(now.monotonic + delay(), earliest + MonotonicTime.Span(nanoseconds: 1))
        sidecars[index].lastArrival[link] = time
        return time - now.monotonic
    }

    private func send(_ frame: ControlFrame, on link: LinkID, from index: Int) {
        transmit(on: link, from: index) { world, end in world.receive(frame, on: end.link, at: end.sidecar) }
    }

    private func transmit(
        on link: LinkID, from index: Int, _ action: @escaping (World, LinkEnd) -> Void
    ) {
        guard let end = sidecars[index].links[link] else { return }
        after(arrival(of: link, from: index, end)) { world in
            guard !world.partitioned.contains([index, end.sidecar]),
                world.network.isOpen(SimulatedNetwork.Route(from: index, to: end.sidecar)),
                let there = world.sidecars[end.sidecar].links[end.link]
            else { return }
            if there.isEstablished {
                action(world, end)
            } else {
                world.sidecars[end.sidecar].early[end.link, default: []].append { action($0, end) }
            }
        }
    }

    private func flushEarly(_ link: LinkID, of index: Int) {
        for action in sidecars[index].early.removeValue(forKey: link) ?? [] { action(self) }
    }

    private func receive(_ frame: ControlFrame, on link: LinkID, at index: Int) {
        if case .reset(let stream, let reason) = frame,
            let flow = sidecars[index].flows.first(where: {
                $0.value.link == link && $0.value.stream == stream
            })
        {
            sidecars[index].flows[flow.key] = nil
            return hand(.flowEnded(flow.key, reason), to: index)
        }
        hand(.frame(link, frame), to: index)
    }
}

// MARK: - Flows

extension World {
    /// The workload of `index` connects to the address that a name was answered with.
    package func connect(_ index: Int, to destination: Endpoint) -> FlowHandle? {
        guard sidecars[index].listeners.contains(destination) else { return nil }
        let flow = newFlow(index)
        let own = Endpoint(sidecars[index].node.ownAddress!, UInt16(40_000 + flow.number % 20_000))
        hand(.workloadDialled(flow, source: own, destination: destination, .tcp), to: index)
        return flow
    }

    package func ask(_ index: Int, _ name: String) -> QueryID {
        sidecars[index].lastQuery += 1
        let query = QueryID(number: sidecars[index].lastQuery)
        hand(.nameQuery(query, NameQuestion(kind: .a, name: name)), to: index)
        return query
    }

    private func newFlow(_ index: Int) -> FlowHandle {
        sidecars[index].lastFlow += 1
        return FlowHandle(number: sidecars[index].lastFlow)
    }

    private func openStream(
        _ flow: FlowHandle, _ link: LinkID, _ open: FlowOpen, _ permit: FlowPermit, from index: Int
    ) {
        sidecars[index].lastStream += 2
        let stream = StreamID(number: sidecars[index].lastStream)
        sidecars[index].flows[flow] = SimulatedFlow(
            link: link, stream: stream, permit: permit, port: open.port, isCaller: true)
        hand(.streamOpened(flow, stream), to: index)
        transmit(on: link, from: index) { world, end in
            let inbound = world.newFlow(end.sidecar)
            world.sidecars[end.sidecar].flows[inbound] = SimulatedFlow(
                link: end.link, stream: stream, permit: nil, port: open.port, isCaller: false)
            world.hand(.inboundOpen(inbound, end.link, stream, open), to: end.sidecar)
        }
        sendChunk(flow, of: index)
    }

    private func deliver(_ flow: FlowHandle, _ port: ServicePort, _ permit: FlowPermit, at index: Int) {
        after(delay()) { world in
            guard world.sidecars[index].flows[flow] != nil else { return }
            guard world.sidecars[index].isUp(port) else {
                world.sidecars[index].flows[flow] = nil
                return world.hand(.deliveryFailed(flow, .workloadRefused), to: index)
            }
            world.sidecars[index].flows[flow]?.permit = permit
            world.hand(.delivered(flow), to: index)
        }
    }

    private func sendChunk(_ flow: FlowHandle, of index: Int) {
        guard let sent = sidecars[index].flows[flow], !sidecars[index].isDead else { return }
        if sent.permit?.admitSent(World.chunkBytes) == true {
            check(index, sent, isSending: true)
            transmit(on: sent.link, from: index) { world, end in
                world.receiveChunk(on: end.link, sent.stream, at: end.sidecar)
            }
        }
        after(World.chunkInterval) { $0.sendChunk(flow, of: index) }
    }

    private func receiveChunk(on link: LinkID, _ stream: StreamID, at index: Int) {
        guard
            let (flow, state) = sidecars[index].flows.first(where: {
                $0.value.link == link && $0.value.stream == stream
            }), let permit = state.permit, permit.admitReceived(World.chunkBytes)
        else { return }
        sidecars[index].flows[flow]?.bytesReceived += World.chunkBytes
        sidecars[index].bytesReceived += World.chunkBytes
        check(index, state, isSending: false)
    }

    /// A byte has moved at `index`: the configuration of this moment must allow it, and both
    /// certificates must stand.
    private func check(_ index: Int, _ flow: SimulatedFlow, isSending: Bool) {
        guard let end = sidecars[index].links[flow.link] else {
            return violations.append("a byte moved at \(index) without a session")
        }
        let own = sidecars[index].node.configuration
        let other = sidecars[end.sidecar].node.configuration.workload
        let isAllowed =
            flow.isCaller
            ? own.calls.contains { $0.target == other && ($0.port ?? flow.port.port) == flow.port.port }
            : own.serves.contains(flow.port)
                && own.accepts.contains {
                    $0.from.matches(other) && ($0.ports.isEmpty || $0.ports.contains(flow.port.port))
                }
        if !isAllowed { violations.append("a byte moved at \(own.workload) that its configuration denies") }
        let caller = flow.isCaller ? own.workload : other
        let epoch = sidecars[index].node.policyEpoch
        if denied[epoch]?.contains(caller) == true {
            violations.append("a byte moved at \(own.workload) that policy \(epoch) denies")
        }
        if let end = sidecars[index].credential?.certificate.notAfter, now.wall >= end {
            violations.append("a byte moved at \(own.workload) after its certificate's end")
        }
    }
}
