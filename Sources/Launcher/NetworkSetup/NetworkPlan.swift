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
//   the workload's own /32.
//
//   IPv6, on veth alone and where the kernel has it, in the domain's own /48:
//
//     w0    OWN6/128 ────────── the same veth ─────────  m0  fe80::1/128
//     lo    local, the upper /49                         lo  local, the lower /49, in table main
//
//   The lower /49 goes via fe80::1; nothing else leads out of W. No address is looked for on the wire
//   before it is used (NODAD), and the kernel makes none by itself. The TAP has no IPv6: with a link-local
//   address it would begin to talk, and so start the userland stack, by itself.

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
        package var destination: AddressPrefix
        package var gateway: IPAddress?
        package var device: String
        package var source: IPAddress?
        package var isLocal = false
        package var isInMainTable = true
    }

    package enum Step: Equatable, Sendable {
        case up(String)
        case mtu(String, UInt32)
        case address(AddressPrefix, String)
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
    /// Devices that are made with these indexes needn't be asked for theirs; lo's is always 1.
    package static let workloadDeviceIndex: Int32 = 10
    package static let meshDeviceIndex: Int32 = 11
    package static let meshGateway = IPAddress(v4: 0xA9FE_4D01)
    package static let stackGateway = IPAddress(v4: 0xC612_0001)
    /// fe80::1
    package static let meshGatewayV6 = IPAddress(high: 0xFE80 << 48, low: 1)
    package static let virtualAddresses = AddressPrefix(IPAddress(v4: 0xC612_0000), 16)
    package static let localHalf = AddressPrefix(IPAddress(v4: 0xC613_0000), 16)

    package var steps: [Placed]
    /// After the others, and each may fail: then there is no IPv6.
    package var stepsOfIPv6: [Placed]

    /// - Parameters:
    ///   - datapath: `veth` or `slirp`.
    ///   - own: the workload's own VIPs.
    package init(datapath: WorkloadConfiguration.Datapath, own: OwnAddress, hasTAP: Bool) {
        let source = IPAddress(v4: own.v4)
        steps = [Placed(space: .workload, step: .up("lo"))]
        if datapath == .veth { steps += NetworkPlan.veth(source) }
        if hasTAP { steps += NetworkPlan.tap(source) }
        // Last, since the kernel wants its source to be there. Without one, a program's datagrams to a peer's
        // local half would come from that very address, and not from where the peer's datagrams went.
        steps.append(
            Placed(
                space: .workload,
                step: .route(
                    Route(
                        destination: NetworkPlan.localHalf, device: "lo", source: source, isLocal: true,
                        isInMainTable: false))))
        stepsOfIPv6 = datapath == .veth ? own.v6.map(NetworkPlan.ipv6) ?? [] : []
    }

    private static func veth(_ own: IPAddress) -> [Placed] {
        let mesh: [Step] = [
            .up("lo"), .address(AddressPrefix(meshGateway), meshDevice), .up(meshDevice),
            .route(Route(destination: AddressPrefix(own), device: meshDevice)),
            .route(Route(destination: virtualAddresses, device: "lo", isLocal: true)),
        ]
        let workload: [Step] = [
            .address(AddressPrefix(own), workloadDevice), .up(workloadDevice),
            .route(Route(destination: AddressPrefix(meshGateway), device: workloadDevice, source: own)),
            .route(
                Route(
                    destination: virtualAddresses, gateway: meshGateway, device: workloadDevice,
                    source: own)),
        ]
        return mesh.map { Placed(space: .mesh, step: $0) }
            + workload.map { Placed(space: .workload, step: $0) }
    }

    private static func tap(_ own: IPAddress) -> [Placed] {
        let steps: [Step] = [
            .mtu(tapDevice, tapMTU), .address(AddressPrefix(own), tapDevice), .up(tapDevice),
            .route(Route(destination: AddressPrefix(stackGateway), device: tapDevice, source: own)),
            .route(
                Route(
                    destination: AddressPrefix(IPAddress(v4: 0), 0), gateway: stackGateway,
                    device: tapDevice, source: own)),
        ]
        return steps.map { Placed(space: .workload, step: $0) }
    }

    /// Both ends are up by then, which addresses and routes of IPv6 want.
    private static func ipv6(_ own: IPAddress) -> [Placed] {
        let network = own.high & ~0xFFFF
        let lower = AddressPrefix(IPAddress(high: network, low: 0), 49)
        let upper = AddressPrefix(IPAddress(high: network | 0x8000, low: 0), 49)
        return [
            Placed(space: .mesh, step: .address(AddressPrefix(meshGatewayV6), meshDevice)),
            Placed(
                space: .mesh,
                step: .route(Route(destination: AddressPrefix(own), device: meshDevice))),
            Placed(space: .mesh, step: .route(Route(destination: lower, device: "lo", isLocal: true))),
            Placed(space: .workload, step: .address(AddressPrefix(own), workloadDevice)),
            Placed(
                space: .workload,
                step: .route(
                    Route(destination: lower, gateway: meshGatewayV6, device: workloadDevice))),
            Placed(
                space: .workload,
                step: .route(
                    Route(
                        destination: upper, device: "lo", source: own, isLocal: true,
                        isInMainTable: false))),
        ]
    }

    /// What is set in a namespace before a device is made in it.
    ///
    /// - Parameter pingGroups: group ids of user namespace A.
    package static func settings(_ space: Space, pingGroups: ClosedRange<UInt32>) -> [Setting] {
        // A new namespace may inherit the host's forwarding.
        let common = [Setting(path: "net/ipv4/ip_forward", value: "0")]
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

    /// For both ends of the veth pair, before it is made: no address but those of the plan, and no search
    /// for routers.
    package static let settingsOfIPv6 = [
        Setting(path: "net/ipv6/conf/default/addr_gen_mode", value: "1", isOptional: true),
        Setting(path: "net/ipv6/conf/default/accept_ra", value: "0", isOptional: true),
    ]

    /// For the TAP, before it is made.
    package static let withoutIPv6 = Setting(
        path: "net/ipv6/conf/default/disable_ipv6", value: "1", isOptional: true)
}
