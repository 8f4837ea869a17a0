// The two network namespaces of a workload, as a value.
//
//   W, the workload's                               M, the mesh side
//     w0    OWN/32  ─────────── veth pair ───────────  m0  169.254.77.1/32
//     tap0  OWN/32, to the userland stack             lo  local 198.18.0.0/16, in table main
//     lo    127.0.0.1, local 198.19.0.0/16
//
//   198.18.0.0/16 via w0; 198.18.0.1 and everything else into the TAP. On slirp there is no M and no
//   veth, and the default route carries the mesh too.
//
//   M's AnyIP route stands in table main, since table local is searched first, where it would swallow
//   the workload's own /32. IPv6 is off on every device but lo: a TAP with a link-local address would
//   begin to talk, and so start the userland stack, by itself.

import SidecarProtocol

package struct NetworkPlan: Equatable, Sendable {
    package enum Space: Hashable, Sendable { case workload, mesh }

    /// A file below /proc/sys, of the namespace that the writer is in.
    package struct Setting: Equatable, Sendable {
        package var path: String
        package var value: String
        /// Kernels built without IPv6 lack some.
        package var isOptional = false
    }

    package struct Route: Equatable, Sendable {
        package var destination: IPv4Prefix
        package var gateway: UInt32?
        package var device: String
        package var source: UInt32?
        package var isLocal = false
        package var isInMainTable = true
    }

    package enum Step: Equatable, Sendable {
        case up(String)
        case mtu(String, UInt32)
        case address(IPv4Prefix, String)
        case route(Route)
    }

    package struct Placed: Equatable, Sendable {
        package var space: Space
        package var step: Step
    }

    package static let vethMTU: UInt32 = 1500
    /// Above 21,885 libslirp stalls; see the design's section 2.
    package static let tapMTU: UInt32 = 16_384
    package static let workloadDevice = "w0"
    package static let meshDevice = "m0"
    package static let tapDevice = "tap0"
    package static let meshGateway: UInt32 = 0xA9FE_4D01
    package static let stackGateway: UInt32 = 0xC612_0001
    package static let virtualAddresses = IPv4Prefix(0xC612_0000, 16)
    package static let localHalf = IPv4Prefix(0xC613_0000, 16)

    package var steps: [Placed]

    /// - Parameters:
    ///   - datapath: `veth` or `slirp`.
    ///   - own: the workload's own VIP.
    package init(datapath: WorkloadConfiguration.Datapath, own: UInt32, hasTAP: Bool) {
        var steps = [Placed(space: .workload, step: .up("lo"))]
        func add(_ space: Space, _ step: Step) { steps.append(Placed(space: space, step: step)) }
        let ownPrefix = IPv4Prefix(own, 32)
        if datapath == .veth {
            let gateway = IPv4Prefix(NetworkPlan.meshGateway, 32)
            add(.mesh, .up("lo"))
            add(.mesh, .address(gateway, NetworkPlan.meshDevice))
            add(.mesh, .up(NetworkPlan.meshDevice))
            add(.mesh, .route(Route(destination: ownPrefix, device: NetworkPlan.meshDevice)))
            add(.mesh, .route(Route(destination: NetworkPlan.virtualAddresses, device: "lo", isLocal: true)))
            add(.workload, .address(ownPrefix, NetworkPlan.workloadDevice))
            add(.workload, .up(NetworkPlan.workloadDevice))
            add(
                .workload,
                .route(Route(destination: gateway, device: NetworkPlan.workloadDevice, source: own)))
            add(
                .workload,
                .route(
                    Route(
                        destination: NetworkPlan.virtualAddresses, gateway: NetworkPlan.meshGateway,
                        device: NetworkPlan.workloadDevice, source: own)))
        }
        if hasTAP {
            add(.workload, .mtu(NetworkPlan.tapDevice, NetworkPlan.tapMTU))
            add(.workload, .address(ownPrefix, NetworkPlan.tapDevice))
            add(.workload, .up(NetworkPlan.tapDevice))
            let gateway = IPv4Prefix(NetworkPlan.stackGateway, 32)
            add(.workload, .route(Route(destination: gateway, device: NetworkPlan.tapDevice, source: own)))
            add(
                .workload,
                .route(
                    Route(
                        destination: IPv4Prefix(0, 0), gateway: NetworkPlan.stackGateway,
                        device: NetworkPlan.tapDevice, source: own)))
        }
        // Last, since the kernel wants its source to be there. Without one, a program's datagrams to a peer's
        // local half would come from that very address, and not from where the peer's datagrams went.
        add(
            .workload,
            .route(
                Route(
                    destination: NetworkPlan.localHalf, device: "lo", source: own, isLocal: true,
                    isInMainTable: false)))
        self.steps = steps
    }

    /// What is set in a namespace before a device is made in it.
    ///
    /// - Parameter pingGroups: group ids of user namespace A.
    package static func settings(_ space: Space, pingGroups: ClosedRange<UInt32>) -> [Setting] {
        let common = [
            Setting(path: "net/ipv6/conf/default/disable_ipv6", value: "1", isOptional: true),
            // A new namespace may inherit the host's forwarding.
            Setting(path: "net/ipv4/ip_forward", value: "0"),
        ]
        switch space {
        case .mesh: return common
        case .workload:
            return common + [
                Setting(path: "net/ipv4/ip_unprivileged_port_start", value: "0"),
                Setting(
                    path: "net/ipv4/ping_group_range",
                    value: "\(pingGroups.lowerBound) \(pingGroups.upperBound)"),
            ]
        }
    }
}

package struct IPv4Prefix: Equatable, Sendable, CustomStringConvertible {
    /// In host order.
    package var address: UInt32
    package var length: UInt8

    package init(_ address: UInt32, _ length: UInt8) {
        self.address = address
        self.length = length
    }

    package var description: String { "\(IPv4Prefix.text(address))/\(length)" }

    package static func text(_ address: UInt32) -> String {
        [24, 16, 8, 0].map { String(address >> $0 & 0xFF) }.joined(separator: ".")
    }
}
