import SidecarProtocol

/// The workload's own VIP.
enum OwnAddress {
    /// The one that its sidecar will take it for, in host order.
    static func of(_ workload: WorkloadName) -> UInt32 { VirtualAddresses.own(workload) }
}
