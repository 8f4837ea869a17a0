// Endpoints of the core as the kernel and NIO spell them, and the two calls that need them raw.

import CLinuxShims
import Glibc
import NIOCore
import SidecarProtocol
import Transport

extension Endpoint {
    /// Calls `body` with the endpoint as a `sockaddr_in` or `sockaddr_in6`: family in the host's byte
    /// order, port, then either the address, or flow information, address and scope.
    func withSocketAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        let isIPv4 = address.isIPv4
        return withUnsafeTemporaryAllocation(byteCount: 28, alignment: 8) { raw in
            raw.initializeMemory(as: UInt8.self, repeating: 0)
            raw.storeBytes(of: sa_family_t(isIPv4 ? AF_INET : AF_INET6), as: sa_family_t.self)
            raw.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            if let number = address.v4 {
                raw.storeBytes(of: number.bigEndian, toByteOffset: 4, as: UInt32.self)
            } else {
                raw.storeBytes(of: address.high.bigEndian, toByteOffset: 8, as: UInt64.self)
                raw.storeBytes(of: address.low.bigEndian, toByteOffset: 16, as: UInt64.self)
            }
            return body(
                raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), isIPv4 ? 16 : 28)
        }
    }

    /// Nil for a unix socket's address. IPv4 inside IPv6 (`::ffff:…`) becomes IPv4.
    init?(_ address: SocketAddress) {
        let endpoint = address.withSockAddr { raw, size in
            Endpoint(raw: UnsafeRawBufferPointer(start: raw, count: size))
        }
        guard let endpoint else { return nil }
        self = endpoint
    }

    /// From a `sockaddr_in` or `sockaddr_in6`.
    fileprivate init?(raw: UnsafeRawBufferPointer) {
        func number<Number: FixedWidthInteger>(at offset: Int) -> Number {
            Number(bigEndian: raw.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        guard raw.count >= 8 else { return nil }
        let port: UInt16 = number(at: 2)
        switch Int32(raw.loadUnaligned(as: sa_family_t.self)) {
        case AF_INET: self.init(IPAddress(v4: number(at: 4)), port)
        case AF_INET6 where raw.count >= 24:
            let (high, low): (UInt64, UInt64) = (number(at: 8), number(at: 16))
            let isMapped = high == 0 && low >> 32 == 0xFFFF
            self.init(
                isMapped
                    ? IPAddress(v4: UInt32(truncatingIfNeeded: low)) : IPAddress(high: high, low: low), port)
        default: return nil
        }
    }

    var socketAddress: SocketAddress? {
        try? SocketAddress(packedIPAddress: ByteBuffer(bytes: address.bytes), port: Int(port))
    }
}

/// System calls on sockets that aren't NIO's yet. Errors are errno values; 0 is success.
enum RawSocket {
    static func bind(_ socket: Int32, to endpoint: Endpoint) -> Int32 {
        endpoint.withSocketAddress { Glibc.bind(socket, $0, $1) == 0 ? 0 : errno }
    }

    static func connect(_ socket: Int32, to endpoint: Endpoint) -> Int32 {
        endpoint.withSocketAddress { Glibc.connect(socket, $0, $1) == 0 ? 0 : errno }
    }

    /// Nil where the socket isn't bound.
    static func localEndpoint(of socket: Int32) -> Endpoint? {
        withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { raw in
            raw.initializeMemory(as: UInt8.self, repeating: 0)
            var size = socklen_t(raw.count)
            let address = raw.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            guard getsockname(socket, address, &size) == 0 else { return nil }
            return Endpoint(raw: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(raw)[..<Int(size)]))
        }
    }

    /// The next connection of a listener that doesn't block, and where it comes from (nil where that isn't an
    /// endpoint of IP); nil with errno.
    static func accept(from listener: Int32) -> (socket: Int32, source: Endpoint?)? {
        withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { raw in
            var size = UInt32(raw.count)
            let socket = mesh_accept_peer(listener, raw.baseAddress, &size)
            guard socket >= 0 else { return nil }
            let address = UnsafeRawBufferPointer(raw).prefix(Int(size))
            return (socket, Endpoint(raw: UnsafeRawBufferPointer(rebasing: address)))
        }
    }

    /// Closes with a reset instead of a FIN.
    static func abort(_ socket: Int32) {
        var reset = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
        close(socket)
    }
}
