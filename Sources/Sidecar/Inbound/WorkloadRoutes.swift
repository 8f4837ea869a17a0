// The ways to a port of the workload, in the order in which they are tried.

import SidecarProtocol

/// A namespace, the address that the workload shall see, and the one that it may listen on.
struct WorkloadRoute {
    var kind: SocketKind
    var source: Endpoint
    var destination: Endpoint

    /// From the caller's address, through M, to the workload's own: as its peers see it.
    static func own(_ address: IPAddress, from source: Endpoint, to port: UInt16) -> WorkloadRoute {
        route(.mesh, from: source, to: address, port)
    }

    /// From the local half of the caller's address, inside W.
    static func local(_ address: IPAddress, from source: Endpoint, to port: UInt16) -> WorkloadRoute {
        route(.workload, from: source, to: address, port)
    }

    private static func route(
        _ place: SocketKind.Place, from source: Endpoint, to address: IPAddress, _ port: UInt16
    ) -> WorkloadRoute {
        WorkloadRoute(
            kind: SocketKind(place: place, use: .streams, isIPv6: address.isV6), source: source,
            destination: Endpoint(address, port))
    }
}

struct WorkloadRoutes {
    /// To the own address, then to 127.0.0.1, for programs that listen on that alone.
    var first: [WorkloadRoute]
    /// For programs that listen on IPv6 alone: where all of `first` are refused. Not made before, since
    /// nearly every program takes one of those.
    var rest: () -> [WorkloadRoute] = { [] }

    init(_ first: [WorkloadRoute]) { self.first = first }

    /// - Parameters:
    ///   - own: the workload's address; nil before its first certificate.
    ///   - source: the caller's.
    ///   - localSource: its local half, which callers of 127.0.0.1 have, and on `slirp` all.
    ///   - ipv6: the IPv6 twin of an address, where there is IPv6.
    init(
        to port: UInt16, own: IPAddress?, from source: Endpoint, or localSource: Endpoint, isVeth: Bool,
        ipv6: @escaping (IPAddress) -> IPAddress?
    ) {
        let loopback = WorkloadRoute.local(IPAddress(v4: 0x7F00_0001), from: localSource, to: port)
        guard let own else {
            first = [loopback]
            return
        }
        let usual: WorkloadRoute =
            isVeth
            ? .own(own, from: source, to: port) : .local(own, from: localSource, to: port)
        first = [usual, loopback]
        rest = {
            guard let own = ipv6(own), let from = ipv6(source.address),
                let localFrom = ipv6(localSource.address)
            else { return [] }
            return [
                .own(own, from: Endpoint(from, source.port), to: port),
                .local(.loopbackV6, from: Endpoint(localFrom, localSource.port), to: port),
            ]
        }
    }
}

extension IPAddress {
    /// ::1
    fileprivate static let loopbackV6 = IPAddress(high: 0, low: 1)
}
