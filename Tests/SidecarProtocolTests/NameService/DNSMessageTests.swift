import SidecarProtocol
import Testing

@Suite struct DNSMessageTests {
    /// A query as dig sends it.
    func query(_ name: String, type: UInt16, edns: Bool = false, id: UInt16 = 0x1234) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(id >> 8), UInt8(id & 0xFF), 1, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0]
        for label in name.split(separator: ".") { bytes += [UInt8(label.utf8.count)] + Array(label.utf8) }
        bytes += [0, UInt8(type >> 8), UInt8(type & 0xFF), 0, 1]
        if edns { bytes += [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0] }
        return bytes
    }

    @Test("a question is read, in lower case")
    func reads() throws {
        let question = try DNSQuestion(reading: query("Web.MESH", type: 1, edns: true))
        #expect(question.name == "web.mesh")
        #expect(question.kind == .a)
        #expect(question.recursionDesired)
        #expect(question.hasEDNS && question.payloadBytesMaximum == 1232)
    }

    @Test("an address answer has the question's id, section and one record")
    func answersAddress() throws {
        let bytes = query("web.mesh", type: 1)
        let question = try DNSQuestion(reading: bytes)
        let answer = question.answer(addresses: [IPAddress(v4: 0xC612_0104)])
        #expect(Array(answer[0..<2]) == [0x12, 0x34])
        #expect(answer[2] & 0x80 != 0 && answer[3] & 0x0F == 0)
        #expect(Array(answer[12..<bytes.count]) == Array(bytes[12...]))
        #expect(answer.suffix(4) == [0xC6, 0x12, 0x01, 0x04])
        #expect(answer[7] == 1)
    }

    @Test("a name that doesn't exist is NXDOMAIN, one without such an address NOERROR")
    func codes() throws {
        let question = try DNSQuestion(reading: query("nobody.mesh", type: 28))
        #expect(question.answer(code: DNSCode.nameError)[3] & 0x0F == 3)
        let empty = question.answer(addresses: [])
        #expect(empty[3] & 0x0F == 0 && empty[7] == 0)
    }

    @Test("an answer longer than the resolver takes is truncated, and says so")
    func truncates() throws {
        let question = try DNSQuestion(reading: query("web.mesh", type: 1))
        let long = question.answer(addresses: (0..<40).map { IPAddress(v4: UInt32($0)) })
        #expect(long.count > 512)
        let short = question.fitting(long)
        #expect(short.count <= 512 && short[2] & 0x02 != 0 && short[7] == 0)
        let fits = question.answer(addresses: [IPAddress(v4: 1)])
        #expect(question.fitting(fits) == fits)
    }

    @Test("every cut and every changed byte is refused or read, never trapped")
    func damaged() {
        let whole = query("web.shop.mesh", type: 1, edns: true)
        for length in 0..<whole.count { _ = try? DNSQuestion(reading: Array(whole.prefix(length))) }
        for index in whole.indices {
            for value in [UInt8(0), 1, 0x3F, 0x40, 0x80, 0xC0, 0xFF] {
                var bytes = whole
                bytes[index] = value
                if let question = try? DNSQuestion(reading: bytes) {
                    _ = question.fitting(question.answer(pointer: "a.mesh"))
                }
            }
        }
    }

    @Test("a response is never answered, an unknown operation is")
    func refusals() {
        var response = query("web.mesh", type: 1)
        response[2] |= 0x80
        #expect(throws: DNSRefusal.drop) { try DNSQuestion(reading: response) }
        var update = query("web.mesh", type: 1)
        update[2] = 5 << 3
        #expect(throws: DNSRefusal.answer(id: 0x1234, code: DNSCode.notImplemented)) {
            try DNSQuestion(reading: update)
        }
        #expect(throws: DNSRefusal.drop) { try DNSQuestion(reading: [1, 2, 3]) }
    }

    @Test(
        "names of the mesh are told from others",
        arguments: [
            ("web.mesh", MeshNames.Reading.workload(try! WorkloadName(namespace: "own", name: "web"))),
            ("web.shop.mesh", .workload(try! WorkloadName(namespace: "shop", name: "web"))),
            ("mesh", .meshOther), ("a.b.c.mesh", .meshOther), ("-.mesh", .meshOther),
            ("state.mesh", .meshOther), ("example.org", .outside), ("", .outside),
            ("4.1.18.198.in-addr.arpa", .reverse(IPAddress(v4: 0xC612_0104))),
            ("04.1.18.198.in-addr.arpa", .outside),
        ])
    func names(name: String, reading: MeshNames.Reading) {
        #expect(MeshNames.read(name, namespace: "own") == reading)
    }
}
