import NIOCore
import SidecarProtocol

extension ConnectionSource {
    /// Of an accepted connection. Those of which it can't be told share one source.
    package init(_ address: SocketAddress?) {
        let unknown = IPAddress(v4: 0)
        guard let address else {
            self.init(unknown)
            return
        }
        // A `sockaddr_in` or `sockaddr_in6`.
        let bytes: [UInt8] = address.withSockAddr { raw, size in
            Array(UnsafeRawBufferPointer(start: raw, count: size))
        }
        let place: Range<Int>? =
            switch address {
            case .v4: 4..<8
            case .v6: 8..<24
            case .unixDomainSocket: nil
            }
        guard let place, bytes.count >= place.upperBound else {
            self.init(unknown)
            return
        }
        self.init(IPAddress(Array(bytes[place])) ?? unknown)
    }
}
