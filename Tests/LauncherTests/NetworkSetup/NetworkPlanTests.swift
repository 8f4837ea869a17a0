import SidecarProtocol
import Testing

@testable import Launcher

@Suite("Network plans")
struct NetworkPlanTests {
    /// 198.18.42.7 and fd11:2233:4455::2a07
    static let own = OwnAddress(
        v4: 0xC612_2A07,
        v6: VirtualAddresses.v6(
            of: 0xC612_2A07,
            domain: TrustDomainID([0x11, 0x22, 0x33, 0x44, 0x55] + [UInt8](repeating: 9, count: 27))!))

    private func lines(_ datapath: WorkloadConfiguration.Datapath, hasTAP: Bool) -> [String] {
        let plan = NetworkPlan(datapath: datapath, own: NetworkPlanTests.own, hasTAP: hasTAP)
        return plan.steps.map { ($0.space == .mesh ? "M " : "W ") + $0.step.text }
    }

    @Test("veth with a TAP is the design's layout")
    func veth() {
        #expect(
            lines(.veth, hasTAP: true) == [
                "W lo up", "M lo up", "M 169.254.77.1/32 on m0", "M m0 up", "M 198.18.42.7/32 dev m0",
                "M local 198.18.0.0/16 dev lo", "W 198.18.42.7/32 on w0", "W w0 up",
                "W 169.254.77.1/32 dev w0 src 198.18.42.7",
                "W 198.18.0.0/16 via 169.254.77.1 onlink dev w0 src 198.18.42.7",
                "W tap0 mtu 16384", "W 198.18.42.7/32 on tap0", "W tap0 up",
                "W 198.18.0.1/32 dev tap0 src 198.18.42.7",
                "W 0.0.0.0/0 via 198.18.0.1 onlink dev tap0 src 198.18.42.7",
                "W local 198.19.0.0/16 dev lo src 198.18.42.7",
            ])
    }

    @Test("M's range is a local route of table main, W's local half one of table local")
    func tables() {
        let plan = NetworkPlan(datapath: .veth, own: NetworkPlanTests.own, hasTAP: true)
        let routes = plan.steps.compactMap { if case .route(let route) = $0.step { route } else { nil } }
        #expect(
            routes.first { $0.destination == NetworkPlan.virtualAddresses && $0.isLocal }?.isInMainTable
                == true)
        #expect(routes.first { $0.destination == NetworkPlan.localHalf }?.isInMainTable == false)
    }

    @Test("without a TAP nothing leads out of the mesh")
    func vethAlone() {
        let steps = lines(.veth, hasTAP: false)
        #expect(!steps.contains { $0.contains("tap0") || $0.contains("0.0.0.0/0") })
        #expect(steps.contains("W 198.18.0.0/16 via 169.254.77.1 onlink dev w0 src 198.18.42.7"))
    }

    @Test("slirp has no mesh side")
    func slirp() {
        #expect(
            lines(.slirp, hasTAP: true) == [
                "W lo up", "W tap0 mtu 16384", "W 198.18.42.7/32 on tap0", "W tap0 up",
                "W 198.18.0.1/32 dev tap0 src 198.18.42.7",
                "W 0.0.0.0/0 via 198.18.0.1 onlink dev tap0 src 198.18.42.7",
                "W local 198.19.0.0/16 dev lo src 198.18.42.7",
            ])
    }

    @Test("IPv6 is the domain's own /48 between both sides, and leads nowhere else")
    func ipv6() {
        let plan = NetworkPlan(datapath: .veth, own: NetworkPlanTests.own, hasTAP: true)
        #expect(
            plan.stepsOfIPv6.map { ($0.space == .mesh ? "M " : "W ") + $0.step.text } == [
                "M fe80::1/128 on m0",
                "M fd11:2233:4455::2a07/128 dev m0",
                "M local fd11:2233:4455::/49 dev lo",
                "W fd11:2233:4455::2a07/128 on w0",
                "W fd11:2233:4455::/49 via fe80::1 onlink dev w0",
                "W local fd11:2233:4455:8000::/49 dev lo src fd11:2233:4455::2a07",
            ])
        #expect(!plan.steps.contains { $0.step.text.contains("fd11") })
    }

    @Test("there is no IPv6 on slirp, nor before there is a domain")
    func noIPv6() {
        let slirp = NetworkPlan(datapath: .slirp, own: NetworkPlanTests.own, hasTAP: true)
        let early = NetworkPlan(datapath: .veth, own: .unknown, hasTAP: true)
        #expect(slirp.stepsOfIPv6.isEmpty && early.stepsOfIPv6.isEmpty)
    }

    @Test("low ports and ping are the workload's alone, and nothing is forwarded")
    func settings() {
        let mesh = NetworkPlan.settings(.mesh, pingGroups: 0...0).map { "\($0.path)=\($0.value)" }
        let workload = NetworkPlan.settings(.workload, pingGroups: 0...5).map { "\($0.path)=\($0.value)" }
        #expect(mesh == ["net/ipv4/ip_forward=0"])
        #expect(
            workload == mesh + [
                "net/ipv4/ip_unprivileged_port_start=0", "net/ipv4/ping_group_range=0 5",
            ])
    }
}
