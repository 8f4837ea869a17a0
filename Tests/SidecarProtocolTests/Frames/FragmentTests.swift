import SidecarProtocol
import Testing

@Suite("Fragments of datagrams to virtual addresses")
struct FragmentTests {
    /// A datagram in pieces of `size` bytes, as the workload's kernel would write them.
    private func pieces(
        _ count: Int, size: Int = 16_360, to destination: IPv4Address = SampleFrames.peer
    ) -> (frames: [[UInt8]], data: [UInt8]) {
        let data = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let whole = SampleFrames(to: destination).udp(4000, 9000, data: data)
        let payload = Array(whole[34...])
        let frames = stride(from: 0, to: payload.count, by: size).map { offset in
            let end = min(offset + size, payload.count)
            var sample = SampleFrames(to: destination)
            sample.fragment = UInt16(offset / 8) | (end < payload.count ? 0x2000 : 0)
            return sample.ipv4(17, Array(payload[offset..<end]))
        }
        return (frames, data)
    }

    private func datagrams(_ effects: [StackGate.Effect]) -> [[UInt8]] {
        effects.reports.compactMap { if case .datagram(_, let data) = $0 { data } else { nil } }
    }

    @Test("a datagram in order is put together, the longest too", arguments: [16_400, 40_000, 65_507])
    func inOrder(count: Int) {
        let bench = GateBench()
        let (frames, data) = pieces(count)
        for frame in frames.dropLast() { #expect(bench.receive(frame).isEmpty) }
        let effects = bench.receive(frames[frames.count - 1])
        let tuple = FourTuple(
            source: IPv4Endpoint(SampleFrames.own, 4000), destination: IPv4Endpoint(SampleFrames.peer, 9000))
        #expect(effects == [.report(.datagram(tuple, data))])
        #expect(bench.receive(frames[frames.count - 1]).isEmpty, "the last piece alone is nothing")
    }

    @Test("a piece missing, twice or out of order drops the datagram, and the next one is whole again")
    func outOfOrder() {
        let bench = GateBench()
        let (frames, data) = pieces(50_000)
        for order in [[0, 2, 3], [1, 2, 3], [0, 1, 1, 2, 3], [0, 2, 1, 3], [3, 2, 1, 0]] {
            #expect(order.flatMap { datagrams(bench.receive(frames[$0])) }.isEmpty, "\(order)")
        }
        #expect(frames.flatMap { datagrams(bench.receive($0)) } == [data])
        #expect([0, 1, 0, 1, 2, 3].flatMap { datagrams(bench.receive(frames[$0])) } == [data])
    }

    @Test("a wrong checksum of the whole is noticed")
    func checksum() {
        let bench = GateBench()
        var (frames, _) = pieces(20_000)
        frames[1][frames[1].count - 1] ^= 1
        #expect(frames.flatMap { datagrams(bench.receive($0)) }.isEmpty)
    }

    @Test("so many datagrams wait for their rest, and one more drops the oldest")
    func partialsAreBounded() {
        for (count, isKept) in [
            (Limits.stackPartialsMaximum, true), (Limits.stackPartialsMaximum + 1, false),
        ] {
            let bench = GateBench()
            let all = (0..<count).map { pieces(20_000, to: IPv4Address(198, 18, 9, UInt8($0))) }
            for pieces in all { _ = bench.receive(pieces.frames[0]) }
            #expect(datagrams(bench.receive(all[0].frames[1])).isEmpty != isKept)
            #expect(datagrams(bench.receive(all[count - 1].frames[1])).count == 1)
        }
    }

    @Test("longer than a datagram can be, outside, on veth, TCP or spoofed: none is taken")
    func others() {
        let bench = GateBench()
        // Five pieces of 16,360 bytes would be 81,800.
        for index in 0..<5 {
            var sample = SampleFrames()
            sample.fragment = UInt16(index * 16_360 / 8) & 0x1FFF | (index < 4 ? 0x2000 : 0)
            #expect(bench.receive(sample.ipv4(17, Array(repeating: 1, count: 16_360))).isEmpty)
        }
        let outside = pieces(20_000, to: SampleFrames.outside).frames
        let before = bench.gate.counters.fragments
        for frame in outside { #expect(bench.receive(frame).isEmpty) }
        #expect(bench.gate.counters.fragments == before + 2)
        let veth = GateBench(.veth)
        for frame in pieces(20_000).frames { #expect(veth.receive(frame).isEmpty) }
        var spoofed = SampleFrames()
        spoofed.source = SampleFrames.outside
        spoofed.fragment = 0x2000
        #expect(bench.receive(spoofed.ipv4(17, Array(repeating: 0, count: 16))).isEmpty)
        var tcp = SampleFrames()
        tcp.fragment = 0x2000
        #expect(bench.receive(tcp.ipv4(6, Array(repeating: 0, count: 24))).isEmpty)
        #expect(bench.gate.counters.fragments == before + 4 && veth.gate.counters.fragments == 2)
    }

    @Test("fragments of any bytes break nothing, and make no datagram longer than one can be")
    func mutation() {
        let bench = GateBench()
        var numbers = SeededNumbers(state: 6)
        let frames = pieces(1_000, size: 200).frames
        for round in 0..<20_000 {
            var frame = frames[numbers.below(frames.count)]
            if round % 3 > 0 { frame = numbers.mutated(frame) }
            for data in datagrams(bench.receive(frame)) { #expect(data.count <= Limits.datagramBytesMaximum) }
        }
    }
}
