import SidecarProtocol

/// The workload's own VIP.
enum OwnAddress {
    /// A VIP of 198.18.1.0–198.18.254.255 from the identity alone, in host order.
    static func of(_ workload: WorkloadName) -> UInt32 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in workload.description.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return 0xC612_0100 + UInt32(hash % 65_024)
    }
}
