// Two real cores and everything that can come between them, as one value that an exploration can fork.
//
// Theory of operation
//
//   A state holds the caller's `MeshNode`, the callee's, the frames on their way in each direction, and
//   what an oracle has to know to say for itself whether a byte may move at an end: which policies that end
//   has been given, what its clock shows, when certificates end, what its peer stated and when. The oracle
//   shares no code with the `Authorizer`: it keeps its own books from what is handed to a core.
//
//   After every input, and at every deadline on the way to a later time, each permit that a core has ever
//   issued is asked whether it would admit a byte. Where one would and the oracle says no, the schedule
//   that led there is a violation. So a flow needn't move bytes to be checked: idle ones and those being
//   set up are, too. The opposite, a core that is stricter than the oracle, isn't an error.
//
//   `MeshNode` is a value but for its permits and their gate; `fork` gives the copy its own.

@testable import SidecarProtocol

/// What an exploration may do next.
enum PermitAction: Hashable, CaseIterable {
    /// A session comes up, if there is none.
    case connect
    /// The connection is lost, at both ends.
    case lose
    /// The caller's workload dials, if it has no flow.
    case dial
    /// The callee's workload accepts the connection that waits.
    case accept
    /// The next frame arrives.
    case toCallee, toCaller
    /// The script's next policy is published at one end, or its rival there.
    case publishAtCaller, publishAtCallee, publishRivalAtCaller
    case beaconAtCallee
    /// Time passes, and no frame arrives.
    case wait10, wait30
    case callerClockBack, callerClockForward, calleeClockBack
    case renewCaller
}

/// One of a script's policies, and what the oracle thinks of it.
struct ScriptedPolicy {
    enum Rule {
        case allowsAll, deniesAll
        case locksUntil(WallTime)
        case revokesCaller, asksForBeacons
    }
    var signed: SignedPolicy
    var rule: Rule
}

/// A core, what its shell would hold, and the oracle's books on it.
struct PermitEnd {
    var node: MeshNode
    var link: LinkID?
    /// Every permit that was issued, until the flow is forgotten and the permit dead.
    var permits: [FlowHandle: FlowPermit] = [:]
    var waitsForAccept: FlowHandle?
    var wallOffset: Int64 = 0

    // The oracle's.
    var ownEnd: WallTime
    var peerEnd = WallTime(milliseconds: 0)
    /// Numbers of the policies in force, and when the first of them was adopted.
    var held: [Int] = []
    var adoptedAt = Now(monotonic: MonotonicTime(nanoseconds: 0), wall: WallTime(milliseconds: 0))
    var stated: PolicyHead?
    var statedAt = MonotonicTime(nanoseconds: 0)
    var leaseEnd: MonotonicTime?
    var freshEnd: MonotonicTime?
}

struct PermitState {
    enum Item: Hashable {
        case frame(ControlFrame)
        case open(StreamID, FlowOpen)
        case closed
    }

    let script: PermitScript
    var ends: [PermitEnd]
    /// On their way to the end of this index.
    var queues: [[Item]] = [[], []]
    var monotonic: MonotonicTime
    var published = 0
    var links: UInt64 = 0
    var flows: UInt64 = 0
    var renewals: UInt8 = 0
    var steps = 0
    var violation: String?

    static let caller = 0
    static let callee = 1

    func now(_ end: Int) -> Now {
        let passed = Int64(monotonic.nanoseconds / 1_000_000)
        return Now(
            monotonic: monotonic,
            wall: WallTime(milliseconds: script.start.milliseconds + passed + ends[end].wallOffset))
    }

    // MARK: Handing inputs in

    mutating func hand(_ input: MeshInput, to end: Int) {
        if script.mutant == .forgetsClockSteps, case .clockStepped = input { return }
        let before = ends[end].permits.filter(\.value.isValid).keys
        var effects: [MeshEffect] = []
        ends[end].node.handle(input, at: now(end), effects: &effects)
        for effect in effects { carryOut(effect, of: end) }
        tamper(end, validBefore: Set(before))
        // The other end may have a timer that is due at this very moment, and is fired next.
        check(end)
    }

    /// The faults that a correct core doesn't have, and that the oracle must notice.
    private mutating func tamper(_ end: Int, validBefore: Set<FlowHandle>) {
        switch script.mutant {
        case .keepsPermits:
            for id in validBefore { ends[end].permits[id]?.confirm() }
        case .longLease:
            for id in ends[end].node.links.keys {
                ends[end].node.links[id]?.peer?.leaseEnd = monotonic + .seconds(90)
                ends[end].node.timers.remove(.lease(id))
            }
        case .none, .forgetsPolicies, .forgetsDeadlines, .forgetsClockSteps: break
        }
    }

