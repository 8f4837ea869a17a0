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
    private let acceptor: PeerAcceptor
    private let bootstrap: ClientBootstrap
    /// Itself, until it is closed: whom the acceptor's thread hands connections to.
    private let owner: NIOLoopBoundBox<PeerListener?>

    /// Opens the sockets that the configuration names, or one on all addresses and a free port. Connections
    /// wait until `use` is called.
    ///
    /// - Parameter accept: called on the loop for each connection whose first flight is right; throwing
    ///   refuses it.
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
        let acceptance = NIOLoopBound(accept, eventLoop: loop)
        bootstrap = ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try acceptance.value(channel) }
            }
        let owner = NIOLoopBoundBox<PeerListener?>.makeEmptyBox(eventLoop: loop)
        self.owner = owner
        acceptor = PeerAcceptor(sockets.map(\.socket)) { socket in
            loop.execute {
                guard let listener = owner.value else { return RawSocket.abort(socket) }
                listener.take(socket)
            }
        }
        owner.value = self
    }

    /// Takes the connections of those who know one of these.
    func use(_ keys: FirstFlightKeys) throws(SystemError) { try acceptor.use(keys) }

    private func take(_ socket: Int32) {
        acceptor.taken()
        // What the peer has reset meanwhile fails, and is closed.
        _ = bootstrap.withConnectedSocket(socket)
    }

    func close() {
        owner.value = nil
        acceptor.close()
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
