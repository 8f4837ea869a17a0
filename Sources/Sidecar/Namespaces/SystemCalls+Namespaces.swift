// What the threads need that enter the workload's network namespaces.

import CLinuxShims
import Glibc
import Transport

extension SystemCalls {
    static let namespaces: [SystemCall] = [
        SystemCall(
            "setns", SYS_setns, .is(1, Int32(MESH_NEW_NETWORK)), only: "network",
            because: "one thread each enters M and W, and gives the right to do so up there"),
        SystemCall("capget", SYS_capget, because: "giving capabilities up"),
        SystemCall("capset", SYS_capset, because: "giving capabilities up"),
        SystemCall(
            "prctl", SYS_prctl, .is(0, 24), only: "PR_CAPBSET_DROP", because: "giving capabilities up"),
        SystemCall(
            "prctl", SYS_prctl, .is(0, 47), .is(1, 4), only: "PR_CAP_AMBIENT_CLEAR_ALL",
            because: "giving capabilities up"),
        SystemCall(
            "socket", SYS_socket, .is(0, AF_INET), .type(SOCK_RAW), .is(2, Int32(IPPROTO_ICMP)),
            only: "raw ICMP", because: "port unreachable, which a peer's workload said"),
        SystemCall(
            "socket", SYS_socket, .is(0, AF_INET6), .type(SOCK_RAW), .is(2, Int32(IPPROTO_ICMPV6)),
            only: "raw ICMPv6", because: "port unreachable, which a peer's workload said"),
    ]
}
