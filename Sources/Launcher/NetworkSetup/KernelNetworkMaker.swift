// The networks, made for real.

import CLinuxShims
import Glibc

final class KernelNetworkMaker: NetworkMaker {
    private var workloadNetlink: RouteNetlink?
    private var meshNetlink: RouteNetlink?
    private(set) var workload: Int32 = -1
    private(set) var mesh: Int32 = -1
    private(set) var tap: Int32 = -1

    init() {}

    func enterNew(_ space: NetworkPlan.Space) throws(LaunchFailure) {
        try checked(mesh_unshare(Int32(MESH_NEW_NETWORK)), "can't make a network namespace") {
            switch $0 {
            case ENOSPC: "raise the sysctl user.max_net_namespaces"
            // AppArmor lets the user namespace be made, and takes its capabilities away.
            case EPERM:
                "sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); `mesh check` says more"
            default: ""
            }
        }
        let descriptor = try checked(
            open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), "can't open the new network namespace")
        switch space {
        case .workload:
            workload = descriptor
            workloadNetlink = try RouteNetlink()
        case .mesh:
            mesh = descriptor
            meshNetlink = try RouteNetlink()
        }
    }

    func set(_ setting: NetworkPlan.Setting) throws(LaunchFailure) -> Bool {
        guard !SmallFile.set("/proc/sys/" + setting.path, to: setting.value) else { return true }
        if setting.isOptional, errno == ENOENT { return false }
        throw LaunchFailure(
            "can't set \(setting.path) to \(setting.value): \(errorText(errno))",
            fix: errno == EROFS ? "mount /proc/sys writable where mesh-launch starts" : "")
    }

    func makeVeth() throws(LaunchFailure) {
        try workloadNetlink!.addVeth(
            NetworkPlan.workloadDevice, peer: NetworkPlan.meshDevice, mtu: NetworkPlan.vethMTU,
            peerNamespace: mesh)
        meshNetlink!.know(NetworkPlan.meshDevice, index: NetworkPlan.meshDeviceIndex)
    }

    func makeTAP() throws(LaunchFailure) {
        tap = try checked(mesh_open_tap(NetworkPlan.tapDevice), "can't open /dev/net/tun")
    }

    func perform(_ placed: NetworkPlan.Placed) throws(LaunchFailure) {
        switch placed.space {
        case .workload: try KernelNetworkMaker.perform(placed.step, workloadNetlink!)
        case .mesh: try KernelNetworkMaker.perform(placed.step, meshNetlink!)
        }
    }

    private static func perform(
        _ step: NetworkPlan.Step, _ netlink: RouteNetlink
    ) throws(LaunchFailure) {
        switch step {
        case .up(let device): try netlink.change(device, up: true)
        case .mtu(let device, let bytes): try netlink.change(device, mtu: bytes)
        case .address(let prefix, let device): try netlink.add(prefix, to: device)
        case .route(let route): try netlink.add(route)
        }
    }

    func abandon(_ space: NetworkPlan.Space) {
        switch space {
        case .workload:
            workloadNetlink = nil
            close(workload)
            workload = -1
        case .mesh:
            meshNetlink = nil
            close(mesh)
            mesh = -1
        }
    }

    /// Closes everything here: a netlink socket or descriptor that a child inherits would keep a
    /// namespace alive after the launcher's end.
    func closeAll() {
        abandon(.workload)
        abandon(.mesh)
        if tap >= 0 { close(tap) }
        tap = -1
    }
}
