// Virtual addresses: how one sidecar's workload sees its peers.
//
// Theory of operation
//
//   198.18.0.0/15 is set aside for benchmarks (RFC 2544) and routed nowhere, so that no program expects
//   anything else there. An identity gets 198.18.1.0 plus a keyed hash modulo 65,024, and the next free
//   address where that one is taken: nearly always the same one in every sidecar and every run, though
//   nothing depends on it. Its local half is the same offset in 198.19.0.0/16, the source of deliveries
//   to services that listen on 127.0.0.1 only. Within a run no address goes to a second identity; the
//   table is kept on disk, so that a replaced sidecar goes on with it.
//
//   On the veth datapath each also has an IPv6 address: 40 bits of the domain's id make a unique local
//   /48 (RFC 4193), the same 16 bits of offset end it, and the upper /49 is the local half.

/// The addresses of 198.18.0.0/15 that aren't workloads'.
package enum ReservedAddress {
    /// 198.18.0.1, the gateway of the userland stack.
    package static let gateway: UInt32 = 0xC612_0001
    /// 198.18.0.2, which libslirp wants for a name server of its own; never used.
    package static let unusedNameServer: UInt32 = 0xC612_0002
    /// 198.18.0.53, the name service.
    package static let nameService: UInt32 = 0xC612_0035
    /// 198.18.0.63, `state.mesh`.
    package static let state: UInt32 = 0xC612_003F
    /// 198.18.0.0/15
    package static let network: UInt32 = 0xC612_0000
    package static let networkMask: UInt32 = 0xFFFE_0000
}

package struct VirtualAddresses: Sendable {
    /// 198.18.1.0
    static let first: UInt32 = 0xC612_0100
    /// 198.18.1.0 to 198.18.254.255
    package static let count: UInt32 = 65_024
    /// From 198.18/16 to 198.19/16.
    static let localOffset: UInt32 = 0x0001_0000

    package let domain: TrustDomainID
    private var addressOf: [WorkloadName: UInt32] = [:]
    private var workloadAt: [UInt32: WorkloadName] = [:]

    /// A table that holds one's own address only.
    package init(domain: TrustDomainID, own: WorkloadName) {
        self.domain = domain
        _ = assign(own)
    }

    /// Where the table would put `workload` if nothing else were in it: one's own address.
    package static func preferred(_ workload: WorkloadName, domain: TrustDomainID) -> UInt32 {
        let hash = BLAKE2b.hash(Array(workload.description.utf8), key: domain.bytes, count: 16).prefix(8)
        let number = hash.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return first + UInt32(number % UInt64(count))
    }

    /// The address of `workload`, given now where it had none. Nil when every address is taken.
    package mutating func assign(_ workload: WorkloadName) -> (address: UInt32, isNew: Bool)? {
        if let address = addressOf[workload] { return (address, false) }
        guard addressOf.count < VirtualAddresses.count else { return nil }
        var offset = VirtualAddresses.preferred(workload, domain: domain) - VirtualAddresses.first
        while workloadAt[VirtualAddresses.first + offset] != nil {
            offset = (offset + 1) % VirtualAddresses.count
        }
        let address = VirtualAddresses.first + offset
        addressOf[workload] = address
        workloadAt[address] = workload
        return (address, true)
    }

    package func address(of workload: WorkloadName) -> UInt32? { addressOf[workload] }

    /// Whose address, or local half, `address` is.
    package func workload(at address: UInt32) -> WorkloadName? {
        workloadAt[address] ?? workloadAt[address &- VirtualAddresses.localOffset]
    }

    package static func localHalf(of address: UInt32) -> UInt32 { address + localOffset }

    // MARK: IPv6

    /// The IPv6 twin of an address of either half.
    package static func v6(of address: UInt32, domain: TrustDomainID) -> IPAddress {
        let half: UInt64 = address & networkBit == 0 ? 0 : localBit
        return IPAddress(high: prefix(of: domain) | half, low: UInt64(address & 0xFFFF))
    }

    /// The IPv4 twin of an IPv6 address of this domain; an IPv4 address as it is.
    package func v4(of address: IPAddress) -> UInt32? {
        if let number = address.v4 { return number }
        let isOurs = address.high & ~VirtualAddresses.localBit == VirtualAddresses.prefix(of: domain)
        guard isOurs, address.low <= 0xFFFF else { return nil }
        let half = address.high & VirtualAddresses.localBit == 0 ? 0 : VirtualAddresses.networkBit
        return 0xC612_0000 | half | UInt32(address.low)
    }

    /// The domain's /48, as the high half of an address.
    private static func prefix(of domain: TrustDomainID) -> UInt64 {
        domain.bytes.prefix(5).reduce(UInt64(0xFD)) { $0 << 8 | UInt64($1) } << 16
    }

    /// What tells the upper /49 from the lower one.
    private static let localBit: UInt64 = 0x8000
    /// What tells 198.19 from 198.18.
    private static let networkBit: UInt32 = 0x0001_0000

    // MARK: On disk

    package func encoded() -> [UInt8] {
        let rows = workloadAt.sorted { $0.key < $1.key }.map {
            CBOR.array([.unsigned(UInt64($0.key)), .text($0.value.namespace), .text($0.value.name)])
        }
        return CBOR.array([.bytes(domain.bytes), .array(rows)]).encoded()
    }

    /// The table that an earlier incarnation of this sidecar wrote.
    package init(canonical bytes: [UInt8]) throws(CBORError) {
        guard case .array(let parts) = try CBOR(canonical: bytes), parts.count == 2,
            case .bytes(let id) = parts[0], let domain = TrustDomainID(id), case .array(let rows) = parts[1]
        else { throw .unexpected(field: "addresses") }
        self.domain = domain
        for row in rows {
            guard case .array(let cells) = row, cells.count == 3, case .unsigned(let number) = cells[0],
                let address = UInt32(exactly: number), case .text(let namespace) = cells[1],
                case .text(let name) = cells[2],
                let workload = try? WorkloadName(namespace: namespace, name: name),
                address >= VirtualAddresses.first,
                address - VirtualAddresses.first < VirtualAddresses.count, addressOf[workload] == nil,
                workloadAt[address] == nil
            else { throw .unexpected(field: "addresses") }
            addressOf[workload] = address
            workloadAt[address] = workload
        }
    }
}
