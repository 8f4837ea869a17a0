// What an event loop of NIO's and its channels need: on unix sockets that it was given, or on the network.

import CLinuxShims
import Glibc

extension SystemCalls {
    package static let eventLoop = waiting + transfer + connections

    private static let waiting: [SystemCall] =
        [
            SystemCall("epoll_create1", SYS_epoll_create1, because: "the event loop"),
            SystemCall("epoll_ctl", SYS_epoll_ctl, because: "the event loop"),
            SystemCall("epoll_pwait", SYS_epoll_pwait, because: "the event loop"),
            SystemCall("eventfd2", SYS_eventfd2, because: "waking the event loop"),
            SystemCall("timerfd_create", SYS_timerfd_create, because: "timers, and steps of the clock"),
            SystemCall("timerfd_settime", SYS_timerfd_settime, because: "timers, and steps of the clock"),
            SystemCall("ppoll", SYS_ppoll, because: "threads that wait for descriptors"),
        ] + oldWaiting

    private static let transfer: [SystemCall] = [
        SystemCall("read", SYS_read, because: "sockets and files"),
        SystemCall("write", SYS_write, because: "sockets, files, the log"),
        SystemCall("readv", SYS_readv, because: "sockets"),
        SystemCall("writev", SYS_writev, because: "sockets"),
        SystemCall("sendto", SYS_sendto, because: "datagrams, netlink"),
        SystemCall("recvfrom", SYS_recvfrom, because: "sockets"),
        SystemCall("sendmsg", SYS_sendmsg, because: "datagrams; descriptors to the launcher"),
        SystemCall("recvmsg", SYS_recvmsg, because: "datagrams; descriptors of namespaces and flows"),
        SystemCall("sendmmsg", SYS_sendmmsg, because: "datagrams by the dozen; the resolver"),
        SystemCall("recvmmsg", SYS_recvmmsg, because: "datagrams by the dozen"),
        SystemCall("close", SYS_close, because: "descriptors"),
        SystemCall("fcntl", SYS_fcntl, because: "non-blocking, close-on-exec"),
        SystemCall(
            "ioctl", SYS_ioctl, .is(1, 0x541B), only: "FIONREAD", because: "the size of the next datagram"),
    ]

    private static let connections: [SystemCall] = [
        SystemCall(
            "socketpair", SYS_socketpair, .is(0, AF_UNIX), only: "unix", because: "waking threads, channels"),
        SystemCall("listen", SYS_listen, because: "listeners"),
        SystemCall("accept4", SYS_accept4, because: "listeners"),
        SystemCall("shutdown", SYS_shutdown, because: "half-close"),
        SystemCall("getsockname", SYS_getsockname, because: "addresses"),
        SystemCall("getpeername", SYS_getpeername, because: "addresses"),
        SystemCall("getsockopt", SYS_getsockopt, because: "errors of connects; who is at the other end"),
        SystemCall("setsockopt", SYS_setsockopt, because: "no delay, resets, buffers"),
    ]

    package static let network: [SystemCall] = [
        SystemCall(
            "socket", SYS_socket, .is(0, AF_INET), .type(SOCK_STREAM), only: "TCP",
            because: "listeners, dials, deliveries"),
        SystemCall(
            "socket", SYS_socket, .is(0, AF_INET6), .type(SOCK_STREAM), only: "TCP over IPv6",
            because: "listeners, dials, deliveries"),
        SystemCall(
            "socket", SYS_socket, .is(0, AF_INET), .type(SOCK_DGRAM), only: "UDP",
            because: "associations, the name service, the resolver"),
        SystemCall(
            "socket", SYS_socket, .is(0, AF_INET6), .type(SOCK_DGRAM), only: "UDP over IPv6",
            because: "associations, the name service, the resolver"),
        SystemCall(
            "socket", SYS_socket, .is(0, AF_UNIX), .type(SOCK_STREAM), only: "unix",
            because: "node, issuer and admin sockets; the resolver's daemon"),
        SystemCall(
            "socket", SYS_socket, .is(0, AF_NETLINK), .is(2, 0), only: "NETLINK_ROUTE",
            because:
                "getifaddrs and getaddrinfo ask for the host's addresses; the right to change them is gone"),
        SystemCall(
            "socket", SYS_socket, .is(0, AF_UNIX), .type(SOCK_DGRAM), only: "unix datagrams",
            because: "if_nametoindex asks by one"),
        SystemCall(
            "ioctl", SYS_ioctl, .is(1, 0x8933), only: "SIOCGIFINDEX",
            because: "the host's addresses are listed"),
        SystemCall("bind", SYS_bind, because: "listeners; a delivery's source"),
        SystemCall("connect", SYS_connect, because: "dials, deliveries, node and issuer"),
    ]

    #if arch(x86_64)
        private static let oldWaiting: [SystemCall] = [
            SystemCall("epoll_create", SYS_epoll_create, because: "the event loop"),
            SystemCall("epoll_wait", SYS_epoll_wait, because: "the event loop"),
            SystemCall("poll", SYS_poll, because: "threads that wait for descriptors; the resolver"),
        ]
    #else
        private static let oldWaiting: [SystemCall] = []
    #endif
}
