// What may leave the mesh: the addresses that our own resolver returned for the names that `egress`
// lists, and addresses that it lists literally. Nothing else.
//
// A name's owner chooses its addresses, so answers that point inward (this host, its links, private
// ranges) are dropped: whoever controls `updates.example` must not reach 127.0.0.1 or 10.0.0.1 through
// it. Who wants such an address lists it literally.

package struct EgressPolicy: Sendable {
    /// A permission to open flows to an endpoint until its time; a flow once open may live on.
    package struct Grant: Hashable, Sendable {
        package var host: String
        package var endpoint: Endpoint
        /// Nil: as long as the configuration says so.
        package var until: MonotonicTime?
    }

    private var ports: [String: [UInt16]] = [:]
    package private(set) var grants: [Endpoint: Grant] = [:]
    /// Flows that are open, by where they lead; they may outlive their grants.
    private var flows: [Endpoint: Int] = [:]

    init(_ configuration: WorkloadConfiguration) {
        for entry in configuration.egress {
            ports[entry.host, default: []].append(entry.port)
            if let address = IPAddress(parsing: entry.host) {
                let endpoint = Endpoint(address, entry.port)
                grants[endpoint] = Grant(host: entry.host, endpoint: endpoint, until: nil)
            }
        }
    }

    func isListed(_ host: String) -> Bool { ports[host] != nil }

    func allows(_ host: String, port: UInt16) -> Bool { ports[host]?.contains(port) == true }

    /// Takes a resolver's answer over; returns the addresses that may be passed on, and what is allowed
    /// by them.
    mutating func resolved(
        _ host: String, _ addresses: [IPAddress], until: MonotonicTime
    ) -> (addresses: [IPAddress], grants: [Grant]) {
        guard let ports = ports[host] else { return ([], []) }
        let usable = addresses.filter { address in
            !address.pointsInward
                || ports.contains {
                    grants[Endpoint(address, $0)]?.until == nil
                        && grants[Endpoint(address, $0)] != nil
                }
        }
        var given: [Grant] = []
        for address in usable.prefix(Limits.egressAddressesMaximum) {
            for port in ports {
                let endpoint = Endpoint(address, port)
                if let known = grants[endpoint], known.until == nil { continue }
                guard grants.count < Limits.egressGrantsMaximum || grants[endpoint] != nil else { continue }
                let grant = Grant(host: host, endpoint: endpoint, until: until)
                grants[endpoint] = grant
                given.append(grant)
            }
        }
        return (Array(usable.prefix(Limits.egressAddressesMaximum)), given)
    }

    /// The rule that allows `endpoint`, for records.
    func rule(for endpoint: Endpoint) -> String? {
        grants[endpoint].map { "egress \($0.host):\(endpoint.port)" }
    }

    /// Wherever a flow leads, or may lead.
    var endpoints: [Endpoint] {
        Set(grants.keys).union(flows.keys).sorted { $0.description < $1.description }
    }

    mutating func flowOpened(to endpoint: Endpoint) {
        // More than the stack can have are those of one that crashed, which never told their ends.
        guard flows[endpoint] != nil || flows.count < Limits.stackFlowsMaximum else { return }
        flows[endpoint, default: 0] += 1
    }

    mutating func flowEnded(to endpoint: Endpoint) {
        guard let count = flows[endpoint] else { return }
        flows[endpoint] = count > 1 ? count - 1 : nil
    }

    mutating func dropExpired(at now: MonotonicTime) {
        grants = grants.filter { $0.value.until.map { now < $0 } ?? true }
    }

    /// The grants of `self` that `successor` doesn't list any more.
    func endpointsLost(to successor: EgressPolicy) -> [Endpoint] {
        grants.values.filter { !(successor.ports[$0.host]?.contains($0.endpoint.port) ?? false) }
            .map(\.endpoint).sorted { $0.description < $1.description }
    }

    /// Keeps the grants that are still listed, for a configuration that replaces `self`'s.
    mutating func inherit(from predecessor: EgressPolicy) {
        flows = predecessor.flows
        for grant in predecessor.grants.values
        where ports[grant.host]?.contains(grant.endpoint.port) == true {
            grants[grant.endpoint] = grant
        }
    }
}

extension IPAddress {
    /// Loopback, unspecified, link-local, private, shared, multicast, benchmark (the mesh's own) and
    /// reserved ranges: never taken from a name's answer.
    package var pointsInward: Bool {
        guard let number = v4 else { return pointsInwardV6 }
        let ranges: [(UInt32, UInt32)] = [
            (0x0000_0000, 8), (0x0A00_0000, 8), (0x6440_0000, 10), (0x7F00_0000, 8), (0xA9FE_0000, 16),
            (0xAC10_0000, 12), (0xC000_0000, 24), (0xC0A8_0000, 16), (0xC612_0000, 15),
            (0xE000_0000, 3),
        ]
        return ranges.contains { range, bits in number >> (32 - UInt32(bits)) == range >> (32 - UInt32(bits))
        }
    }

    private var pointsInwardV6: Bool {
        // Only 2000::/3 is global unicast; v4-mapped addresses lie outside it.
        bytes[0] & 0xE0 != 0x20
    }

    /// A dotted IPv4 address; nil for anything else.
    package init?(parsing text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard let byte = UInt8(part), "\(byte)" == part else { return nil }
            bytes.append(byte)
        }
        self.init(bytes)
    }
}

extension Limits {
    /// Addresses of one answer that are passed on.
    package static let egressAddressesMaximum = 16
    package static let egressGrantsMaximum = 1_024
    /// A grant lives at least this long, so that a program can dial what it has just resolved.
    package static let egressGrantMinimum = MonotonicTime.Span.seconds(30)
}
