// The host's own resolver, for the names that `egress` lists.

import Glibc
import SidecarProtocol

enum HostResolver {
    /// getaddrinfo(3) doesn't tell how long its answer holds; asked again after this, it says what is so
    /// then.
    static let timeToLive = MonotonicTime.Span.seconds(60)

    /// Calls back from a thread of its own, with IPv4 addresses; none where the name can't be resolved.
    static func resolve(_ host: String, completion: @escaping @Sendable ([IPAddress]) -> Void) {
        let work = Unmanaged.passRetained(Work(host: host, completion: completion))
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 256 << 10)
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { argument in
                let work = Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue()
                work.completion(HostResolver.addresses(of: work.host))
                return nil
            }, work.toOpaque())
        if code != 0 { work.takeRetainedValue().completion([]) }
    }

    private final class Work: Sendable {
        let host: String
        let completion: @Sendable ([IPAddress]) -> Void
        init(host: String, completion: @escaping @Sendable ([IPAddress]) -> Void) {
            self.host = host
            self.completion = completion
        }
    }

    private static func addresses(of host: String) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_INET
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { freeaddrinfo(list) }
        var found: [IPAddress] = []
        var next = list
        while let entry = next {
            if let address = entry.pointee.ai_addr, entry.pointee.ai_family == AF_INET {
                // sockaddr_in: family, port, then the address, in network order.
                let number = UInt32(
                    bigEndian: UnsafeRawPointer(address).loadUnaligned(fromByteOffset: 4, as: UInt32.self))
                let ip = IPAddress(v4: number)
                if !found.contains(ip) { found.append(ip) }
            }
            next = entry.pointee.ai_next
        }
        return found
    }
}
