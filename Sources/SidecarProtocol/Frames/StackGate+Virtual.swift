// Virtual addresses: connections are held until the sidecar has answered, datagrams become messages.

/// A connection's first segment, kept until the sidecar says what becomes of it.
struct HeldSegment: Sendable {
    var id: StackQuestionID
    var frame: [UInt8]
    var packet: IPv4Packet
    var segment: TCPSegment
    var deadline: MonotonicTime
    var since: MonotonicTime
}

/// A connection that was let in.
struct Opening: Sendable {
    var id: StackQuestionID
    var deadline: MonotonicTime
    var numbers = SequenceNumbers()
}

struct Connection: Sendable {
    var numbers: SequenceNumbers
    /// The sidecar has reset it: nothing of it moves, until libslirp has closed its socket.
    var isReset = false
}

extension StackGate {
    /// libslirp gives up a connection whose handshake doesn't end within 75 s; a little later we do.
    private static let openingTime = MonotonicTime.Span.seconds(80)

    mutating func receiveVirtual(
        _ segment: TCPSegment, _ packet: IPv4Packet, in frame: RawSpan, at now: MonotonicTime,
        effects: inout [Effect]
    ) {
        guard configuration.datapath == .slirp, StackNetwork.isDialled(packet.destination),
            packet.destination != configuration.own
        else { return refuse(segment, packet, effects: &effects) }
        let flow = StackFlow(
            .tcp, sourcePort: segment.sourcePort,
            destination: IPv4Endpoint(packet.destination, segment.destinationPort))
        guard segment.isOpening else {
            return receiveVirtual(segment, packet, of: flow, effects: &effects)
        }
        if held[flow] != nil { return }
        if openings[flow] != nil { return effects.append(.input(flow)) }
        guard held.count < Limits.stackHeldMaximum, hasRoom,
            frame.byteCount <= Limits.stackHeldBytesMaximum
        else { return refuse(segment, packet, effects: &effects) }
        let id = StackQuestionID(number: nextQuestion)
        nextQuestion &+= 1
        if served.contains(flow.destination), letIn(flow, id, at: now, effects: &effects) {
            return effects.append(.input(flow))
        }
        held[flow] = HeldSegment(
            id: id, frame: frame.copy(0..<frame.byteCount), packet: packet, segment: segment,
            deadline: now + Limits.stackAnswerTime, since: now)
        questions[id] = flow
        effects.append(.report(.question(id, tuple(of: flow))))
    }

    private mutating func receiveVirtual(
        _ segment: TCPSegment, _ packet: IPv4Packet, of flow: StackFlow, effects: inout [Effect]
    ) {
        if let index = connections.index(forKey: flow) {
            guard !connections.values[index].isReset else {
                return refuse(segment, packet, effects: &effects)
            }
            if connections.values[index].numbers.workloadSent(segment) { finished.append(flow) }
            return effects.append(.input(flow))
        }
        // libslirp resets what it doesn't know; but while a segment is held it must not see the rest.
        guard held[flow] == nil else { return }
        _ = openings[flow]?.numbers.workloadSent(segment)
        effects.append(.input(flow))
    }

    /// The sidecar cuts a connection, and closes its socket next, which alone would be an orderly end: both
    /// ends are reset at once. A connection that libslirp has closed already is nothing any more.
    ///
    /// - Parameter ends: the virtual address first.
    package mutating func reset(_ ends: FourTuple, effects: inout [Effect]) {
        let tuple = ends.reversed
        guard tuple.source.address == configuration.own else { return }
        let flow = StackFlow(.tcp, sourcePort: tuple.source.port, destination: tuple.destination)
        guard let connection = connections[flow], !connection.isReset else { return }
        connections[flow]?.isReset = true
        let numbers = connection.numbers
        effects.append(
            .transmit(
                writer.resetWorkload(
                    tuple, sequence: numbers.stackNext, acknowledgement: numbers.workloadNext)))
        effects.append(.inject(writer.resetStack(tuple, sequence: numbers.workloadNext), nil))
    }

    /// The sidecar's answer. One to a question that isn't open any more is nothing.
    package mutating func answer(
        _ id: StackQuestionID, _ answer: StackAnswer, at now: MonotonicTime, effects: inout [Effect]
    ) {
        guard let flow = questions[id], let segment = held[flow] else { return }
        switch answer {
        case .wait: held[flow]?.deadline = segment.since + Limits.stackWaitTime
        case .refuse: refuseHeld(flow, effects: &effects)
        case .open:
            guard letIn(flow, id, at: now, effects: &effects) else {
                return refuseHeld(flow, effects: &effects)
            }
            questions[id] = nil
            held[flow] = nil
            effects.append(.inject(segment.frame, flow))
        }
    }

