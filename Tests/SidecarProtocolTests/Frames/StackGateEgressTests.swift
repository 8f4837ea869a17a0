import SidecarProtocol
import Testing

@Suite("The gate and egress")
struct StackGateEgressTests {
    static let https = IPv4Endpoint(SampleFrames.outside, 443)
    static let flow = StackFlow(.tcp, sourcePort: 40_000, destination: https)

    private func out(_ flags: TCPSegment.Flags = .syn, sequence: UInt32 = 1000, data: [UInt8] = [])
        -> [UInt8]
    {
        SampleFrames(to: SampleFrames.outside).tcp(
            40_000, 443, flags, sequence: sequence, acknowledgement: 500, data: data)
    }

    /// A frame of libslirp's to the workload.
    private func back(_ flags: TCPSegment.Flags, sequence: UInt32 = 499, data: [UInt8] = []) -> [UInt8] {
        var sample = SampleFrames(to: SampleFrames.own)
        sample.source = SampleFrames.outside
        return sample.tcp(443, 40_000, flags, sequence: sequence, acknowledgement: 1001, data: data)
    }

    /// A bench with one flow, its socket open.
    private func opened() -> GateBench {
        let bench = GateBench(.veth)
        #expect(bench.allow(Self.https, .tcp, until: nil))
        #expect(bench.receive(out()).contains(.open(Self.flow)))
        _ = bench.registered(Self.flow)
        return bench
    }

    @Test("what no list names is refused at once, and reported")
    func refused() {
        for datapath in [WorkloadConfiguration.Datapath.veth, .slirp] {
            let bench = GateBench(datapath)
            let tcp = bench.receive(out())
            #expect(tcp.frames.first?.tcp?.flags == [.rst, .ack] && !tcp.reachesStack)
            #expect(tcp.egress.first?.event == .refused(.notAllowed, attempts: 1))
            let udp = bench.receive(SampleFrames(to: SampleFrames.outside).udp(1, 443))
            #expect(udp.frames.first?.icmp?.code == 13 && !udp.reachesStack)
            #expect(udp.egress.first?.flowProtocol == .udp)
            let other = bench.receive(SampleFrames(to: SampleFrames.outside).ipv4(132, [1, 2, 3, 4]))
            #expect(other.frames.first?.icmp?.code == 2 && !other.reachesStack)
        }
    }

    @Test("a listed endpoint is dialled, and no other port, address or protocol")
    func allowed() {
        let bench = GateBench(.veth)
        #expect(bench.allow(Self.https, .tcp, until: bench.now + .seconds(5)))
        let syn = bench.receive(out())
        #expect(syn.egress.first?.event == .opened && syn.contains(.open(Self.flow)))
        #expect(!bench.receive(SampleFrames(to: SampleFrames.outside).tcp(1, 444)).reachesStack)
        #expect(!bench.receive(SampleFrames(to: IPv4Address(93, 184, 216, 35)).tcp(1, 443)).reachesStack)
        #expect(!bench.receive(SampleFrames(to: SampleFrames.outside).udp(1, 443)).reachesStack)
    }

    @Test("before a frame is refused the sidecar is heard, in case its permission is on its way")
    func permissionsOvertakeFrames() {
        let bench = GateBench(.veth)
        for frame in [out(), SampleFrames(to: SampleFrames.outside).udp(1, 443)] {
            #expect(bench.receive(frame, hasHeard: false) == [.hearSidecar])
            #expect(bench.receive(frame, hasHeard: true).frames.count == 1)
        }
        #expect(bench.gate.counters.frames == 2)
        #expect(bench.receive(out(), hasHeard: false) == [.hearSidecar])
        #expect(bench.allow(Self.https, .tcp, until: nil))
        #expect(bench.receive(out(), hasHeard: true).contains(.open(Self.flow)))
    }

    @Test("an ended permission opens no new flow and leaves the open one alone")
    func expiry() {
        let bench = GateBench(.veth)
        #expect(bench.allow(Self.https, .tcp, until: bench.now + .seconds(5)))
        #expect(bench.receive(out()).reachesStack)
        _ = bench.registered(Self.flow)
        bench.now = bench.now + .seconds(5)
        #expect(bench.receive(out(.ack, sequence: 1001, data: [1])) == [.input(Self.flow)])
        #expect(!bench.receive(SampleFrames(to: SampleFrames.outside).tcp(2, 443)).reachesStack)
        #expect(!bench.receive(out(sequence: 77_000)).reachesStack, "nor a new one of the same addresses")
    }

