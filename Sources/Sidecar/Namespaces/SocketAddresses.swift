// Endpoints of the core as the kernel and NIO spell them, and the two calls that need them raw.

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
                for (index, byte) in address.bytes.enumerated() { raw[8 + index] = byte }
            }
            return body(
                raw.baseAddress!.assumingMemoryBound(to: sockaddr.self), isIPv4 ? 16 : 28)
        }
    }

    /// Nil for a unix socket's address. IPv4 inside IPv6 (`::ffff:…`) becomes IPv4.
    init?(_ address: SocketAddress) {
        if case .unixDomainSocket = address { return nil }
        if case .v4 = address {
            let (number, port) = address.withSockAddr { raw, size in
                let bytes = UnsafeRawBufferPointer(start: raw, count: size)
                return (
                    bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self),
                    bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)
                )
            }
            self.init(IPAddress(v4: UInt32(bigEndian: number)), UInt16(bigEndian: port))
            return
        }
        let bytes: [UInt8] = address.withSockAddr { raw, size in
            Array(UnsafeRawBufferPointer(start: raw, count: size))
        }
        self.init(family: AF_INET6, bytes: bytes)
    }

    /// From the bytes of a `sockaddr_in` or `sockaddr_in6`.
    fileprivate init?(family: Int32, bytes: [UInt8]) {
        switch family {
        case AF_INET where bytes.count >= 8: self.init(Array(bytes[4..<8]), port: bytes[2...3])
        case AF_INET6 where bytes.count >= 24:
            let isMapped = bytes[8..<20].elementsEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF])
            self.init(Array(bytes[(isMapped ? 20 : 8)..<24]), port: bytes[2...3])
        default: return nil
        }
    }

    private init?(_ address: [UInt8], port: ArraySlice<UInt8>) {
        guard let ip = IPAddress(address) else { return nil }
        self.init(ip, port.reduce(0) { $0 << 8 | UInt16($1) })
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
            return Endpoint(family: Int32(address.pointee.sa_family), bytes: Array(raw.prefix(Int(size))))
        }
    }

    /// Closes with a reset instead of a FIN.
    static func abort(_ socket: Int32) {
        var reset = linger(l_onoff: 1, l_linger: 0)
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
        close(socket)
    }
}