    private mutating func carryOut(_ effect: MeshEffect, of end: Int) {
        let other = 1 - end
        switch effect {
        // Which bundle the other end has is told to rehearsals, and no permit rests on it: left out, so that
        // the depth of the exploration goes into what matters.
        case .send(_, .bundle): break
        case .send(_, let frame): if ends[end].link != nil { queues[other].append(.frame(frame)) }
        case .openStream(let flow, let link, let open, let permit):
            ends[end].permits[flow] = permit
            let stream = StreamID(number: UInt32(flow.number * 2 + 1))
            guard ends[end].link == link else { return }
            ends[end].node.streamOpened(flow, stream)
            queues[other].append(.open(stream, open))
        case .deliver(let flow, _, _, _, let permit):
            ends[end].permits[flow] = permit
            ends[end].waitsForAccept = flow
        case .cut(let flow, _): if ends[end].waitsForAccept == flow { ends[end].waitsForAccept = nil }
        case .closeLink(let link, _):
            guard ends[end].link == link else { return }
            ends[end].link = nil
            ends[end].leaseEnd = nil
            queues[other].append(.closed)
            queues[end] = []
        default: break
        }
    }

    // MARK: The oracle

    private mutating func check(_ end: Int) {
        for (id, permit) in ends[end].permits {
            guard permit.isValid else {
                if ends[end].node.flows[id] == nil { ends[end].permits[id] = nil }
                continue
            }
            guard violation == nil else { continue }
            if let wrong = objection(at: end) {
                violation = "a byte moves at the \(end == 0 ? "caller" : "callee"): \(wrong)"
            } else if ends[end].node.flows[id] == nil {
                violation = "a byte moves on a flow that is over"
            }
        }
        let isRevoked = ends[end].held.contains { number in
            if case .revokesCaller = script.policies[number].rule { true } else { false }
        }
        if isRevoked, !ends[end].node.links.isEmpty {
            violation = violation ?? "a session outlives its revocation"
        }
    }

    /// Whether any end would let a byte through now.
    var isMoving: Bool { ends.contains { $0.permits.values.contains(where: \.isValid) } }

    /// Why no byte may move at an end; nil where one may.
    private func objection(at index: Int) -> String? {
        let end = ends[index]
        let now = now(index)
        guard end.link != nil else { return "no session" }
        // The wall clock is read in whole milliseconds, so that an end is known to within one.
        let wall = now.wall - .milliseconds(1)
        if wall >= end.ownEnd { return "the own certificate has ended" }
        if wall >= end.peerEnd + .seconds(30) { return "the peer's certificate has ended" }
        guard let lease = end.leaseEnd else { return "the heads have never been equal" }
        if now.monotonic >= lease { return "the lease has ended" }
        let steady = end.adoptedAt.wall + (now.monotonic - end.adoptedAt.monotonic)
        for number in end.held {
            switch script.policies[number].rule {
            case .allowsAll: break
            case .deniesAll: return "policy \(number) denies"
            case .revokesCaller: return "policy \(number) revokes"
            case .locksUntil(let until):
                if now.wall < until || steady < until { return "policy \(number) locks" }
            case .asksForBeacons:
                guard let fresh = end.freshEnd, now.monotonic < fresh else { return "no fresh beacon" }
            }
        }
        return nil
    }

    /// Of what an end holds, in the oracle's books.
    private func heads(of end: Int) -> [PolicyHead] {
        ends[end].held.isEmpty ? [script.initialHead] : ends[end].held.map { script.policies[$0].signed.head }
    }

    private mutating func noteStatement(_ head: PolicyHead, at end: Int) {
        ends[end].stated = head
        ends[end].statedAt = monotonic
        if heads(of: end).contains(head) { ends[end].leaseEnd = monotonic + .seconds(30) }
    }

    private mutating func notePolicy(_ signed: SignedPolicy, at end: Int) {
        guard let number = script.policies.firstIndex(where: { $0.signed == signed }),
            !ends[end].held.contains(number)
        else { return }
        let epoch = ends[end].held.first.map { script.policies[$0].signed.head.epoch } ?? 0
        guard signed.head.epoch >= epoch, ends[end].held.count < 2 || signed.head.epoch > epoch else {
            return
        }
        if signed.head.epoch == epoch {
            ends[end].held.append(number)
        } else {
            ends[end].held = [number]
            ends[end].adoptedAt = now(end)
            if case .asksForBeacons = script.policies[number].rule {
                ends[end].freshEnd = monotonic + .seconds(30)
            }
        }
        if let stated = ends[end].stated, heads(of: end).contains(stated), ends[end].link != nil {
            ends[end].leaseEnd = max(
                ends[end].leaseEnd ?? ends[end].statedAt, ends[end].statedAt + .seconds(30))
        }
    }

