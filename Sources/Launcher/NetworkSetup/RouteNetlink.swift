// A netlink socket of one network namespace, by libnl-route-3. It stays in the namespace in which it was
// opened, so that one process configures both without moving.

import CNetlink
import Glibc
import SidecarProtocol

final class RouteNetlink {
    private let socket: OpaquePointer
    private var indexes: [String: Int32] = ["lo": 1]

    /// Opens it in the namespace that the calling thread is in.
    init() throws(LaunchFailure) {
        guard let socket = nl_socket_alloc() else {
            throw LaunchFailure("can't make a netlink socket", fix: "free some memory")
        }
        self.socket = socket
        try RouteNetlink.check(nl_connect(socket, NETLINK_ROUTE), "can't open a netlink socket")
    }

    deinit { nl_socket_free(socket) }

    /// The two ends get indexes of their own that differ: the kernel takes its time over the link state of
    /// a device whose other end has the same one, and until then says that it isn't running.
    ///
    /// - Parameter peerNamespace: a descriptor of the namespace that gets the other end.
    func addVeth(
        _ name: String, peer: String, mtu: UInt32, peerNamespace: Int32
    ) throws(LaunchFailure) {
        guard let link = rtnl_link_veth_alloc() else { throw RouteNetlink.outOfMemory }
        // Freeing the link frees its peer; the getter took a reference of its own.
        defer { rtnl_link_veth_release(link) }
        guard let other = rtnl_link_veth_get_peer(link) else { throw RouteNetlink.outOfMemory }
        defer { rtnl_link_put(other) }
        rtnl_link_set_name(link, name)
        rtnl_link_set_mtu(link, mtu)
        rtnl_link_set_ifindex(link, NetworkPlan.workloadDeviceIndex)
        rtnl_link_set_ifindex(other, NetworkPlan.meshDeviceIndex)
        rtnl_link_set_name(other, peer)
        rtnl_link_set_mtu(other, mtu)
        rtnl_link_set_ns_fd(other, peerNamespace)
        try RouteNetlink.check(
            rtnl_link_add(socket, link, NLM_F_CREATE | NLM_F_EXCL),
            "can't make the veth pair \(name), \(peer)")
        know(name, index: NetworkPlan.workloadDeviceIndex)
    }

    /// Spares the question.
    func know(_ device: String, index: Int32) { indexes[device] = index }

    func change(_ device: String, up: Bool = false, mtu: UInt32? = nil) throws(LaunchFailure) {
        let index = try index(of: device)
        guard let link = rtnl_link_alloc(), let wanted = rtnl_link_alloc() else {
            throw RouteNetlink.outOfMemory
        }
        defer {
            rtnl_link_put(link)
            rtnl_link_put(wanted)
        }
        rtnl_link_set_ifindex(link, index)
        if up { rtnl_link_set_flags(wanted, UInt32(IFF_UP)) }
        if let mtu { rtnl_link_set_mtu(wanted, mtu) }
        try RouteNetlink.check(rtnl_link_change(socket, link, wanted, 0), "can't change the device \(device)")
    }

    /// Usable at once: the kernel doesn't ask the wire whether somebody has it (IPv6).
    func add(_ prefix: AddressPrefix, to device: String) throws(LaunchFailure) {
        let index = try index(of: device)
        guard let address = rtnl_addr_alloc() else { throw RouteNetlink.outOfMemory }
        defer { rtnl_addr_put(address) }
        let local = try RouteNetlink.address(prefix)
        defer { nl_addr_put(local) }
        rtnl_addr_set_ifindex(address, index)
        try RouteNetlink.check(rtnl_addr_set_local(address, local), "can't use the address \(prefix)")
        if prefix.address.isV6 { rtnl_addr_set_flags(address, UInt32(IFA_F_NODAD)) }
        try RouteNetlink.check(rtnl_addr_add(socket, address, 0), "can't give \(prefix) to \(device)")
    }

    func add(_ route: NetworkPlan.Route) throws(LaunchFailure) {
        let index = try index(of: route.device)
        guard let entry = rtnl_route_alloc(), let hop = rtnl_route_nh_alloc() else {
            throw RouteNetlink.outOfMemory
        }
        defer { rtnl_route_put(entry) }
        let destination = try RouteNetlink.address(route.destination)
        defer { nl_addr_put(destination) }
        try RouteNetlink.check(rtnl_route_set_dst(entry, destination), "can't use \(route.destination)")
        rtnl_route_set_table(
            entry, UInt32((route.isInMainTable ? RT_TABLE_MAIN : RT_TABLE_LOCAL).rawValue))
        if route.isLocal { rtnl_route_set_type(entry, UInt8(RTN_LOCAL)) }
        let scope = route.isLocal ? RT_SCOPE_HOST : route.gateway == nil ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE
        rtnl_route_set_scope(entry, UInt8(scope.rawValue))
        rtnl_route_nh_set_ifindex(hop, index)
        if let gateway = route.gateway {
            let address = try RouteNetlink.address(AddressPrefix(gateway))
            defer { nl_addr_put(address) }
            rtnl_route_nh_set_gateway(hop, address)
            rtnl_route_nh_set_flags(hop, UInt32(RTNH_F_ONLINK))
        }
        // The entry owns the hop from here on.
        rtnl_route_add_nexthop(entry, hop)
        if let source = route.source {
            let address = try RouteNetlink.address(AddressPrefix(source))
            defer { nl_addr_put(address) }
            try RouteNetlink.check(rtnl_route_set_pref_src(entry, address), "can't use \(source)")
        }
        try RouteNetlink.check(
            rtnl_route_add(socket, entry, NLM_F_EXCL),
            "can't add the route to \(route.destination) by \(route.device)")
    }

    private func index(of device: String) throws(LaunchFailure) -> Int32 {
        if let known = indexes[device] { return known }
        var link: OpaquePointer?
        try RouteNetlink.check(
            rtnl_link_get_kernel(socket, 0, device, &link), "can't find the device \(device)")
        defer { rtnl_link_put(link) }
        let index = rtnl_link_get_ifindex(link)
        indexes[device] = index
        return index
    }

    private static func address(_ prefix: AddressPrefix) throws(LaunchFailure) -> OpaquePointer {
        let family = prefix.address.isV6 ? AF_INET6 : AF_INET
        let bytes = prefix.address.bytes
        guard let address = nl_addr_build(family, bytes, bytes.count) else { throw outOfMemory }
        nl_addr_set_prefixlen(address, Int32(prefix.length))
        return address
    }

    private static var outOfMemory: LaunchFailure {
        LaunchFailure("libnl is out of memory", fix: "free some memory")
    }

    private static func check(_ code: Int32, _ what: @autoclosure () -> String) throws(LaunchFailure) {
        guard code < 0 else { return }
        throw LaunchFailure("\(what()): \(String(cString: nl_geterror(code)))", fix: "")
    }
}
