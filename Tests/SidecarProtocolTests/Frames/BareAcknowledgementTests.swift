import SidecarProtocol
import Testing

@Suite("Acknowledgements that say nothing else")
struct BareAcknowledgementTests {
    private func frame(
        _ flags: TCPSegment.Flags = .ack, to port: UInt16 = 40_000, number: UInt32 = 1000, data: [UInt8] = []
    ) -> [UInt8] {
        var sample = SampleFrames(to: SampleFrames.own)
        sample.source = SampleFrames.peer
        return sample.tcp(80, port, flags, sequence: 7, acknowledgement: number, data: data)
    }

    private func read(_ frame: [UInt8]) -> BareAcknowledgement? { BareAcknowledgement(frame.span.bytes) }

    @Test("one of a greater number overtakes, also across the end of the numbers", arguments: [0, 999, .max])
    func overtaken(number: UInt32) throws {
        let earlier = try #require(read(frame(number: number)))
        let later = try #require(read(frame(number: number &+ 1)))
        #expect(earlier.isOvertaken(by: later))
        #expect(!later.isOvertaken(by: earlier))
        #expect(!earlier.isOvertaken(by: earlier), "it may tell of a loss, or of an open window")
    }

    @Test("one of another connection doesn't")
    func other() throws {
        let earlier = try #require(read(frame()))
        #expect(!earlier.isOvertaken(by: try #require(read(frame(to: 40_001, number: 2000)))))
        var sample = SampleFrames(to: SampleFrames.own)
        sample.source = IPv4Address(198, 18, 7, 9)
        let stranger = sample.tcp(80, 40_000, .ack, sequence: 7, acknowledgement: 2000)
        #expect(!earlier.isOvertaken(by: try #require(read(stranger))))
    }

    @Test("whatever says more is none", arguments: [TCPSegment.Flags.syn, .fin, .rst, .push])
    func flags(flag: TCPSegment.Flags) {
        #expect(read(frame([.ack, flag])) == nil)
        #expect(read(frame(flag)) == nil)
    }

    @Test("neither is data, another protocol, or a frame of another length")
    func others() {
        #expect(read(frame(data: [1])) == nil)
        #expect(read(SampleFrames().udp(data: Array(repeating: 0, count: 12))) == nil)
        #expect(read(SampleFrames().arp() + Array(repeating: 0, count: 12)) == nil)
        #expect(read([]) == nil)
        #expect(read(Array(frame().dropLast())) == nil)
        #expect(read(frame() + [0]) == nil)
    }
}
