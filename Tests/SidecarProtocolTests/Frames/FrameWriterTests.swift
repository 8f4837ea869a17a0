import SidecarProtocol
import Testing

@Suite("Frames that the stack writes")
struct FrameWriterTests {
    var writer = FrameWriter(workload: SampleFrames.hardware)

    @Test("a reset answers a SYN as RFC 9293 says: sequence 0, and the SYN acknowledged")
    func resetOfSYN() throws {
        let frame = SampleFrames().tcp(40_000, 80, .syn, sequence: 0xFFFF_FFFF, data: [1, 2])
        let question = try #require(frame.ipv4)
        let segment = try #require(frame.tcp)
        let answer = try #require(writer.reset(answering: segment, of: question))
        let read = try #require(answer.ipv4)
        #expect(read.source == SampleFrames.peer && read.destination == SampleFrames.own)
        #expect(read.hardwareDestination == SampleFrames.hardware)
        let reset = try #require(answer.tcp)
        #expect(reset.sourcePort == 80 && reset.destinationPort == 40_000)
        #expect(reset.flags == [.rst, .ack] && reset.sequence == 0 && reset.acknowledgement == 2)
        #expect(answer.hasRightTransportSum)
    }

    @Test("a reset answers an acknowledgement at the number that it expects, and never a reset")
    func resetOfACK() throws {
        let frame = SampleFrames().tcp(1, 2, .ack, sequence: 5, acknowledgement: 77)
        let question = try #require(frame.ipv4)
        var segment = try #require(frame.tcp)
        let answer = try #require(writer.reset(answering: segment, of: question))
        let reset = try #require(answer.tcp)
        #expect(reset.flags == .rst && reset.sequence == 77)
        segment.flags = .rst
        #expect(writer.reset(answering: segment, of: question) == nil)
    }

    @Test("datagrams to the workload carry right checksums, at every small length")
    func datagrams() throws {
        var writer = writer
        var numbers = SeededNumbers(state: 3)
        let tuple = FourTuple(
            source: IPv4Endpoint(SampleFrames.peer, 53), destination: IPv4Endpoint(SampleFrames.own, 4000))
        for count in 0...130 {
            let data = numbers.bytes(count)
            let frames = writer.datagram(tuple, data)
            #expect(frames.count == 1)
            let datagram = try #require(frames[0].udp)
            #expect(Array(frames[0][datagram.data]) == data)
            #expect(frames[0].hasRightTransportSum)
        }
    }

    @Test("a long datagram goes in fragments that fit, and together are the datagram")
    func fragments() {
        var writer = writer
        let tuple = FourTuple(
            source: IPv4Endpoint(SampleFrames.peer, 53), destination: IPv4Endpoint(SampleFrames.own, 4000))
        let data = (0..<Limits.datagramBytesMaximum).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let frames = writer.datagram(tuple, data)
        #expect(frames.count == 5)
        var whole: [UInt8] = []
        for (index, frame) in frames.enumerated() {
            #expect(frame.count <= 14 + StackNetwork.transmissionUnit)
            #expect(SampleFrames.checksum(Array(frame[14..<34])) == 0)
            let field = UInt16(frame[20]) << 8 | UInt16(frame[21])
            #expect(Int(field & 0x1FFF) * 8 == whole.count)
            #expect((field & 0x2000 != 0) == (index < frames.count - 1))
            #expect(Array(frame[18..<20]) == Array(frames[0][18..<20]))
            whole += frame[34...]
        }
        #expect(Array(whole[8...]) == data)
        #expect(writer.datagram(tuple, data + [0]).isEmpty)
    }

    @Test("an echo reply returns identifier, number and data")
    func echo() throws {
        let frame = SampleFrames(to: StackNetwork.gateway).icmp()
        let question = try #require(frame.ipv4)
        let message = try #require(frame.icmp)
        let answer = writer.echoReply(to: message, of: question, in: frame.span.bytes)
        let read = try #require(answer.ipv4)
        let reply = try #require(answer.icmp)
        #expect(reply.type == 0 && read.source == StackNetwork.gateway)
        #expect(Array(answer[38...]) == Array(frame[38...]))
    }

    @Test("an unreachable carries the beginning of what it answers")
    func unreachable() throws {
        let frame = SampleFrames().udp(1111, 2222, data: Array(repeating: 7, count: 300))
        let question = try #require(frame.ipv4)
        let answer = writer.unreachable(
            .administrativelyProhibited, answering: question, in: frame.span.bytes,
            from: StackNetwork.gateway)
        let message = try #require(answer.icmp)
        #expect(message.type == 3 && message.code == 13)
        #expect(Array(answer[42..<42 + 84]) == Array(frame[14..<14 + 84]))
        #expect(answer.count == 42 + 84)
    }

    @Test("an ARP answer says the gateway's address, a port unreachable names the datagram's ports")
    func others() throws {
        let request = SampleFrames().arp()
        let packet = try #require(request.arp)
        let answer = writer.answer(to: packet)
        #expect(Array(answer[0..<6]) == Array(request[6..<12]))
        #expect(answer[22..<28].hex == "5255c6120001")
        #expect(Array(answer[28..<32]) == Array(request[38..<42]))

        let tuple = FourTuple(
            source: IPv4Endpoint(SampleFrames.own, 1111), destination: IPv4Endpoint(SampleFrames.peer, 2222))
        let unreachable = writer.portUnreachable(tuple)
        let message = try #require(unreachable.icmp)
        #expect(message.type == 3 && message.code == 3)
        #expect(unreachable[62..<66].hex == "045708ae")
    }
}
