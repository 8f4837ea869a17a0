// sd_notify(3) for a workload that can't reach the service manager's socket, and whose process id the
// service manager wouldn't know: the launcher is the service's main process, and speaks for it.

import CLinuxShims
import Glibc

struct NotifyRelay {
    /// What a datagram of ours may hold.
    static let bytesMaximum = 4096

    let socket: Int32
    private let manager: String

    /// Listens in the workload's stead.
    init(_ plan: NotifyPlan) throws(LaunchFailure) {
        manager = plan.manager
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        socket = try checked(Glibc.socket(AF_UNIX, type, 0), "can't make a socket")
        guard let address = UnixAddress(plan.relay) else {
            throw LaunchFailure(
                "the path \(plan.relay) is too long for a socket", fix: "name a shorter MESH_RUNTIME_DIR")
        }
        try checked(address.bind(socket), "can't listen on \(plan.relay)")
    }

    /// Passes on what has arrived. A datagram that can't be passed on is lost, as it would be if the
    /// service manager's queue were full.
    func relay() {
        var descriptors = [Int32](repeating: -1, count: MESH_DESCRIPTORS_MAXIMUM)
        var buffer = [UInt8](repeating: 0, count: NotifyRelay.bytesMaximum)
        while true {
            var count = 0
            var sender: pid_t = 0
            let size = mesh_receive(
                socket, &buffer, buffer.count, &descriptors, descriptors.count, &count, &sender)
            if size < 0, errno == EMSGSIZE { continue }
            guard size >= 0 else { return }
            let text = NotifyRelay.filtered(String(decoding: buffer[..<size], as: UTF8.self))
            if !text.isEmpty { UnixAddress(manager)?.send(Array(text.utf8), from: socket) }
            // Only now: whoever waits for a barrier sees it fall when its descriptor is closed.
            for descriptor in descriptors.prefix(count) { close(descriptor) }
        }
    }

    /// Without the lines that are about process ids and descriptors of the workload.
    static func filtered(_ text: String) -> String {
        let withheld = ["MAINPID=", "MAINPIDFDID=", "FDSTORE=", "FDSTOREREMOVE=", "FDNAME=", "BARRIER="]
        return text.split(separator: "\n").filter { line in !withheld.contains { line.hasPrefix($0) } }
            .joined(separator: "\n")
    }
}

/// The address of a unix socket: a path, or an abstract name after `@`.
struct UnixAddress {
    private var address = sockaddr_un()
    private let size: socklen_t

    /// Nil where the name is too long.
    init?(_ name: String) {
        var bytes = Array(name.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard !bytes.isEmpty, bytes.count < capacity else { return nil }
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        if isAbstract { bytes[0] = 0 }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let head = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)!
        size = socklen_t(head + bytes.count + (isAbstract ? 0 : 1))
    }

    func bind(_ socket: Int32) -> Int32 {
        withPointer { Glibc.bind(socket, $0, size) }
    }

    func connect(_ socket: Int32) -> Int32 {
        withPointer { Glibc.connect(socket, $0, size) }
    }

    func send(_ bytes: [UInt8], from socket: Int32) {
        _ = withPointer { sendto(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, size) }
    }

    private func withPointer<T>(_ body: (UnsafePointer<sockaddr>) -> T) -> T {
        withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
        }
    }
}
