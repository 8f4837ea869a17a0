// The gate between the workload's TAP and libslirp.
//
// Theory of operation
//
//   Every frame from the TAP passes `receive`, and libslirp sees only those that the gate hands on: it
//   would dial whatever a frame names, loopback and the host's own network included. A frame for a virtual
//   address asks the sidecar first: a connection's first segment is held until the answer, then let in
//   behind an entry that makes libslirp connect to our own unix socket (`forward`), or refused by a reset
//   that the gate writes itself. Where the sidecar has said beforehand that it serves an address, nothing is
//   asked. Datagrams to virtual addresses never reach libslirp, which knows no such
//   forwarding: they travel to the sidecar and back as messages. ARP and pings are answered here.
//   Everything else is egress: only what the allow-list names goes to libslirp.
//
//   Every frame that libslirp writes passes `passes`, which counts bytes and holds back what a revoked
//   flow or a stranger's datagram would deliver.
//
//   The gate is pure: it holds what is open and what waits, and tells its shell what to do. The shell
//   reports the sockets that libslirp opens and closes (`registered`, `unregistered`), which is how the
//   gate knows when a flow has ended, and keeps their count below the process's descriptors: libslirp
//   ends its process where it finds none.

/// One flow of the workload: its address is known, so that three parts name it.
package struct StackFlow: Hashable, Sendable {
    package let flowProtocol: FlowProtocol
    package let sourcePort: UInt16
    package let destination: IPv4Endpoint

    package init(_ flowProtocol: FlowProtocol, sourcePort: UInt16, destination: IPv4Endpoint) {
        self.flowProtocol = flowProtocol
        self.sourcePort = sourcePort
        self.destination = destination
    }

    package static func == (left: StackFlow, right: StackFlow) -> Bool {
        left.number == right.number && left.flowProtocol == right.flowProtocol
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(number) }

    private var number: UInt64 {
        UInt64(destination.address.number) << 32 | UInt64(destination.port) << 16 | UInt64(sourcePort)
    }
}