    /// Prepares libslirp for the connection's first segment. False where it has no room for the address.
    private mutating func letIn(
        _ flow: StackFlow, _ id: StackQuestionID, at now: MonotonicTime, effects: inout [Effect]
    ) -> Bool {
        if !forwards.contains(flow.destination) {
            guard forwards.count < Limits.stackForwardsMaximum else { return false }
            forwards.insert(flow.destination)
            effects.append(.forward(flow.destination))
        }
        openings[flow] = Opening(id: id, deadline: now + StackGate.openingTime)
        return true
    }

    /// Connections to `endpoint` are let in unasked from now on. Beyond so many addresses they are asked for.
    package mutating func serve(_ endpoint: IPv4Endpoint) {
        guard served.count < Limits.stackForwardsMaximum else { return }
        served.insert(endpoint)
    }

    package mutating func withdraw(_ endpoint: IPv4Endpoint) { served.remove(endpoint) }

    private mutating func refuseHeld(_ flow: StackFlow, effects: inout [Effect]) {
        guard let segment = held.removeValue(forKey: flow) else { return }
        questions[segment.id] = nil
        refuse(segment.segment, segment.packet, effects: &effects)
    }

    mutating func expireHeld(at now: MonotonicTime, effects: inout [Effect]) {
        for (flow, segment) in held where segment.deadline <= now { refuseHeld(flow, effects: &effects) }
    }

    mutating func receiveVirtual(
        _ datagram: UDPDatagram, _ packet: IPv4Packet, in frame: RawSpan, effects: inout [Effect]
    ) {
        guard configuration.datapath == .slirp, StackNetwork.isDialled(packet.destination),
            packet.destination != configuration.own
        else { return prohibit(packet, in: frame, .port, effects: &effects) }
        let tuple = FourTuple(
            source: IPv4Endpoint(packet.source, datagram.sourcePort),
            destination: IPv4Endpoint(packet.destination, datagram.destinationPort))
        effects.append(.report(.datagram(tuple, frame.copy(datagram.data))))
    }

    /// Only datagrams to virtual addresses may come in pieces; elsewhere a piece doesn't say where it goes.
    mutating func receiveFragment(_ frame: RawSpan, effects: inout [Effect]) {
        guard let fragment = IPv4Fragment(frame), fragment.hardwareSource == configuration.hardware,
            fragment.source == configuration.own, configuration.datapath == .slirp,
            fragment.hardwareDestination == StackNetwork.gatewayHardware,
            StackNetwork.isDialled(fragment.destination), fragment.destination != configuration.own,
            fragment.protocol == FlowProtocol.udp.rawValue
        else {
            counters.fragments &+= 1
            return
        }
        guard let whole = fragments.add(fragment, in: frame),
            let datagram = UDPDatagram.read(whole, from: fragment.source, to: fragment.destination)
        else { return }
        effects.append(.report(.datagram(datagram.tuple, datagram.data)))
    }

    /// A datagram for the workload. Only virtual addresses speak to it, and only to itself.
    package mutating func deliver(_ tuple: FourTuple, _ data: [UInt8], effects: inout [Effect]) {
        guard StackNetwork.contains(tuple.source.address), tuple.destination.address == configuration.own
        else { return }
        for frame in writer.datagram(tuple, data) { effects.append(.transmit(frame)) }
    }

    /// The datagram of `tuple` (the workload's end first) found nobody.
    package mutating func unreachable(_ tuple: FourTuple, effects: inout [Effect]) {
        guard StackNetwork.contains(tuple.destination.address), tuple.source.address == configuration.own
        else { return }
        effects.append(.transmit(writer.portUnreachable(tuple)))
    }

    // MARK: From libslirp

    /// What becomes of a segment of libslirp's, in the name of a virtual address.
    mutating func passesVirtual(_ segment: TCPSegment, _ source: IPv4Address) -> Passage {
        let flow = StackFlow(
            .tcp, sourcePort: segment.destinationPort,
            destination: IPv4Endpoint(source, segment.sourcePort))
        guard let index = connections.index(forKey: flow) else {
            _ = openings[flow]?.numbers.stackSent(segment)
            return .pass
        }
        guard !connections.values[index].isReset else { return resetInstead(of: segment, flow) }
        if connections.values[index].numbers.stackSent(segment) { finished.append(flow) }
        return .pass
    }

    /// libslirp still speaks for a flow that is over.
    func resetInstead(of segment: TCPSegment, _ flow: StackFlow) -> Passage {
        guard !segment.flags.contains(.rst) else { return .drop }
        return .answer(writer.resetStack(tuple(of: flow), sequence: segment.acknowledgement))
    }
}
