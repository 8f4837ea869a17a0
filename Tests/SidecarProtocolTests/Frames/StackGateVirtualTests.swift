import SidecarProtocol
import Testing

@Suite("The gate and virtual addresses")
struct StackGateVirtualTests {
    @Test("where an address is served its connections are let in unasked, until it is withdrawn")
    func served() throws {
        let bench = GateBench()
        bench.gate.serve(Self.peerFlow.destination)
        let first = bench.receive(SampleFrames().tcp())
        #expect(first == [.forward(Self.peerFlow.destination), .input(Self.peerFlow)])
        // Sent again: the same connection, which is opening.
        #expect(bench.receive(SampleFrames().tcp()) == [.input(Self.peerFlow)])
        #expect(bench.registered(Self.peerFlow) != nil)
        let second = bench.receive(SampleFrames().tcp(40_001))
        #expect(second.count == 1 && second.reachesStack)
        #expect(bench.question(SampleFrames().tcp(40_002, 81)) != nil, "another port is asked for")
        bench.gate.withdraw(Self.peerFlow.destination)
        #expect(bench.question(SampleFrames().tcp(40_003)) != nil)
    }

    @Test(
        "connections that are let in unasked count, and those beyond the cap are refused", arguments: [2, 3])
    func servedBeyondCap(count: Int) throws {
        let bench = GateBench(flowsMaximum: 2)
        bench.gate.serve(Self.peerFlow.destination)
        var last: [StackGate.Effect] = []
        for index in 0..<count { last = bench.receive(SampleFrames().tcp(40_000 + UInt16(index))) }
        #expect(last.reachesStack == (count == 2))
        #expect((last.frames.first?.tcp?.flags.contains(.rst) == true) == (count == 3))
    }

    @Test("beyond so many served addresses connections are asked for", arguments: [0, 1])
    func servedMaximum(beyond: Int) {
        let bench = GateBench()
        for index in 0..<Limits.stackForwardsMaximum - 1 + beyond {
            bench.gate.serve(IPv4Endpoint(IPv4Address(198, 18, 9, 9), UInt16(1000 + index)))
        }
        bench.gate.serve(Self.peerFlow.destination)
        #expect((bench.question(SampleFrames().tcp()) != nil) == (beyond == 1))
    }

    static let peerFlow = StackFlow(
        .tcp, sourcePort: 40_000, destination: IPv4Endpoint(SampleFrames.peer, 80))