    @Test(
        "no list opens loopback, this network or multicast; inward addresses need to be listed themselves",
        arguments: [
            ("127.0.0.1", false, false), ("127.9.9.9", false, false), ("0.0.0.0", false, false),
            ("0.1.2.3", false, false), ("198.19.0.1", false, false), ("224.0.0.1", false, false),
            ("169.254.169.254", false, true), ("10.0.0.1", false, true), ("192.168.1.1", false, true),
            ("100.64.0.1", false, true), ("93.184.216.34", true, true),
        ])
    func reach(text: String, byName: Bool, literally: Bool) throws {
        let endpoint = IPv4Endpoint(try #require(IPv4Address(text)), 80)
        for (until, isAllowed) in [(MonotonicTime(nanoseconds: .max - 1), byName), (nil, literally)] {
            let bench = GateBench(.veth)
            #expect(bench.allow(endpoint, .tcp, until: until) == isAllowed)
            #expect(bench.receive(SampleFrames(to: endpoint.address).tcp()).reachesStack == isAllowed)
        }
    }

    @Test("bytes of both directions are counted and reported when the socket closes")
    func counting() {
        let bench = opened()
        #expect(bench.passes(back([.syn, .ack])) == .pass)
        _ = bench.receive(out(.ack, sequence: 1001, data: [1, 2, 3]))
        #expect(
            bench.passes(back(.ack, sequence: 500, data: [1, 2])) == .pass)
        bench.now = bench.now + .seconds(2)
        let ended = bench.unregistered(Self.flow)
        #expect(
            ended.egress.map(\.event) == [.closed(.finished, sent: 3, received: 2, milliseconds: 2000)])
        #expect(bench.unregistered(Self.flow).isEmpty)
    }

    @Test("a flow that libslirp couldn't open is reported as closed")
    func failed() {
        let bench = GateBench(.veth)
        #expect(bench.allow(Self.https, .tcp, until: nil))
        _ = bench.receive(out())
        bench.effects.removeAll()
        bench.gate.failed(Self.flow, at: bench.now, effects: &bench.effects)
        #expect(
            bench.effects.egress.map(\.event) == [.closed(.finished, sent: 0, received: 0, milliseconds: 0)])
    }

    @Test("a revoked flow is reset at both ends with numbers that they accept, and reported")
    func revocation() throws {
        let bench = opened()
        _ = bench.passes(back([.syn, .ack]))
        _ = bench.receive(out([.ack, .push], sequence: 1001, data: [1, 2, 3, 4]))
        _ = bench.passes(back(.ack, sequence: 500, data: [1, 2]))
        let cut = bench.revoke(Self.https)
        let toWorkload = try #require(cut.frames.first?.tcp)
        #expect(toWorkload.flags == [.rst, .ack] && toWorkload.sequence == 502)
        #expect(toWorkload.acknowledgement == 1005 && toWorkload.destinationPort == 40_000)
        let toStack = try #require(cut.injected.first?.tcp)
        #expect(toStack.flags == .rst && toStack.sequence == 1005 && toStack.sourcePort == 40_000)
        #expect(cut.egress.map(\.event) == [.closed(.revoked, sent: 4, received: 2, milliseconds: 0)])

        // Whatever either end still says goes no further.
        let late = bench.receive(out(.ack, sequence: 1005, data: [9]))
        #expect(!late.reachesStack && late.frames.first?.tcp?.flags == .rst)
        let frame = back(.ack, sequence: 502, data: [3])
        guard case .answer(let reset) = bench.passes(frame) else {
            Issue.record("libslirp's frame passed")
            return
        }
        #expect(reset.tcp?.flags == .rst && reset.tcp?.sequence == 1001)
        #expect(bench.passes(back(.rst)) == .drop)
        #expect(bench.unregistered(Self.flow).isEmpty, "reported once")
        #expect(!bench.receive(out(sequence: 5)).reachesStack, "and no new flow is opened")
    }

    @Test("addresses in TIME-WAIT serve a new flow while the permission lasts, under a report of its own")
    func reuse() {
        let bench = opened()
        _ = bench.receive(out(.ack, sequence: 1001, data: [1]))
        #expect(bench.receive(out(sequence: 90_000)) == [.input(Self.flow)])
        // libslirp closes the old socket and opens the new one while it is given that frame.
        #expect(bench.unregistered(Self.flow).egress.count == 1)
        _ = bench.registered(Self.flow)
        #expect(bench.effects.egress.last?.event == .opened)
        #expect(bench.receive(out(.ack, sequence: 90_001)) == [.input(Self.flow)])
    }

    @Test("UDP flows answer to whom they asked, and end when idle")
    func associations() {
        let bench = GateBench(.veth)
        let endpoint = IPv4Endpoint(SampleFrames.outside, 123)
        #expect(bench.allow(endpoint, .udp, until: nil))
        let flow = StackFlow(.udp, sourcePort: 4000, destination: endpoint)
        #expect(bench.receive(SampleFrames(to: SampleFrames.outside).udp(4000, 123)).contains(.input(flow)))
        var reply = SampleFrames(to: SampleFrames.own)
        reply.source = SampleFrames.outside
        #expect(bench.passes(reply.udp(123, 4000)) == .pass)
        #expect(bench.passes(reply.udp(124, 4000)) == .drop)
        reply.source = IPv4Address(93, 184, 216, 35)
        #expect(bench.passes(reply.udp(123, 4000)) == .drop)
        bench.now = bench.now + Limits.associationIdleTime
        #expect(
            bench.tick().egress.map(\.event) == [.closed(.idle, sent: 3, received: 3, milliseconds: 60_000)])
        #expect(bench.receive(SampleFrames(to: SampleFrames.outside).udp(4000, 123)).reachesStack)
        #expect(bench.revoke(endpoint, .udp).egress.count == 1)
        #expect(!bench.receive(SampleFrames(to: SampleFrames.outside).udp(4000, 123)).reachesStack)
    }

    @Test("UDP flows, flows and permissions are capped")
    func caps() {
        let bench = GateBench(.veth)
        let endpoint = IPv4Endpoint(SampleFrames.outside, 123)
        #expect(bench.allow(endpoint, .udp, until: nil))
        for port in 1...Limits.stackAssociationsMaximum {
            #expect(bench.receive(SampleFrames(to: SampleFrames.outside).udp(UInt16(port), 123)).reachesStack)
        }
        let more = bench.receive(SampleFrames(to: SampleFrames.outside).udp(60_000, 123))
        #expect(more.egress.map(\.event) == [.refused(.limit, attempts: 1)])

        let small = GateBench(.veth, flowsMaximum: 1)
        #expect(small.allow(Self.https, .tcp, until: nil))
        #expect(small.receive(out()).reachesStack)
        _ = small.registered(Self.flow)
        #expect(!small.receive(SampleFrames(to: SampleFrames.outside).tcp(9, 443)).reachesStack)

        let full = GateBench(.veth)
        for port in 1...Limits.stackAllowancesMaximum {
            let endpoint = IPv4Endpoint(SampleFrames.outside, UInt16(port))
            let until = port == 1 ? full.now + .seconds(1) : nil
            #expect(full.allow(endpoint, .tcp, until: until))
        }
        let last = IPv4Endpoint(SampleFrames.outside, 60_000)
        #expect(!full.allow(last, .tcp, until: nil))
        full.now = full.now + .seconds(1)
        #expect(full.allow(last, .tcp, until: nil), "an ended one makes room")
    }

    @Test("attempts without end make one report a second of each kind")
    func refusalsAreCounted() {
        let bench = GateBench(.veth)
        var reports: [EgressReport] = []
        for _ in 0..<1000 { reports += bench.receive(out()).egress }
        #expect(reports.map(\.event) == [.refused(.notAllowed, attempts: 1)])
        bench.now = bench.now + Limits.stackRefusalTime
        #expect(bench.tick().egress.map(\.event) == [.refused(.notAllowed, attempts: 999)])
        bench.now = bench.now + Limits.stackRefusalTime
        #expect(bench.tick().egress.isEmpty)
        #expect(bench.receive(out()).egress.count == 1)
    }

    @Test("kinds of refusals that find no room are counted as unreported")
    func refusalsAreBounded() {
        let bench = GateBench(.veth)
        for port in 1...Limits.stackRefusalsMaximum {
            #expect(
                bench.receive(SampleFrames(to: SampleFrames.outside).tcp(1, UInt16(port))).egress.count == 1)
        }
        #expect(bench.receive(SampleFrames(to: SampleFrames.outside).tcp(1, 60_000)).egress.isEmpty)
        #expect(bench.gate.counters.unreported == 1)
        #expect(bench.gate.nextDeadline != nil)
    }

    @Test("counters are reported when they have changed, every ten seconds at most")
    func counters() {
        let bench = GateBench(.veth)
        #expect(bench.gate.nextDeadline == nil)
        _ = bench.receive([])
        #expect(bench.tick().reports.count == 1)
        #expect(bench.gate.nextDeadline == nil)
        _ = bench.receive([])
        #expect(bench.gate.nextDeadline == bench.now + .seconds(10))
        #expect(bench.tick().isEmpty)
        bench.now = bench.now + .seconds(10)
        var expected = StackCounters()
        expected.frames = 2
        expected.malformed = 2
        #expect(bench.tick() == [.report(.counters(expected))])
    }

    @Test("no frame reaches libslirp that names a forbidden address, whatever its bytes")
    func gateHoldsUnderMutation() {
        let bench = GateBench()
        var numbers = SeededNumbers(state: 4)
        _ = bench.allow(Self.https, .tcp, until: nil)
        let samples = [
            out(), out(.ack, data: [1, 2]), SampleFrames().tcp(), SampleFrames().udp(), SampleFrames().icmp(),
            SampleFrames(to: SampleFrames.outside).udp(1, 443), SampleFrames().arp(),
        ]
        for round in 0..<20_000 {
            let frame = numbers.mutated(samples[round % samples.count])
            let effects = bench.receive(frame)
            guard effects.reachesStack else { continue }
            let packet = frame.ipv4
            #expect(packet?.source == SampleFrames.own)
            let destination = packet?.destination ?? IPv4Address(0, 0, 0, 0)
            #expect(destination == SampleFrames.outside || StackNetwork.isDialled(destination))
            _ = bench.passes(frame)
        }
    }
}
