import SidecarProtocol
import Testing

@Suite struct StackGateResetTests {
    /// What libslirp writes to the workload in the name of a peer.
    func back(_ flags: TCPSegment.Flags, sequence: UInt32, data: [UInt8] = []) -> [UInt8] {
        var frames = SampleFrames(to: SampleFrames.own)
        frames.source = SampleFrames.peer
        return frames.tcp(443, 40_000, flags, sequence: sequence, acknowledgement: 1001, data: data)
    }

    let tuple = FourTuple(
        source: IPv4Endpoint(SampleFrames.peer, 443), destination: IPv4Endpoint(SampleFrames.own, 40_000))

    @Test("a flow that the sidecar cuts ends by a reset at both ends, in place of libslirp's FIN")
    func cut() throws {
        let bench = GateBench(.slirp)
        #expect(bench.passes(back(.ack, sequence: 500, data: [1, 2])) == .pass)
        bench.gate.reset(tuple)
        guard case .reset(let workload, let stack) = bench.passes(back([.fin, .ack], sequence: 502)) else {
            Issue.record("libslirp's FIN passed")
            return
        }
        let toWorkload = try #require(workload.tcp)
        #expect(toWorkload.flags == [.rst, .ack] && toWorkload.sequence == 502)
        #expect(toWorkload.sourcePort == 443 && toWorkload.destinationPort == 40_000)
        let toStack = try #require(stack.tcp)
        #expect(toStack.flags == .rst && toStack.sequence == 1001 && toStack.sourcePort == 40_000)
    }

    @Test("other flows end as libslirp ends them")
    func others() {
        let bench = GateBench(.slirp)
        bench.gate.reset(
            FourTuple(
                source: IPv4Endpoint(SampleFrames.peer, 443),
                destination: IPv4Endpoint(SampleFrames.own, 40_001)))
        #expect(bench.passes(back([.fin, .ack], sequence: 502)) == .pass)
    }

    @Test("a reset is used up by the flow that it was for")
    func once() {
        let bench = GateBench(.slirp)
        bench.gate.reset(tuple)
        _ = bench.passes(back([.fin, .ack], sequence: 502))
        #expect(bench.passes(back([.syn, .ack], sequence: 1)) == .pass)
    }
}
