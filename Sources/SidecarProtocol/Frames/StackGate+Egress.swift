// Egress: flows out of the mesh, by the allow-list that the sidecar gave.

struct StackAllowance: Hashable, Sendable {
    var endpoint: IPv4Endpoint
    var flowProtocol: FlowProtocol

    /// Until when flows may be opened; nil: as long as the configuration lists the address.
    struct Term: Sendable {
        var until: MonotonicTime?
    }
}

struct EgressFlow: Sendable {
    var openedAt: MonotonicTime
    var lastAt: MonotonicTime
    /// Payload bytes in the workload's frames, and in libslirp's.
    var sent: UInt64 = 0
    var received: UInt64 = 0
    var numbers = SequenceNumbers()
    /// The permission was taken back: nothing of the flow moves, until libslirp has closed its socket.
    var isRevoked = false
}

extension StackGate {
    // MARK: The allow-list

    /// Returns false, and changes nothing, where the list is full or no list opens the address.
    package mutating func allow(
        _ endpoint: IPv4Endpoint, _ flowProtocol: FlowProtocol, until: MonotonicTime?,
        at now: MonotonicTime
    ) -> Bool {
        let allowance = StackAllowance(endpoint: endpoint, flowProtocol: flowProtocol)
        switch AddressReach(endpoint.address) {
        case .never: return false
        // A literal permission has no end; one that was given may be ended.
        case .inward where until != nil && allowances[allowance] == nil: return false
        case .inward, .outward: break
        }
        if allowances[allowance] == nil, allowances.count >= Limits.stackAllowancesMaximum {
            allowances = allowances.filter { $0.value.until.map { now < $0 } ?? true }
            guard allowances.count < Limits.stackAllowancesMaximum else { return false }
        }
        allowances[allowance] = StackAllowance.Term(until: until)
        return true
    }

    /// No new flows to `endpoint`; open ones end at once, both ends reset.
    package mutating func revoke(
        _ endpoint: IPv4Endpoint, _ flowProtocol: FlowProtocol, at now: MonotonicTime,
        effects: inout [Effect]
    ) {
        allowances[StackAllowance(endpoint: endpoint, flowProtocol: flowProtocol)] = nil
        for (flow, state) in egress
        where flow.destination == endpoint && flow.flowProtocol == flowProtocol && !state.isRevoked {
            guard flowProtocol == .tcp else {
                endEgress(flow, .revoked, at: now, effects: &effects)
                continue
            }
            let tuple = tuple(of: flow)
            egress[flow]?.isRevoked = true
            effects.append(
                .transmit(
                    writer.resetWorkload(
                        tuple, sequence: state.numbers.stackNext, acknowledgement: state.numbers.workloadNext)
                ))
            effects.append(.inject(writer.resetStack(tuple, sequence: state.numbers.workloadNext), nil))
            report(flow, state, .revoked, at: now, effects: &effects)
        }
    }

    private func isAllowed(_ flow: StackFlow, at now: MonotonicTime) -> Bool {
        let allowance = StackAllowance(endpoint: flow.destination, flowProtocol: flow.flowProtocol)
        guard let term = allowances[allowance] else { return false }
        return term.until.map { now < $0 } ?? true
    }

    // MARK: Frames

    mutating func receiveEgress(
        _ segment: TCPSegment, _ packet: IPv4Packet, at now: MonotonicTime, effects: inout [Effect]
    ) {
        let flow = StackFlow(
            .tcp, sourcePort: segment.sourcePort,
            destination: IPv4Endpoint(packet.destination, segment.destinationPort))
        if let state = egress[flow] {
            guard !state.isRevoked else { return refuse(segment, packet, effects: &effects) }
            // The flow is in TIME-WAIT, and its addresses serve a new one: that needs its own permission.
            let isNew =
                segment.isOpening
                && state.numbers.workloadNext != segment.sequence &+ segment.sequenceCount
            if isNew, let refusal = refusal(of: flow, at: now) {
                if mayBeAllowedNow(refusal) { return effects.append(.hearSidecar) }
                refuse(segment, packet, effects: &effects)
                return report(refusal, of: flow, at: now, effects: &effects)
            }
            egress[flow]?.sent &+= UInt64(segment.dataCount)
            if egress[flow]?.numbers.workloadSent(segment) == true { finished.append(flow) }
            egress[flow]?.lastAt = now
            return effects.append(.input(flow))
        }
        guard segment.isOpening else { return refuse(segment, packet, effects: &effects) }
        guard let refusal = refusal(of: flow, at: now) else {
            open(flow, at: now, effects: &effects)
            _ = egress[flow]?.numbers.workloadSent(segment)
            return effects.append(.open(flow))
        }
        if mayBeAllowedNow(refusal) { return effects.append(.hearSidecar) }
        refuse(segment, packet, effects: &effects)
        report(refusal, of: flow, at: now, effects: &effects)
    }

    mutating func receiveEgress(
        _ datagram: UDPDatagram, _ packet: IPv4Packet, in frame: RawSpan, at now: MonotonicTime,
        effects: inout [Effect]
    ) {
        let flow = StackFlow(
            .udp, sourcePort: datagram.sourcePort,
            destination: IPv4Endpoint(packet.destination, datagram.destinationPort))
        if egress[flow] == nil {
            if let refusal = refusal(of: flow, at: now) {
                if mayBeAllowedNow(refusal) { return effects.append(.hearSidecar) }
                prohibit(packet, in: frame, .administrativelyProhibited, effects: &effects)
                return report(refusal, of: flow, at: now, effects: &effects)
            }
            open(flow, at: now, effects: &effects)
        }
        egress[flow]?.sent &+= UInt64(datagram.data.count)
        egress[flow]?.lastAt = now
        effects.append(.input(flow))
    }