    private mutating func noteBeacon(_ bytes: [UInt8], at end: Int) {
        guard let beacon = try? FreshnessBeacon(canonical: bytes), let fresh = ends[end].freshEnd else {
            return
        }
        let age = max(0, now(end).wall.milliseconds - beacon.issuedAt.milliseconds)
        guard age < 30_000 else { return }
        ends[end].freshEnd = max(fresh, monotonic + .milliseconds(UInt64(30_000 - age)))
    }
}

// MARK: - Actions

extension PermitState {
    /// What follows, or nil where the action has no meaning now.
    func after(_ action: PermitAction) -> PermitState? {
        guard isPossible(action) else { return nil }
        var state = fork()
        state.steps += 1
        state.perform(action)
        for end in ends.indices { state.check(end) }
        return state
    }

    private func isPossible(_ action: PermitAction) -> Bool {
        switch action {
        case .connect: ends.allSatisfy { $0.link == nil } && queues.allSatisfy(\.isEmpty) && links < 2
        case .lose: ends.contains { $0.link != nil }
        case .dial: ends[0].node.flows.isEmpty && flows < 2 && ends[0].node.ownAddress != nil
        case .accept: ends[1].waitsForAccept != nil
        case .toCallee: !queues[1].isEmpty
        case .toCaller: !queues[0].isEmpty
        case .publishAtCaller, .publishAtCallee: published < script.sequence.count
        case .publishRivalAtCaller: script.rival != nil && published > 0
        case .beaconAtCallee: script.beaconKey != nil
        case .wait10, .wait30: true
        case .callerClockBack, .callerClockForward: ends[0].wallOffset == 0
        case .calleeClockBack: ends[1].wallOffset == 0
        case .renewCaller: renewals < 1
        }
    }

    private mutating func perform(_ action: PermitAction) {
        switch action {
        case .connect: connect()
        case .lose: lose()
        case .dial: dial()
        case .accept:
            guard let flow = ends[1].waitsForAccept else { return }
            ends[1].waitsForAccept = nil
            hand(.delivered(flow), to: 1)
        case .toCallee: receive(at: 1)
        case .toCaller: receive(at: 0)
        case .publishAtCaller, .publishAtCallee:
            published += 1
            publish(script.sequence[published - 1], at: action == .publishAtCaller ? 0 : 1)
        case .publishRivalAtCaller: if let rival = script.rival { publish(rival, at: 0) }
        case .beaconAtCallee:
            guard let key = script.beaconKey else { return }
            let bytes = FreshnessBeacon.signed(
                of: script.policies[0].signed.document.trustDomain, at: now(1).wall, by: key)
            noteBeacon(bytes, at: 1)
            hand(.beacon(bytes), to: 1)
        case .wait10: wait(.seconds(10))
        case .wait30: wait(.seconds(30))
        case .callerClockBack: step(0, by: -86_400_000)
        case .callerClockForward: step(0, by: 86_400_000)
        case .calleeClockBack: step(1, by: -86_400_000)
        case .renewCaller: renew()
        }
    }

    private mutating func connect() {
        links += 1
        let id = LinkID(number: LinkID.firstAccepted.number + links)
        for end in ends.indices {
            ends[end].link = id
            ends[end].peerEnd = ends[1 - end].ownEnd
            (ends[end].stated, ends[end].leaseEnd) = (nil, nil)
        }
        for end in ends.indices where ends[end].link == id {
            hand(.linkEstablished(id, script.peer(of: 1 - end, renewals, isInitiator: end == 0)), to: end)
        }
    }

    private mutating func lose() {
        queues = [[], []]
        for end in ends.indices {
            guard let link = ends[end].link else { continue }
            (ends[end].link, ends[end].leaseEnd) = (nil, nil)
            hand(.linkClosed(link, .sessionLost, detail: ""), to: end)
        }
        queues = [[], []]
    }

    private mutating func dial() {
        flows += 1
        guard let own = ends[0].node.ownAddress, let call = ends[0].node.status.calls.first else { return }
        hand(
            .workloadDialled(
                FlowHandle(number: flows), source: Endpoint(own, 40_000),
                destination: Endpoint(call.address, PermitScript.port.port), .tcp), to: 0)
    }

