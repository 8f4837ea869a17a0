import SidecarProtocol
import Testing

@Suite("The gate and connections that the sidecar cuts")
struct StackGateResetTests {
    /// The virtual address first.
    static let ends = FourTuple(
        source: IPv4Endpoint(SampleFrames.peer, 80), destination: IPv4Endpoint(SampleFrames.own, 40_000))

    /// A bench with a connection through its handshake: the workload's next number is 1001, libslirp's 501.
    private func connected() throws -> GateBench {
        let bench = GateBench()
        let id = try #require(bench.question(SampleFrames().tcp()))
        _ = bench.answer(id, .open)
        #expect(bench.passes(back([.syn, .ack], sequence: 500)) == .pass)
        #expect(bench.receive(SampleFrames().tcp(40_000, 80, .ack, sequence: 1001)).reachesStack)
        #expect(bench.registered(StackGateVirtualTests.peerFlow) == id)
        return bench
    }

    /// A frame of libslirp's to the workload.
    private func back(_ flags: TCPSegment.Flags, sequence: UInt32, data: [UInt8] = []) -> [UInt8] {
        var sample = SampleFrames(to: SampleFrames.own)
        sample.source = SampleFrames.peer
        return sample.tcp(80, 40_000, flags, sequence: sequence, acknowledgement: 1001, data: data)
    }

    @Test("the sidecar's reset reaches both ends, with numbers that they accept", arguments: [false, true])
    func reset(afterData: Bool) throws {
        let bench = try connected()
        if afterData {
            _ = bench.receive(SampleFrames().tcp(40_000, 80, .ack, sequence: 1001, data: [1, 2]))
            #expect(bench.passes(back(.ack, sequence: 501, data: [1, 2, 3])) == .pass)
        }
        let effects = bench.reset(Self.ends)
        let toWorkload = try #require(effects.frames.first?.tcp)
        #expect(toWorkload.flags == [.rst, .ack] && toWorkload.sequence == (afterData ? 504 : 501))
        #expect(effects.injected.first?.tcp?.sequence == (afterData ? 1003 : 1001))
        #expect(bench.reset(Self.ends).isEmpty)
        let late = bench.receive(SampleFrames().tcp(40_000, 80, .ack, sequence: 1003, data: [9]))
        #expect(!late.reachesStack && late.frames.first?.tcp?.flags == .rst)
        guard case .answer = bench.passes(back(.ack, sequence: 504, data: [3])) else {
            Issue.record("libslirp's frame passed")
            return
        }
        _ = bench.unregistered(StackGateVirtualTests.peerFlow)
        #expect(bench.question(SampleFrames().tcp(sequence: 9000)) != nil, "the addresses serve again")
    }

    @Test("a connection that isn't there any more leaves nothing behind for the next of its addresses")
    func late() throws {
        let bench = try connected()
        _ = bench.unregistered(StackGateVirtualTests.peerFlow)
        #expect(bench.reset(Self.ends).isEmpty)
        let id = try #require(bench.question(SampleFrames().tcp(sequence: 5000)))
        _ = bench.answer(id, .open)
        #expect(bench.passes(back([.syn, .ack], sequence: 900)) == .pass)
        #expect(bench.receive(SampleFrames().tcp(40_000, 80, .ack, sequence: 5001)).reachesStack)
    }

    @Test("other connections, and other workloads' addresses, are let alone")
    func others() throws {
        let bench = try connected()
        var ends = Self.ends
        ends.destination.port = 40_001
        #expect(bench.reset(ends).isEmpty)
        #expect(bench.reset(Self.ends.reversed).isEmpty)
        #expect(bench.passes(back([.fin, .ack], sequence: 501)) == .pass)
    }
}