    private func refusal(of flow: StackFlow, at now: MonotonicTime) -> EgressReport.Refusal? {
        if AddressReach(flow.destination.address) == .never { return .forbidden }
        guard isAllowed(flow, at: now) else { return .notAllowed }
        let hasAssociation =
            flow.flowProtocol == .tcp || associationCount < Limits.stackAssociationsMaximum
        return hasRoom && hasAssociation ? nil : .limit
    }

    private func mayBeAllowedNow(_ refusal: EgressReport.Refusal) -> Bool {
        refusal == .notAllowed && !hasHeard
    }

    mutating func open(_ flow: StackFlow, at now: MonotonicTime, effects: inout [Effect]) {
        egress[flow] = EgressFlow(openedAt: now, lastAt: now)
        if flow.flowProtocol == .udp { associationCount += 1 }
        effects.append(.report(.egress(EgressReport(flow.flowProtocol, tuple(of: flow), .opened))))
    }

    private mutating func report(
        _ refusal: EgressReport.Refusal, of flow: StackFlow, at now: MonotonicTime, effects: inout [Effect]
    ) {
        switch refusals.add(refusal, flow, tuple(of: flow), at: now) {
        case .now(let report): effects.append(.report(.egress(report)))
        case .later: break
        case .never: counters.unreported &+= 1
        }
    }

    // MARK: Ends

    mutating func endEgress(
        _ flow: StackFlow, _ end: EgressReport.End, at now: MonotonicTime, effects: inout [Effect]
    ) {
        guard let state = egress.removeValue(forKey: flow) else { return }
        if flow.flowProtocol == .udp { associationCount -= 1 }
        // A revoked flow was reported when it was revoked.
        if !state.isRevoked { report(flow, state, end, at: now, effects: &effects) }
    }

    private func report(
        _ flow: StackFlow, _ state: EgressFlow, _ end: EgressReport.End, at now: MonotonicTime,
        effects: inout [Effect]
    ) {
        let event = EgressReport.Event.closed(
            end, sent: state.sent, received: state.received,
            milliseconds: (now - state.openedAt).milliseconds)
        effects.append(.report(.egress(EgressReport(flow.flowProtocol, tuple(of: flow), event))))
    }

    mutating func expireAssociations(at now: MonotonicTime, effects: inout [Effect]) {
        guard associationCount > 0 else { return }
        for (flow, state) in egress
        where flow.flowProtocol == .udp && now - state.lastAt >= Limits.associationIdleTime {
            endEgress(flow, .idle, at: now, effects: &effects)
        }
    }

    // MARK: From libslirp

    /// What becomes of a frame that libslirp writes.
    package enum Passage: Equatable, Sendable {
        case pass
        case drop
        /// Drop it, and give libslirp this frame as if the workload had sent it.
        case answer([UInt8])
    }

    package mutating func passes(_ frame: RawSpan, at now: MonotonicTime) -> Passage {
        // ARP, and fragments: a later one is worth nothing without its first, which was judged.
        guard case .ipv4(let packet)? = try? EthernetFrame(frame) else {
            return isFirstFragment(frame) ? passesFragment(frame, at: now) : .pass
        }
        switch packet.protocol {
        case FlowProtocol.tcp.rawValue:
            guard let segment = TCPSegment(packet, in: frame) else { return .drop }
            return StackNetwork.contains(packet.source)
                ? passesVirtual(segment, packet.source) : passesEgress(segment, packet.source, at: now)
        case FlowProtocol.udp.rawValue: return passesDatagram(frame, packet.source, packet.payload, at: now)
        default: return .pass
        }
    }

    private func isFirstFragment(_ frame: RawSpan) -> Bool {
        IPv4Fragment(frame).map { $0.offset == 0 } ?? false
    }

    private mutating func passesFragment(_ frame: RawSpan, at now: MonotonicTime) -> Passage {
        guard let fragment = IPv4Fragment(frame), fragment.protocol == FlowProtocol.udp.rawValue
        else { return .drop }
        return passesDatagram(frame, fragment.source, fragment.payload, at: now)
    }

    /// libslirp's socket hears whoever finds its port; the workload hears whom it asked.
    private mutating func passesDatagram(
        _ frame: RawSpan, _ source: IPv4Address, _ payload: Range<Int>, at now: MonotonicTime
    ) -> Passage {
        guard payload.count >= UDPDatagram.headerCount else { return .drop }
        let start = payload.lowerBound
        let flow = StackFlow(
            .udp, sourcePort: frame.uint16(start + 2),
            destination: IPv4Endpoint(source, frame.uint16(start)))
        guard egress[flow] != nil else { return .drop }
        let count = max(0, Int(frame.uint16(start + 4)) - UDPDatagram.headerCount)
        egress[flow]?.received &+= UInt64(count)
        egress[flow]?.lastAt = now
        return .pass
    }

    private mutating func passesEgress(
        _ segment: TCPSegment, _ source: IPv4Address, at now: MonotonicTime
    ) -> Passage {
        let flow = StackFlow(
            .tcp, sourcePort: segment.destinationPort,
            destination: IPv4Endpoint(source, segment.sourcePort))
        guard let state = egress[flow] else { return .pass }
        guard !state.isRevoked else { return resetInstead(of: segment, flow) }
        egress[flow]?.received &+= UInt64(segment.dataCount)
        if egress[flow]?.numbers.stackSent(segment) == true { finished.append(flow) }
        egress[flow]?.lastAt = now
        return .pass
    }
}
