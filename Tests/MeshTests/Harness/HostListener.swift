import Foundation
import Glibc
import Synchronization

/// A server on every address of the host, which greets each caller and counts them.
final class HostListener: Sendable {
    let port: Int
    private let descriptor: Int32
    private let count = Atomic<Int>(0)

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        var known = size
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(descriptor, pointer, size) + listen(descriptor, 16)
                    + getsockname(descriptor, pointer, &known)
            }
        }
        self.descriptor = descriptor
        port = Int(UInt16(bigEndian: address.sin_port))
        guard status == 0 else { throw HarnessError("no port on the host: errno \(errno)") }
        let thread = Thread { [weak self] in
            while true {
                let peer = accept(descriptor, nil, nil)
                guard peer >= 0 else { return }
                self?.count.add(1, ordering: .relaxed)
                _ = send(peer, "welcome", 7, Int32(MSG_NOSIGNAL))
                close(peer)
            }
        }
        thread.start()
    }

    deinit {
        // Wakes the thread, whose next call fails.
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    var callerCount: Int { count.load(ordering: .relaxed) }

    /// The host's IPv4 addresses beyond loopback.
    static var addresses: [String] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return [] }
        defer { freeifaddrs(list) }
        var found: [String] = []
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET),
                entry.pointee.ifa_flags & 0x8 == 0
            else { continue }
            var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let size = socklen_t(MemoryLayout<sockaddr_in>.size)
            guard getnameinfo(address, size, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0 else {
                continue
            }
            found.append(
                String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        return found
    }
}
