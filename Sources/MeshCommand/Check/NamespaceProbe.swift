// Trying what the launcher will do, in a child that takes it all away again by ending.

import CLinuxShims
import Glibc

/// What the kernel said to each step: 0, an errno, or nil where an earlier step's failure left it untried.
struct NamespaceProbe: Equatable {
    /// User, mount, network and process-id namespaces, made together.
    var namespaces: Int32?
    /// A veth pair in the new network namespace.
    var veth: Int32?
    /// A TAP device there.
    var tap: Int32?
    /// /proc of the new process-id namespace.
    var proc: Int32?

    static func run() -> NamespaceProbe {
        var probe = NamespaceProbe()
        var pipe: [Int32] = [-1, -1]
        guard Glibc.pipe(&pipe) == 0 else { return probe }
        let child = mesh_fork()
        if child == 0 { attempt(pipe[1]) }
        close(pipe[1])
        var results = [Int32](repeating: -1, count: 4)
        var index = 0
        // Each result is one write, far below what a pipe takes at once.
        while child > 0, index < results.count, read(pipe[0], &results[index], 4) == 4 { index += 1 }
        close(pipe[0])
        var status: Int32 = 0
        while child > 0, waitpid(child, &status, 0) < 0, errno == EINTR {}
        func result(_ index: Int) -> Int32? { results[index] < 0 ? nil : results[index] }
        probe.namespaces = child < 0 ? EAGAIN : result(0)
        probe.veth = result(1)
        probe.tap = result(2)
        probe.proc = result(3)
        return probe
    }

    /// In the child: reports each step, and ends.
    private static func attempt(_ pipe: Int32) -> Never {
        func report(_ isDone: Bool) {
            var code: Int32 = isDone ? 0 : errno
            _ = write(pipe, &code, 4)
        }
        let kinds = MESH_NEW_USER | MESH_NEW_MOUNTS | MESH_NEW_NETWORK | MESH_NEW_PROCESS_IDS
        let isUnshared = mesh_unshare(Int32(kinds)) == 0
        report(isUnshared)
        guard isUnshared else { _exit(0) }
        let veth = makeVeth()
        errno = veth
        report(veth == 0)
        let tap = mesh_open_tap("probe0")
        report(tap >= 0)
        // The first child of a process is the first of its new process-id namespace.
        let first = mesh_fork()
        if first == 0 {
            report(
                mount("proc", "/proc", "proc", UInt(MS_NOSUID) | UInt(MS_NODEV) | UInt(MS_NOEXEC), nil) == 0)
            _exit(0)
        }
        var status: Int32 = 0
        if first > 0 { waitpid(first, &status, 0) } else { report(false) }
        _exit(0)
    }

    /// Asks rtnetlink for a veth pair; 0, or the errno that it answers.
    private static func makeVeth() -> Int32 {
        let netlink = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard netlink >= 0 else { return errno }
        defer { close(netlink) }
        let request = vethRequest
        guard send(netlink, request, request.count, 0) == request.count else { return errno }
        var answer = [UInt8](repeating: 0, count: 4_096)
        let count = recv(netlink, &answer, answer.count, 0)
        // An nlmsghdr of 16 bytes, then the negated errno (rtnetlink(7), NLMSG_ERROR).
        guard count >= 20 else { return EPROTO }
        let code = answer[16..<20].withUnsafeBytes { $0.loadUnaligned(as: Int32.self) }
        return code == Int32.min ? EPROTO : -code
    }

    /// RTM_NEWLINK with IFLA_LINKINFO{IFLA_INFO_KIND "veth"}; the kernel names both ends.
    private static var vethRequest: [UInt8] {
        func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
        func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
            let padding = [UInt8](repeating: 0, count: (4 - payload.count % 4) % 4)
            return bytes(UInt16(4 + payload.count)) + bytes(type) + payload + padding
        }
        let (newLink, linkInfo, infoKind): (UInt16, UInt16, UInt16) = (16, 18, 1)
        let (request, acknowledge, create, exclusive): (UInt16, UInt16, UInt16, UInt16) = (1, 4, 0x400, 0x200)
        let body =
            [UInt8](repeating: 0, count: 16) + attribute(linkInfo, attribute(infoKind, Array("veth".utf8)))
        return bytes(UInt32(16 + body.count)) + bytes(newLink)
            + bytes(request | acknowledge | create | exclusive) + bytes(UInt32(1)) + bytes(UInt32(0)) + body
    }
}
