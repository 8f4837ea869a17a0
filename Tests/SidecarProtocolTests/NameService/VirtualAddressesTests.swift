import SidecarProtocol
import Testing

@Suite struct VirtualAddressesTests {
    let domain = TrustDomainID([UInt8](repeating: 7, count: 32))!
    let own = try! WorkloadName(namespace: "default", name: "web")

    func name(_ number: Int) -> WorkloadName {
        try! WorkloadName(namespace: "default", name: "w\(number)")
    }

    @Test("one's own address is the one that its hash prefers")
    func ownAddress() {
        let table = VirtualAddresses(domain: domain, own: own)
        #expect(table.address(of: own) == VirtualAddresses.preferred(own, domain: domain))
    }

    @Test("no two identities share an address, and each keeps its own")
    func distinct() {
        var table = VirtualAddresses(domain: domain, own: own)
        var seen: Set<UInt32> = []
        for number in 0..<5_000 {
            let first = table.assign(name(number))
            #expect(first?.isNew == true)
            let again = table.assign(name(number))
            #expect(again?.address == first?.address && again?.isNew == false)
            seen.insert(first?.address ?? 0)
        }
        #expect(seen.count == 5_000)
        #expect(seen.allSatisfy { (0xC612_0100...0xC612_FEFF).contains($0) })
    }

    @Test("an address and its local half both name the workload")
    func localHalf() throws {
        var table = VirtualAddresses(domain: domain, own: own)
        let assigned = table.assign(name(1))
        let address = try #require(assigned).address
        #expect(table.workload(at: address) == name(1))
        #expect(table.workload(at: VirtualAddresses.localHalf(of: address)) == name(1))
        #expect(VirtualAddresses.localHalf(of: address) >> 16 == 0xC613)
        #expect(table.workload(at: 0xC612_0035) == nil)
    }

    @Test("the table is read back as it was written")
    func roundTrip() throws {
        var table = VirtualAddresses(domain: domain, own: own)
        for number in 0..<50 { _ = table.assign(name(number)) }
        let read = try VirtualAddresses(canonical: table.encoded())
        #expect(read.encoded() == table.encoded())
        #expect(read.address(of: name(7)) == table.address(of: name(7)))
    }

    @Test("the last address is given out, and one more refused")
    func full() throws {
        var table = VirtualAddresses(domain: domain, own: own)
        for number in 1..<65_024 {
            let assigned = table.assign(name(number))
            try #require(assigned != nil)
        }
        let oneMore = table.assign(name(65_024))
        #expect(oneMore == nil)
    }

    @Test(
        "a damaged table is refused",
        arguments: [
            CBOR.null, .array([.bytes([1]), .array([])]),
            .array([
                .bytes([UInt8](repeating: 1, count: 32)),
                .array([.array([.unsigned(1), .text("a"), .text("b")])]),
            ]),
        ])
    func damaged(item: CBOR) {
        #expect(throws: CBORError.self) { try VirtualAddresses(canonical: item.encoded()) }
    }
}