    @Test("a connection is held until the sidecar says open, then forwarded and let in")
    func open() throws {
        let bench = GateBench()
        let frame = SampleFrames().tcp()
        let asked = bench.receive(frame)
        #expect(asked.count == 1)
        guard case .report(.question(let id, let tuple)) = asked[0] else {
            Issue.record("no question: \(asked)")
            return
        }
        #expect(tuple.source == IPv4Endpoint(SampleFrames.own, 40_000))
        #expect(tuple.destination == IPv4Endpoint(SampleFrames.peer, 80))
        #expect(bench.receive(frame).isEmpty, "a repeated SYN asks no second time")
        #expect(
            bench.answer(id, .open) == [
                .forward(IPv4Endpoint(SampleFrames.peer, 80)), .inject(frame, Self.peerFlow),
            ])
        let ack = SampleFrames().tcp(40_000, 80, .ack)
        #expect(bench.receive(ack) == [.input(Self.peerFlow)])
        #expect(bench.registered(Self.peerFlow) == id)
        #expect(bench.registered(Self.peerFlow) == nil, "a question is given out once")
        #expect(bench.answer(id, .open).isEmpty)
    }

    @Test("a second connection to the same service needs no second entry")
    func forwardsAreKept() throws {
        let bench = GateBench()
        let first = try #require(bench.question(SampleFrames().tcp(1)))
        let second = try #require(bench.question(SampleFrames().tcp(2)))
        #expect(bench.answer(first, .open).contains(.forward(IPv4Endpoint(SampleFrames.peer, 80))))
        #expect(!bench.answer(second, .open).contains(.forward(IPv4Endpoint(SampleFrames.peer, 80))))
    }

    @Test("libslirp gets so many entries, and a connection that needs one more is refused")
    func forwardsAreBounded() throws {
        let bench = GateBench(flowsMaximum: .max)
        for port in 1...Limits.stackForwardsMaximum {
            let id = try #require(bench.question(SampleFrames().tcp(1, UInt16(port))))
            #expect(bench.answer(id, .open).count == 2)
        }
        let next = UInt16(Limits.stackForwardsMaximum + 1)
        let more = try #require(bench.question(SampleFrames().tcp(1, next)))
        #expect(bench.answer(more, .open).frames.first?.tcp?.flags == [.rst, .ack])
        let known = try #require(bench.question(SampleFrames().tcp(2, 1)))
        #expect(bench.answer(known, .open).reachesStack)
    }

    @Test("a refused connection is reset, and may be tried again")
    func refuse() throws {
        let bench = GateBench()
        let id = try #require(bench.question(SampleFrames().tcp()))
        let answered = bench.answer(id, .refuse)
        #expect(answered.count == 1 && answered.frames[0].tcp?.flags == [.rst, .ack])
        #expect(bench.question(SampleFrames().tcp()) != nil)
    }

    @Test("without an answer a connection is refused in time; wait gives it longer, and not for ever")
    func deadlines() throws {
        let bench = GateBench()
        let silent = try #require(bench.question(SampleFrames().tcp(1)))
        let waiting = try #require(bench.question(SampleFrames().tcp(2)))
        #expect(bench.answer(waiting, .wait).isEmpty)
        #expect(bench.gate.nextDeadline != nil)
        let start = bench.now
        bench.now = start + Limits.stackAnswerTime
        #expect(bench.tick().frames.map { $0.tcp?.destinationPort } == [1])
        #expect(bench.answer(silent, .open).isEmpty, "too late")
        bench.now = start + Limits.stackWaitTime
        #expect(bench.tick().frames.map { $0.tcp?.destinationPort } == [2])
    }

    @Test("at most so many connections are held at once")
    func heldIsBounded() {
        let bench = GateBench()
        for port in 1...Limits.stackHeldMaximum {
            #expect(bench.question(SampleFrames().tcp(UInt16(port))) != nil)
        }
        let refused = bench.receive(SampleFrames().tcp(UInt16(Limits.stackHeldMaximum + 1)))
        #expect(refused.frames.count == 1 && refused.reports.isEmpty)
    }

    @Test("a first segment that is too long to hold is refused")
    func heldSegmentIsBounded() {
        let bench = GateBench()
        let room = Limits.stackHeldBytesMaximum - 54
        #expect(bench.question(SampleFrames().tcp(1, data: Array(repeating: 0, count: room))) != nil)
        let long = bench.receive(SampleFrames().tcp(2, data: Array(repeating: 0, count: room + 1)))
        #expect(long.frames.count == 1 && long.reports.isEmpty)
    }

    @Test("sockets and connections on their way to one are capped together")
    func flowsAreBounded() throws {
        let bench = GateBench(flowsMaximum: 3)
        let id = try #require(bench.question(SampleFrames().tcp(1)))
        _ = bench.answer(id, .open)
        _ = bench.registered(
            StackFlow(.udp, sourcePort: 9, destination: IPv4Endpoint(SampleFrames.outside, 9)))
        #expect(bench.question(SampleFrames().tcp(2)) != nil)
        #expect(bench.receive(SampleFrames().tcp(3)).frames.count == 1)
        _ = bench.unregistered(nil)
        #expect(bench.question(SampleFrames().tcp(3)) != nil)
    }

    @Test("a let-in connection that never ends its handshake gives its place back")
    func openingsExpire() throws {
        let bench = GateBench(flowsMaximum: 1)
        let id = try #require(bench.question(SampleFrames().tcp(1)))
        _ = bench.answer(id, .open)
        #expect(bench.question(SampleFrames().tcp(2)) == nil)
        bench.now = bench.now + .seconds(80)
        _ = bench.tick()
        #expect(bench.question(SampleFrames().tcp(2)) != nil)
        #expect(bench.registered(Self.peerFlow) == nil)
    }

    @Test("datagrams to virtual addresses travel as messages, both ways")
    func datagrams() throws {
        let bench = GateBench()
        let tuple = FourTuple(
            source: IPv4Endpoint(SampleFrames.own, 4000),
            destination: IPv4Endpoint(StackNetwork.nameService, 53))
        let query = SampleFrames(to: StackNetwork.nameService).udp(4000, 53, data: [1, 2, 3])
        #expect(bench.receive(query) == [.report(.datagram(tuple, [1, 2, 3]))])
        bench.effects.removeAll()
        bench.gate.deliver(tuple.reversed, [9, 8], effects: &bench.effects)
        let frame = try #require(bench.effects.frames.first)
        #expect(frame.udp.map { Array(frame[$0.data]) } == [9, 8])
        bench.effects.removeAll()
        bench.gate.unreachable(tuple, effects: &bench.effects)
        #expect(bench.effects.frames.first?.icmp?.code == 3)
    }

    @Test("the sidecar can speak to the workload for virtual addresses only")
    func deliveriesAreChecked() {
        let bench = GateBench()
        let outside = FourTuple(
            source: IPv4Endpoint(SampleFrames.outside, 1), destination: IPv4Endpoint(SampleFrames.own, 2))
        bench.gate.deliver(outside, [1], effects: &bench.effects)
        let elsewhere = FourTuple(
            source: IPv4Endpoint(SampleFrames.peer, 1), destination: IPv4Endpoint(SampleFrames.outside, 2))
        bench.gate.deliver(elsewhere, [1], effects: &bench.effects)
        bench.gate.unreachable(elsewhere, effects: &bench.effects)
        #expect(bench.effects.isEmpty)
    }

    @Test("gateway and peers answer pings; on veth the gateway alone comes this way")
    func pings() {
        let slirp = GateBench(.slirp)
        let veth = GateBench(.veth)
        for (address, fromSlirp, fromVeth) in [
            (StackNetwork.gateway, UInt8(0), UInt8(0)), (SampleFrames.peer, 0, 3),
            (IPv4Address(198, 19, 7, 8), 3, 3), (SampleFrames.outside, 3, 3),
        ] {
            let ping = SampleFrames(to: address).icmp()
            #expect(slirp.receive(ping).frames.first?.icmp?.type == fromSlirp, "\(address) on slirp")
            #expect(veth.receive(ping).frames.first?.icmp?.type == fromVeth, "\(address) on veth")
        }
        #expect(slirp.receive(SampleFrames().icmp(type: 3)).isEmpty, "an error answers no error")
    }

    @Test("ARP is answered for the virtual network, and not for one's own address")
    func arp() {
        let bench = GateBench()
        #expect(bench.receive(SampleFrames().arp()).frames.count == 1)
        #expect(bench.receive(SampleFrames().arp(target: SampleFrames.peer)).frames.count == 1)
        #expect(bench.receive(SampleFrames().arp(target: SampleFrames.own)).isEmpty)
        #expect(bench.receive(SampleFrames().arp(target: SampleFrames.outside)).isEmpty)
        #expect(bench.receive(SampleFrames().arp(operation: 2)).isEmpty)
    }

    @Test(
        "addresses of the network that are nobody's refuse at once",
        arguments: [
            StackNetwork.gateway, StackNetwork.unusedNameServer, IPv4Address(198, 19, 7, 8), SampleFrames.own,
        ])
    func nobody(address: IPv4Address) {
        let bench = GateBench()
        let tcp = bench.receive(SampleFrames(to: address).tcp())
        #expect(tcp.count == 1 && tcp.frames.first?.tcp?.flags.contains(.rst) == true)
        let udp = bench.receive(SampleFrames(to: address).udp(1, 67))
        #expect(udp.count == 1 && udp.frames.first?.icmp?.code == 3)
        for port: UInt16 in [53, 67, 69] {
            #expect(!bench.receive(SampleFrames(to: address).udp(1, port)).reachesStack)
        }
    }

    @Test("on veth no virtual address is asked for")
    func vethHasNoVirtualAddresses() {
        let bench = GateBench(.veth)
        let tcp = bench.receive(SampleFrames().tcp())
        #expect(tcp.count == 1 && tcp.frames.first?.tcp?.flags == [.rst, .ack])
        #expect(bench.receive(SampleFrames().udp()).frames.first?.icmp?.code == 3)
    }

    @Test("frames of another source, hardware or address, go nowhere")
    func spoofing() {
        let bench = GateBench()
        var frames: [SampleFrames] = []
        var hardware = SampleFrames()
        hardware.hardware = HardwareAddress(number: 0x0200_0000_0002)
        frames.append(hardware)
        for address in [SampleFrames.peer, IPv4Address(127, 0, 0, 1), IPv4Address(0, 0, 0, 0)] {
            var source = SampleFrames()
            source.source = address
            frames.append(source)
        }
        for sample in frames {
            #expect(bench.receive(sample.tcp()).isEmpty)
            #expect(bench.receive(sample.udp()).isEmpty)
            #expect(bench.receive(sample.icmp()).isEmpty)
        }
        #expect(bench.receive(hardware.arp()).isEmpty)
        #expect(bench.gate.counters.spoofed == 13)
    }

    @Test("multicast, broadcast, foreign types and fragments are dropped and counted")
    func unserved() {
        let bench = GateBench()
        for address in [IPv4Address(224, 0, 0, 251), IPv4Address(255, 255, 255, 255)] {
            #expect(bench.receive(SampleFrames(to: address).udp()).isEmpty)
        }
        var broadcast = SampleFrames()
        broadcast.toHardware = .broadcast
        #expect(bench.receive(broadcast.udp(68, 67)).isEmpty)
        var ncsi = SampleFrames().udp()
        ncsi[12] = 0x88
        ncsi[13] = 0xF8
        #expect(bench.receive(ncsi).isEmpty)
        #expect(bench.gate.counters.unserved == 4)
        var piece = SampleFrames(to: SampleFrames.outside)
        piece.fragment = 0x2000
        #expect(bench.receive(piece.udp()).isEmpty)
        #expect(bench.gate.counters.fragments == 1)
        #expect(bench.receive([1, 2, 3]).isEmpty)
        #expect(bench.gate.counters.malformed == 1 && bench.gate.counters.frames == 6)
    }
}
