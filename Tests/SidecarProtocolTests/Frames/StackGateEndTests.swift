import SidecarProtocol
import Testing

@Suite("The gate and connections that have ended")
struct StackGateEndTests {
    private enum Side: CaseIterable { case peer, egress }

    /// A connection through its handshake: the workload's next number is 1001, libslirp's 501.
    private struct Bench {
        let gate = GateBench()
        let side: Side
        var port: UInt16 { side == .peer ? 80 : 443 }
        var address: IPv4Address { side == .peer ? SampleFrames.peer : SampleFrames.outside }
        var flow: StackFlow {
            StackFlow(.tcp, sourcePort: 40_000, destination: IPv4Endpoint(address, port))
        }

        init(_ side: Side) throws {
            self.side = side
            try begin(1000, 500)
        }

        func begin(_ own: UInt32, _ back: UInt32) throws {
            let opening = workload(.syn, own, acknowledging: 0)
            switch side {
            case .peer:
                _ = gate.answer(try #require(gate.question(opening)), .open)
            case .egress:
                #expect(gate.allow(flow.destination, .tcp, until: nil))
                #expect(gate.receive(opening).reachesStack)
                _ = gate.registered(flow)
            }
            #expect(stack([.syn, .ack], back, acknowledging: own &+ 1) == .pass)
            #expect(gate.receive(workload(.ack, own &+ 1, acknowledging: back &+ 1)).reachesStack)
            if side == .peer { #expect(gate.registered(flow) != nil) }
        }

        func workload(
            _ flags: TCPSegment.Flags, _ sequence: UInt32, acknowledging: UInt32, data: [UInt8] = []
        ) -> [UInt8] {
            SampleFrames(to: address).tcp(
                40_000, port, flags, sequence: sequence, acknowledgement: acknowledging, data: data)
        }

        func stack(_ flags: TCPSegment.Flags, _ sequence: UInt32, acknowledging: UInt32)
            -> StackGate.Passage
        {
            var sample = SampleFrames(to: SampleFrames.own)
            sample.source = address
            return gate.passes(
                sample.tcp(port, 40_000, flags, sequence: sequence, acknowledgement: acknowledging))
        }
    }

    @Test("once both ends are acknowledged libslirp is to let go, and not before", arguments: Side.allCases)
    private func peerFirst(_ side: Side) throws {
        let bench = try Bench(side)
        #expect(bench.stack([.fin, .ack], 501, acknowledging: 1001) == .pass)
        // Data still flows the other way.
        _ = bench.gate.receive(bench.workload(.ack, 1001, acknowledging: 502, data: [1, 2, 3]))
        _ = bench.gate.receive(bench.workload([.fin, .ack], 1004, acknowledging: 502))
        #expect(bench.stack(.ack, 502, acknowledging: 1004) == .pass)
        #expect(bench.gate.gate.takeFinished().isEmpty)
        #expect(bench.gate.gate.release(bench.flow) == nil)
        #expect(bench.stack(.ack, 502, acknowledging: 1005) == .pass)
        #expect(bench.gate.gate.takeFinished() == [bench.flow])
        let reset = try #require(bench.gate.gate.release(bench.flow)?.tcp)
        #expect(reset.flags == .rst && reset.sequence == 1005 && reset.destinationPort == bench.port)
        #expect(bench.gate.gate.takeFinished().isEmpty)
    }

    @Test("both may end at once, in either order of the acknowledgements", arguments: Side.allCases)
    private func together(_ side: Side) throws {
        let bench = try Bench(side)
        _ = bench.gate.receive(bench.workload([.fin, .ack], 1001, acknowledging: 501))
        #expect(bench.stack([.fin, .ack], 501, acknowledging: 1001) == .pass)
        #expect(bench.stack(.ack, 502, acknowledging: 1002) == .pass)
        #expect(bench.gate.gate.takeFinished().isEmpty)
        #expect(bench.gate.receive(bench.workload(.ack, 1002, acknowledging: 502)).reachesStack)
        #expect(bench.gate.gate.takeFinished() == [bench.flow])
        #expect(bench.gate.gate.release(bench.flow) != nil)
    }

    @Test("a repeated end counts once", arguments: Side.allCases)
    private func repeated(_ side: Side) throws {
        let bench = try Bench(side)
        for _ in 0..<2 { #expect(bench.stack([.fin, .ack], 501, acknowledging: 1001) == .pass) }
        for _ in 0..<2 { _ = bench.gate.receive(bench.workload([.fin, .ack], 1001, acknowledging: 502)) }
        for _ in 0..<2 { #expect(bench.stack(.ack, 502, acknowledging: 1002) == .pass) }
        #expect(bench.gate.gate.takeFinished() == [bench.flow])
    }

    @Test("a new connection of the same addresses isn't let go for the old one", arguments: Side.allCases)
    private func reused(_ side: Side) throws {
        let bench = try Bench(side)
        #expect(bench.stack([.fin, .ack], 501, acknowledging: 1001) == .pass)
        _ = bench.gate.receive(bench.workload([.fin, .ack], 1001, acknowledging: 502))
        #expect(bench.stack(.ack, 502, acknowledging: 1002) == .pass)
        _ = bench.gate.unregistered(bench.flow)
        #expect(bench.gate.gate.takeFinished() == [bench.flow])
        #expect(bench.gate.gate.release(bench.flow) == nil)
        try bench.begin(9000, 7000)
        #expect(bench.gate.gate.release(bench.flow) == nil)
    }
}
