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
    /// The sequence numbers after the last byte of either direction.
    var workloadNext: UInt32 = 0
    var stackNext: UInt32 = 0
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
        switch AddressReach(endpoint.address) {
        case .never: return false
        case .inward where until != nil: return false
        case .inward, .outward: break
        }
        let allowance = StackAllowance(endpoint: endpoint, flowProtocol: flowProtocol)
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
                        tuple, sequence: state.stackNext, acknowledgement: state.workloadNext)))
            effects.append(.inject(writer.resetStack(tuple, sequence: state.workloadNext), nil))
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
                && state.workloadNext != segment.sequence &+ segment.sequenceCount
            if isNew, let refusal = refusal(of: flow, at: now) {
                if mayBeAllowedNow(refusal) { return effects.append(.hearSidecar) }
                refuse(segment, packet, effects: &effects)
                return report(refusal, of: flow, at: now, effects: &effects)
            }
            egress[flow]?.sent &+= UInt64(segment.dataCount)
            egress[flow]?.workloadNext = segment.sequence &+ segment.sequenceCount
            egress[flow]?.lastAt = now
            return effects.append(.input(flow))
        }
        guard segment.isOpening else { return refuse(segment, packet, effects: &effects) }
        guard let refusal = refusal(of: flow, at: now) else {
            open(flow, at: now, effects: &effects)
            egress[flow]?.workloadNext = segment.sequence &+ segment.sequenceCount
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
        /// Drop it, and end both sides of the flow by these.
        case reset(workload: [UInt8], stack: [UInt8])
    }

    package mutating func passes(_ frame: RawSpan, at now: MonotonicTime) -> Passage {
        let start = IPv4Packet.start
        guard frame.byteCount >= start + IPv4Packet.headerCount,
            frame.uint16(12) == EthernetFrame.ipv4Type
        else { return .pass }
        let source = IPv4Address(number: frame.uint32(start + 12))
        if StackNetwork.contains(source) {
            return passesVirtual(frame, source, start + Int(frame.uint8(start) & 15) * 4)
        }
        // A later fragment of a datagram is worth nothing without its first, which was judged.
        guard frame.uint16(start + 6) & 0x1FFF == 0 else { return .pass }
        let payload = start + Int(frame.uint8(start) & 15) * 4
        switch frame.uint8(start + 9) {
        case FlowProtocol.tcp.rawValue where frame.byteCount >= payload + TCPSegment.headerCount:
            return passesTCP(frame, source, payload, at: now)
        case FlowProtocol.udp.rawValue where frame.byteCount >= payload + UDPDatagram.headerCount:
            let flow = StackFlow(
                .udp, sourcePort: frame.uint16(payload + 2),
                destination: IPv4Endpoint(source, frame.uint16(payload)))
            // libslirp's socket hears whoever finds its port.
            guard egress[flow] != nil else { return .drop }
            let count = max(0, Int(frame.uint16(payload + 4)) - UDPDatagram.headerCount)
            egress[flow]?.received &+= UInt64(count)
            egress[flow]?.lastAt = now
            return .pass
        default: return .pass
        }
    }

    private mutating func passesTCP(
        _ frame: RawSpan, _ source: IPv4Address, _ payload: Int, at now: MonotonicTime
    ) -> Passage {
        let flow = StackFlow(
            .tcp, sourcePort: frame.uint16(payload + 2),
            destination: IPv4Endpoint(source, frame.uint16(payload)))
        guard let state = egress[flow] else { return .pass }
        let flags = TCPSegment.Flags(rawValue: frame.uint8(payload + 13))
        if state.isRevoked {
            guard !flags.contains(.rst) else { return .drop }
            return .answer(
                writer.resetStack(tuple(of: flow), sequence: frame.uint32(payload + 8)))
        }
        let header = payload + Int(frame.uint8(payload + 12) >> 4) * 4
        let total = IPv4Packet.start + Int(frame.uint16(IPv4Packet.start + 2))
        let count = UInt32(truncatingIfNeeded: max(0, min(total, frame.byteCount) - header))
        let taken = count &+ (flags.contains(.syn) ? 1 : 0) &+ (flags.contains(.fin) ? 1 : 0)
        egress[flow]?.received &+= UInt64(count)
        egress[flow]?.stackNext = frame.uint32(payload + 4) &+ taken
        egress[flow]?.lastAt = now
        return .pass
    }
}