package struct StackGate: Sendable {
    package struct Configuration: Sendable {
        /// The workload's own virtual address.
        package var own: IPv4Address
        /// The TAP's address inside the workload's network namespace.
        package var hardware: HardwareAddress
        /// `slirp`: virtual addresses are reached through the stack. `veth`: only egress is.
        package var datapath: WorkloadConfiguration.Datapath
        /// Sockets that libslirp may hold.
        package var flowsMaximum: Int

        package init(
            own: IPv4Address, hardware: HardwareAddress, datapath: WorkloadConfiguration.Datapath,
            flowsMaximum: Int = Limits.stackFlowsMaximum
        ) {
            self.own = own
            self.hardware = hardware
            self.datapath = datapath
            self.flowsMaximum = flowsMaximum
        }
    }

    package enum Effect: Equatable, Sendable {
        /// The frame just received goes to libslirp. A socket that opens meanwhile is of this flow.
        case input(StackFlow)
        /// The same, and if no socket opens the flow has `failed`.
        case open(StackFlow)
        /// This frame goes to libslirp as if the workload had sent it.
        case inject([UInt8], StackFlow?)
        /// libslirp must know that connections to this virtual address go to our unix socket.
        case forward(IPv4Endpoint)
        /// This frame goes to the workload.
        case transmit([UInt8])
        case report(StackReport)
        /// Take what the sidecar has said meanwhile, and hand the frame in again.
        case hearSidecar
    }

    let configuration: Configuration
    var writer: FrameWriter
    package internal(set) var counters = StackCounters()
    /// Counters that the sidecar was told of, and when.
    private var countersReported = (counters: StackCounters(), at: MonotonicTime(nanoseconds: 0))
    private var tickedAt = MonotonicTime(nanoseconds: 0)
    /// Sockets that libslirp holds.
    package private(set) var socketCount = 0

    // Connections to virtual addresses.
    var held: [StackFlow: HeldSegment] = [:]
    var questions: [StackQuestionID: StackFlow] = [:]
    var nextQuestion: UInt64 = 1
    /// Let in, and not yet through their handshake with libslirp.
    var openings: [StackFlow: Opening] = [:]
    /// Those that libslirp has connected to our socket.
    var connections: [StackFlow: Connection] = [:]
    var forwards: Set<IPv4Endpoint> = []
    /// Where connections are let in unasked.
    var served: Set<IPv4Endpoint> = []
    /// Connections of either kind that have ended, and that libslirp may still hold.
    var finished: [StackFlow] = []
    var fragments = FragmentAssembler()

    // Egress.
    var hasHeard = false
    var allowances: [StackAllowance: StackAllowance.Term] = [:]
    var egress: [StackFlow: EgressFlow] = [:]
    var associationCount = 0
    var refusals = EgressRefusals()

    package init(_ configuration: Configuration) {
        self.configuration = configuration
        writer = FrameWriter(workload: configuration.hardware)
    }

    /// What libslirp must hear first: it learns the workload's addresses from it.
    package var announcement: [UInt8] { writer.announcement(of: configuration.own) }

    /// Whether a connection was let in that has no socket yet.
    package var hasOpenings: Bool { !openings.isEmpty }

    /// Whether libslirp may open one more socket, those that it may yet open for let-in connections
    /// counted.
    var hasRoom: Bool {
        socketCount + openings.count + held.count < configuration.flowsMaximum
    }

    // MARK: From the workload

    /// - Parameter hasHeard: false for a frame that is new; true when it is handed in again, after
    ///   `hearSidecar`: the sidecar may have sent its permission before the workload sent the frame, but
    ///   they come by different roads.
    package mutating func receive(
        _ frame: RawSpan, at now: MonotonicTime, hasHeard: Bool, effects: inout [Effect]
    ) {
        self.hasHeard = hasHeard
        if !hasHeard { counters.frames &+= 1 }
        let read: EthernetFrame
        do throws(EthernetFrame.Flaw) {
            read = try EthernetFrame(frame)
        } catch {
            if error == .fragment { receiveFragment(frame, effects: &effects) } else { count(error) }
            return
        }
        switch read {
        case .arp(let packet): receive(packet, effects: &effects)
        case .ipv4(let packet): receive(packet, in: frame, at: now, effects: &effects)
        }
    }

    private mutating func count(_ flaw: EthernetFrame.Flaw) {
        switch flaw {
        case .malformed, .options: counters.malformed &+= 1
        case .fragment: counters.fragments &+= 1
        case .etherType: counters.unserved &+= 1
        }
    }

    private mutating func receive(_ packet: ARPPacket, effects: inout [Effect]) {
        guard packet.source == configuration.hardware, packet.senderHardware == configuration.hardware
        else {
            counters.spoofed &+= 1
            return
        }
        guard packet.isRequest, StackNetwork.contains(packet.target), packet.target != configuration.own
        else { return }
        effects.append(.transmit(writer.answer(to: packet)))
    }

    private mutating func receive(
        _ packet: IPv4Packet, in frame: RawSpan, at now: MonotonicTime, effects: inout [Effect]
    ) {
        guard packet.hardwareSource == configuration.hardware, packet.source == configuration.own else {
            counters.spoofed &+= 1
            return
        }
        // Multicast and broadcast have another hardware address, or a destination in 224/3.
        guard packet.hardwareDestination == StackNetwork.gatewayHardware, packet.timeToLive > 0,
            packet.destination.number < 0xE000_0000
        else {
            counters.unserved &+= 1
            return
        }
        switch packet.protocol {
        case FlowProtocol.tcp.rawValue:
            guard let segment = TCPSegment(packet, in: frame) else {
                counters.malformed &+= 1
                return
            }
            if StackNetwork.contains(packet.destination) {
                receiveVirtual(segment, packet, in: frame, at: now, effects: &effects)
            } else {
                receiveEgress(segment, packet, at: now, effects: &effects)
            }
        case FlowProtocol.udp.rawValue:
            guard let datagram = UDPDatagram(packet, in: frame) else {
                counters.malformed &+= 1
                return
            }
            if StackNetwork.contains(packet.destination) {
                receiveVirtual(datagram, packet, in: frame, effects: &effects)
            } else {
                receiveEgress(datagram, packet, in: frame, at: now, effects: &effects)
            }
        case IPv4Packet.icmp: receiveICMP(packet, in: frame, effects: &effects)
        default: prohibit(packet, in: frame, .protocolUnreachable, effects: &effects)
        }
    }

    private mutating func receiveICMP(_ packet: IPv4Packet, in frame: RawSpan, effects: inout [Effect]) {
        guard let message = ICMPMessage(packet, in: frame) else {
            counters.malformed &+= 1
            return
        }
        guard message.isQuestion else {
            counters.unserved &+= 1
            return
        }
        let isOurs =
            packet.destination == StackNetwork.gateway
            || configuration.datapath == .slirp && StackNetwork.isDialled(packet.destination)
        if isOurs, message.type == ICMPMessage.echoRequest {
            effects.append(.transmit(writer.echoReply(to: message, of: packet, in: frame)))
        } else {
            prohibit(packet, in: frame, .administrativelyProhibited, effects: &effects)
        }
    }

    /// Refuses anything but TCP.
    mutating func prohibit(
        _ packet: IPv4Packet, in frame: RawSpan, _ code: FrameWriter.UnreachableCode,
        effects: inout [Effect]
    ) {
        counters.refused &+= 1
        effects.append(
            .transmit(
                writer.unreachable(code, answering: packet, in: frame, from: StackNetwork.gateway)))
    }

    mutating func refuse(_ segment: TCPSegment, _ packet: IPv4Packet, effects: inout [Effect]) {
        counters.refused &+= 1
        if let reset = writer.reset(answering: segment, of: packet) { effects.append(.transmit(reset)) }
    }

    package func tuple(of flow: StackFlow) -> FourTuple {
        FourTuple(
            source: IPv4Endpoint(configuration.own, flow.sourcePort), destination: flow.destination)
    }

    // MARK: From libslirp's sockets

    /// libslirp has opened a socket while it was given the frame of `flow`. Returns the question that let
    /// a connection in, where `flow` is one to a virtual address: its other end is to be accepted now.
    package mutating func registered(
        _ flow: StackFlow?, at now: MonotonicTime, effects: inout [Effect]
    ) -> StackQuestionID? {
        socketCount += 1
        guard let flow, flow.flowProtocol == .tcp else { return nil }
        if StackNetwork.contains(flow.destination.address) {
            guard let opening = openings.removeValue(forKey: flow) else { return nil }
            connections[flow] = Connection(numbers: opening.numbers)
            return opening.id
        }
        // libslirp has just closed an old connection of the same addresses, and begins the next.
        if egress[flow] == nil { open(flow, at: now, effects: &effects) }
        return nil
    }

    /// libslirp closes a socket; `flow` is what `registered` was told of it.
    package mutating func unregistered(
        _ flow: StackFlow?, at now: MonotonicTime, effects: inout [Effect]
    ) {
        socketCount = max(0, socketCount - 1)
        // A UDP socket serves every destination of its port: its flows end by being idle.
        guard let flow, flow.flowProtocol == .tcp else { return }
        connections[flow] = nil
        endEgress(flow, .finished, at: now, effects: &effects)
    }

    /// libslirp was given the first segment of `flow` and opened no socket for it.
    package mutating func failed(_ flow: StackFlow, at now: MonotonicTime, effects: inout [Effect]) {
        endEgress(flow, .finished, at: now, effects: &effects)
    }

    // MARK: Time

    /// The earliest moment at which `tick` has something to do; nil: nothing waits.
    package var nextDeadline: MonotonicTime? {
        let isTimed =
            !held.isEmpty || !openings.isEmpty || associationCount > 0 || !refusals.isEmpty
        if isTimed { return tickedAt + .seconds(1) }
        guard counters != countersReported.counters else { return nil }
        return countersReported.at + StackGate.countersInterval
    }

    private static let countersInterval = MonotonicTime.Span.seconds(10)

    package mutating func tick(at now: MonotonicTime, effects: inout [Effect]) {
        tickedAt = now
        expireHeld(at: now, effects: &effects)
        openings = openings.filter { now < $0.value.deadline }
        expireAssociations(at: now, effects: &effects)
        for report in refusals.due(at: now) { effects.append(.report(.egress(report))) }
        guard counters != countersReported.counters,
            now - countersReported.at >= StackGate.countersInterval
        else { return }
        countersReported = (counters, now)
        effects.append(.report(.counters(counters)))
    }
}