    private mutating func receive(at end: Int) {
        let item = queues[end].removeFirst()
        guard let link = ends[end].link else { return }
        switch item {
        case .closed:
            (ends[end].link, ends[end].leaseEnd) = (nil, nil)
            queues[1 - end] = []
            hand(.linkClosed(link, .sessionLost, detail: ""), to: end)
        case .open(let stream, let open):
            hand(.inboundOpen(FlowHandle(number: 100 + flows), link, stream, open), to: end)
        case .frame(let frame):
            if case .head(let head) = frame { noteStatement(head, at: end) }
            if case .policy(.part(let part)) = frame, let signed = try? SignedPolicy(canonical: part.bytes) {
                notePolicy(signed, at: end)
            }
            if case .policy(.beacon(let bytes)) = frame { noteBeacon(bytes, at: end) }
            if case .policy(.part) = frame, script.mutant == .forgetsPolicies { return }
            hand(.frame(link, frame), to: end)
        }
    }

    private mutating func publish(_ number: Int, at end: Int) {
        notePolicy(script.policies[number].signed, at: end)
        if script.mutant == .forgetsPolicies { return }
        hand(.policy(script.policies[number].signed.encoded), to: end)
    }

    private mutating func wait(_ span: MonotonicTime.Span) {
        let target = monotonic + span
        while script.mutant != .forgetsDeadlines {
            let due = ends.indices.compactMap { index in
                ends[index].node.nextDeadline.map { (time: $0, end: index) }
            }.min { $0.time < $1.time }
            guard let due, due.time <= target else { break }
            monotonic = max(monotonic, due.time)
            hand(.deadline, to: due.end)
        }
        monotonic = target
    }

    private mutating func step(_ end: Int, by milliseconds: Int64) {
        ends[end].wallOffset += milliseconds
        hand(.clockStepped, to: end)
    }

    /// The caller has a new certificate, and its peer hears of it at once.
    private mutating func renew() {
        renewals += 1
        let credential = script.credential(of: 0, renewals)
        ends[0].ownEnd = credential.validUntil
        hand(.credential(credential), to: 0)
        guard let link = ends[1].link else { return }
        ends[1].peerEnd = ends[0].ownEnd
        hand(.linkRenewed(link, script.peer(of: 0, renewals, isInitiator: false)), to: 1)
    }
}

// MARK: - Copies, and which states are one

extension PermitState {
    /// A copy whose permits and gates are its own.
    private func fork() -> PermitState {
        var copy = self
        for index in ends.indices {
            let old = ends[index].node.authorizer
            var authorizer = Authorizer(configuration: old.configuration, gate: DecisionGate())
            if let standing = old.standing { authorizer.adopt(standing) }
            if let policy = old.policy { authorizer.adopt(policy) }
            copy.ends[index].node.authorizer = authorizer
            for (id, permit) in ends[index].permits {
                let twin = authorizer.permit(for: .allow(""))
                if !permit.isValid { twin?.revoke() }
                copy.ends[index].permits[id] = twin
                copy.ends[index].node.flows[id]?.permit = twin
            }
        }
        return copy
    }

    /// Equal for states that nothing to come tells apart.
    var fingerprint: Int {
        var hasher = Hasher()
        hasher.combine(queues)
        hasher.combine([published, Int(links), Int(flows), Int(renewals)])
        for (index, end) in ends.enumerated() {
            let node = end.node
            hasher.combine(end.wallOffset)
            hasher.combine(end.held)
            hasher.combine(end.link)
            hasher.combine(end.waitsForAccept)
            hasher.combine(node.policyHeads)
            hasher.combine(node.exchange?.isFetching)
            hasher.combine(now(index).wall.span(until: end.ownEnd))
            for time in [end.leaseEnd, end.freshEnd, end.adoptedAt.monotonic] {
                hasher.combine(time.map { Int64($0.nanoseconds) - Int64(monotonic.nanoseconds) })
            }
            for (id, link) in node.links {
                hasher.combine(link.peer?.head)
                hasher.combine(link.peer?.hasAgreed)
                hasher.combine(link.sentVerdicts?.ports)
                hasher.combine(link.interest)
                hasher.combine(node.timers[.lease(id)].map { $0 - monotonic })
                hasher.combine(node.timers[.headDue(id)].map { $0 - monotonic })
            }
            for (name, callee) in node.callees {
                hasher.combine(name)
                hasher.combine(callee.verdicts?.ports)
                hasher.combine(callee.waiting)
            }
            for (id, flow) in node.flows.sorted(by: { $0.key < $1.key }) {
                hasher.combine(id)
                hasher.combine(flow.phase)
                hasher.combine(flow.permit?.isValid)
            }
        }
        return hasher.finalize()
    }
}
