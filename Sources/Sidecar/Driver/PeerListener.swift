// The sidecar's own listening sockets, in the host's network: where peers' sidecars dial it.

import CLinuxShims
import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

final class PeerListener {
    /// What announcements carry, the best first.
    let endpoints: [Endpoint]
    private var channels: [any Channel] = []
    private var isClosed = false

    /// Opens the sockets that the configuration names, or one on all addresses and a free port; they take
    /// connections when this returns.
    ///
    /// - Parameter accept: called on the loop for each connection; throwing refuses it.
    init(
        _ configuration: WorkloadConfiguration, on loop: any EventLoop,
        accept: @escaping (any Channel) throws -> Void
    ) throws(SystemError) {
        var sockets: [(socket: Int32, endpoint: Endpoint)] = []
        if configuration.listen.isEmpty {
            sockets.append(try PeerListener.bindToAll())
        } else {
            for text in configuration.listen {
                sockets.append(try PeerListener.bind(PeerListener.parse(text, of: "listen")))
            }
        }
        var endpoints: [Endpoint] = []
        for text in configuration.advertise {
            endpoints.append(try PeerListener.parse(text, of: "advertise"))
        }
        if endpoints.isEmpty { endpoints = PeerListener.advertised(sockets.map(\.endpoint)) }
        self.endpoints = Array(endpoints.prefix(PeerListener.endpointsMaximum))
        for (socket, _) in sockets { serve(socket, on: loop, accept) }
    }

    private func serve(
        _ socket: Int32, on loop: any EventLoop, _ accept: @escaping (any Channel) throws -> Void
    ) {
        let bound = NIOLoopBound((self, accept), eventLoop: loop)
        ServerBootstrap(group: loop)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture { try bound.value.1(child) }
            }
            .withBoundSocket(socket)
            .whenSuccess { channel in
                // NIO listens anew, with a backlog of its own; the last word counts.
                listen(socket, PeerListener.backlog)
                bound.value.0.opened(channel)
            }
    }

    private func opened(_ channel: any Channel) {
        channels.append(channel)
        if isClosed { close() }
    }

    func close() {
        isClosed = true
        for channel in channels { channel.close(promise: nil) }
    }

    private static let backlog: Int32 = 4096
    private static let endpointsMaximum = 6

    // MARK: Sockets

    /// Both families by one socket, or IPv4 alone where the kernel has no IPv6.
    private static func bindToAll() throws(SystemError) -> (Int32, Endpoint) {
        let any6 = IPAddress([UInt8](repeating: 0, count: 16))!
        if let both = try? bind(Endpoint(any6, 0)) { return both }
        return try bind(Endpoint(IPAddress(v4: 0), 0))
    }

    private static func bind(_ endpoint: Endpoint) throws(SystemError) -> (Int32, Endpoint) {
        let isIPv6 = endpoint.address.bytes.count == 16
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let socket = socket(isIPv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue) | flags, 0)
        guard socket >= 0 else { throw SystemError("socket for \(endpoint)") }
        var one: Int32 = 1
        var zero: Int32 = 0
        let size = socklen_t(MemoryLayout<Int32>.size)
        if endpoint.port != 0 { setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, size) }
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, size)
        if isIPv6 { setsockopt(socket, Int32(IPPROTO_IPV6), SocketOption.ipv6Only, &zero, size) }
        var code = RawSocket.bind(socket, to: endpoint)
        if code == 0, listen(socket, backlog) != 0 { code = errno }
        guard code == 0, let local = RawSocket.localEndpoint(of: socket) else {
            Glibc.close(socket)
            throw SystemError("listen: bind(\(endpoint))", code: code == 0 ? EIO : code)
        }
        return (socket, local)
    }

    /// `127.0.0.1:7000` or `[::1]:7000`.
    static func parse(_ text: String, of key: String) throws(SystemError) -> Endpoint {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
            let address = try? SocketAddress(
                ipAddress: String(text[..<colon].filter { $0 != "[" && $0 != "]" }), port: Int(port)),
            let endpoint = Endpoint(address)
        else { throw SystemError("\(key): \"\(text)\" isn't address:port", code: EINVAL) }
        return endpoint
    }

    // MARK: What to announce

    /// A socket on all addresses is announced at loopback first, since most peers are on this host, and
    /// at the addresses of the host's interfaces.
    private static func advertised(_ endpoints: [Endpoint]) -> [Endpoint] {
        endpoints.flatMap { endpoint -> [Endpoint] in
            guard endpoint.address.bytes.allSatisfy({ $0 == 0 }) else { return [endpoint] }
            let hosts = [IPAddress(v4: 0x7F00_0001)] + hostAddresses(isDual: endpoint.address.v4 == nil)
            return hosts.map { Endpoint($0, endpoint.port) }
        }
    }

    private static func hostAddresses(isDual: Bool) -> [IPAddress] {
        guard let devices = try? System.enumerateDevices() else { return [] }
        return devices.compactMap { $0.address.flatMap { Endpoint($0)?.address } }
            .filter { address in
                guard let v4 = address.v4 else { return isDual && isGlobal(address.bytes) }
                return v4 >> 24 != 127 && v4 >> 16 != 0xA9FE
                    && v4 & ReservedAddress.networkMask != ReservedAddress.network
            }
            .sorted { ($0.bytes.count, $0.description) < ($1.bytes.count, $1.description) }
    }

    /// Neither loopback nor link-local, which needs an interface's name.
    private static func isGlobal(_ bytes: [UInt8]) -> Bool {
        !(bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80) && !bytes.dropLast().allSatisfy { $0 == 0 }
    }
}
