import SidecarProtocol
import Testing

@testable import Sidecar

@Suite("Routes into the workload")
struct WorkloadRoutesTests {
    private static let own = IPAddress(v4: 0xC612_0101)
    private static let source = Endpoint(IPAddress(v4: 0xC612_0202), 40_000)
    private static let localSource = Endpoint(IPAddress(v4: 0xC613_0202), 40_000)

    private func routes(isVeth: Bool, hasIPv6: Bool) -> WorkloadRoutes {
        WorkloadRoutes(
            to: 80, own: WorkloadRoutesTests.own, from: WorkloadRoutesTests.source,
            or: WorkloadRoutesTests.localSource, isVeth: isVeth
        ) { hasIPv6 ? WorkloadRoutesTests.twin($0) : nil }
    }

    private static func twin(_ address: IPAddress) -> IPAddress? {
        IPAddress([0xFD] + [UInt8](repeating: 0, count: 11) + address.bytes)
    }

    @Test("veth: the own address from the caller's, 127.0.0.1 from its local half, then IPv6 alike")
    func veth() throws {
        let routes = routes(isVeth: true, hasIPv6: true)
        let first = routes.first
        #expect(first.map(\.kind) == [.meshTCP, .workloadTCP])
        #expect(first.map(\.source) == [WorkloadRoutesTests.source, WorkloadRoutesTests.localSource])
        let loopback = IPAddress(v4: 0x7F00_0001)
        #expect(first.map(\.destination) == [WorkloadRoutesTests.own, loopback].map { Endpoint($0, 80) })
        let rest = routes.rest()
        #expect(rest.map(\.kind.place) == [.mesh, .workload])
        #expect(rest.allSatisfy { $0.kind.isIPv6 && $0.source.port == 40_000 })
        for (route, old) in zip(rest, first) {
            #expect(route.source.address == WorkloadRoutesTests.twin(old.source.address))
        }
        let ownTwin = try #require(WorkloadRoutesTests.twin(WorkloadRoutesTests.own))
        let loopback6 = try #require(IPAddress([UInt8](repeating: 0, count: 15) + [1]))
        #expect(rest.map(\.destination) == [ownTwin, loopback6].map { Endpoint($0, 80) })
    }

    @Test("slirp, and a kernel without IPv6, have no more than IPv4", arguments: [true, false])
    func withoutIPv6(_ isVeth: Bool) {
        let routes = routes(isVeth: isVeth, hasIPv6: false)
        #expect(routes.first.count == 2 && routes.rest().isEmpty)
        #expect(routes.first[0].kind == (isVeth ? .meshTCP : .workloadTCP))
    }
}
