import SidecarProtocol
import Testing

@Suite("Frames")
struct FrameTests {
    // MARK: Checksums

    @Test("RFC 1071's example sums to ddf2")
    func checksumOfTheRFC() {
        let bytes: [UInt8] = [0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]
        var checksum = InternetChecksum()
        checksum.add(bytes.span.bytes)
        #expect(checksum.value == ~0xDDF2)
    }

    @Test("a captured IPv4 header has the checksum b861")
    func checksumOfAHeader() throws {
        let header = try #require(
            [UInt8](hex: "450000730000400040110000c0a80001c0a800c7"))
        var checksum = InternetChecksum()
        checksum.add(header.span.bytes)
        #expect(checksum.value == 0xB861)
    }

    @Test("sums of every length agree with the word by word definition, whole or in parts")
    func checksumsAgree() {
        var numbers = SeededNumbers(state: 1)
        for count in 0...200 {
            let bytes = numbers.bytes(count)
            let cut = numbers.below(count / 2 + 1) * 2
            var whole = InternetChecksum()
            whole.add(bytes.span.bytes)
            var parts = InternetChecksum()
            parts.add(bytes.span.bytes.extracting(0..<cut))
            parts.add(bytes.span.bytes.extracting(cut..<count))
            #expect(whole.value == SampleFrames.checksum(bytes))
            #expect(parts.value == whole.value)
        }
    }

    // MARK: Reading

    @Test("a TCP segment is read with its addresses, numbers and flags")
    func tcpIsRead() throws {
        let frame = SampleFrames().tcp(
            4321, 443, [.ack, .push], sequence: 7, acknowledgement: 9, data: [1, 2, 3])
        let packet = try #require(frame.ipv4)
        #expect(packet.source == SampleFrames.own && packet.destination == SampleFrames.peer)
        #expect(packet.hardwareSource == SampleFrames.hardware)
        let segment = try #require(frame.tcp)
        #expect(segment.sourcePort == 4321 && segment.destinationPort == 443)
        #expect(segment.sequence == 7 && segment.acknowledgement == 9)
        #expect(segment.flags == [.ack, .push] && segment.dataCount == 3 && !segment.isOpening)
    }

    @Test("padding after the packet isn't taken for data")
    func paddingIsIgnored() throws {
        let frame = SampleFrames().udp(1, 2, data: [5]) + [0, 0, 0, 0]
        let datagram = try #require(frame.udp)
        #expect(Array(frame[datagram.data]) == [5])
    }

    @Test("a UDP datagram of a wrong checksum isn't read; one without a checksum is")
    func udpChecksum() {
        var frame = SampleFrames().udp(1, 2, data: [5, 6])
        frame[frame.count - 1] ^= 1
        #expect(frame.udp == nil)
        frame[14 + 20 + 6] = 0
        frame[14 + 20 + 7] = 0
        #expect(frame.udp != nil)
    }

    @Test("options, fragments and other types are told apart")
    func flaws() {
        var withOptions = SampleFrames()
        withOptions.options = [131, 3, 4, 0]
        #expect(withOptions.tcp().flaw == .options)
        for fragment: UInt16 in [0x2000, 0x0001, 0x3FFF] {
            var piece = SampleFrames()
            piece.fragment = fragment
            #expect(piece.udp().flaw == .fragment)
        }
        var ipv6 = SampleFrames().tcp()
        ipv6[12] = 0x86
        ipv6[13] = 0xDD
        #expect(ipv6.flaw == .etherType(0x86DD))
    }

    @Test("no frame of any bytes breaks the reader, and what is read lies within the frame")
    func readerHoldsUnderMutation() {
        var numbers = SeededNumbers(state: 2)
        let samples = [
            SampleFrames().tcp(data: [1, 2, 3, 4]), SampleFrames().udp(), SampleFrames().icmp(),
            SampleFrames().arp(),
        ]
        for round in 0..<20_000 {
            let frame = numbers.mutated(samples[round % samples.count])
            guard let packet = frame.ipv4 else { continue }
            #expect(packet.payload.upperBound <= frame.count)
            if let segment = TCPSegment(packet, in: frame.span.bytes) {
                #expect(segment.dataCount <= packet.payload.count - 20)
            }
            if let datagram = UDPDatagram(packet, in: frame.span.bytes) {
                #expect(datagram.data.upperBound <= packet.payload.upperBound)
            }
            _ = ICMPMessage(packet, in: frame.span.bytes)
        }
    }

    // MARK: Addresses

    @Test(
        "addresses reach as far as their range says",
        arguments: [
            ("0.0.0.0", AddressReach.never), ("0.255.255.255", .never), ("1.0.0.0", .outward),
            ("9.255.255.255", .outward), ("10.0.0.0", .inward), ("10.255.255.255", .inward),
            ("11.0.0.0", .outward), ("100.63.255.255", .outward), ("100.64.0.0", .inward),
            ("100.127.255.255", .inward), ("100.128.0.0", .outward), ("126.255.255.255", .outward),
            ("127.0.0.0", .never), ("127.255.255.255", .never), ("128.0.0.0", .outward),
            ("169.253.255.255", .outward), ("169.254.169.254", .inward), ("169.255.0.0", .outward),
            ("172.15.255.255", .outward), ("172.16.0.0", .inward), ("172.31.255.255", .inward),
            ("172.32.0.0", .outward), ("192.0.0.255", .inward), ("192.0.1.0", .outward),
            ("192.167.255.255", .outward), ("192.168.0.0", .inward), ("192.169.0.0", .outward),
            ("198.17.255.255", .outward), ("198.18.0.0", .never), ("198.19.255.255", .never),
            ("198.20.0.0", .outward), ("223.255.255.255", .outward), ("224.0.0.1", .never),
            ("255.255.255.255", .never),
        ])
    func reaches(text: String, reach: AddressReach) throws {
        let address = try #require(IPv4Address(text))
        #expect(AddressReach(address) == reach && address.description == text)
    }
}
