import SidecarProtocol
import Testing

@testable import Launcher

/// A kernel that refuses what it is told to, and writes down what was asked of it.
private struct ScriptedMaker: NetworkMaker {
    var refusesVeth = false
    var refusesTAP = false
    var hasIPv6 = true
    /// The kernel knows IPv6's settings, and refuses its addresses.
    var forbidsIPv6 = false
    var calls: [String] = []

    mutating func enterNew(_ space: NetworkPlan.Space) { calls.append("enter \(space)") }
    mutating func set(_ setting: NetworkPlan.Setting) -> Bool {
        calls.append("set \(setting.path.split(separator: "/").last!)")
        return hasIPv6 || !setting.path.contains("ipv6")
    }
    mutating func makeVeth() throws(LaunchFailure) {
        calls.append("veth")
        if refusesVeth { throw LaunchFailure("no veth here", fix: "") }
    }
    mutating func makeTAP() throws(LaunchFailure) {
        calls.append("tap")
        if refusesTAP { throw LaunchFailure("no tun here", fix: "") }
    }
    mutating func perform(_ placed: NetworkPlan.Placed) throws(LaunchFailure) {
        calls.append("\(placed.space)")
        let isIPv6 =
            switch placed.step {
            case .up, .mtu: false
            case .address(let prefix, _): prefix.address.isV6
            case .route(let route): route.destination.address.isV6
            }
        guard isIPv6 else { return }
        calls.append("IPv6")
        if forbidsIPv6 || !hasIPv6 { throw LaunchFailure("no IPv6 here", fix: "") }
    }
    mutating func abandon(_ space: NetworkPlan.Space) { calls.append("abandon \(space)") }

    /// What was asked for, without the details.
    var main: [String] {
        calls.filter { call in
            !["mesh", "workload", "IPv6"].contains(call) && !call.hasPrefix("set ")
        }
    }
}

@Suite("Network set-up")
struct NetworkSetupTests {
    private func make(
        _ wanted: WorkloadConfiguration.Datapath, _ maker: inout ScriptedMaker
    ) throws -> SidecarNetwork {
        try NetworkSetup.make(wanted, own: NetworkPlanTests.own, pingGroups: 0...0, by: &maker)
    }

    private func refusal(
        of wanted: WorkloadConfiguration.Datapath, _ maker: inout ScriptedMaker
    ) -> LaunchFailure? {
        do {
            _ = try make(wanted, &maker)
            return nil
        } catch {
            return error as? LaunchFailure
        }
    }

    @Test("auto is veth where the kernel has it")
    func automatic() throws {
        var maker = ScriptedMaker()
        let network = try make(.auto, &maker)
        #expect(network == SidecarNetwork(datapath: .veth, hasTAP: true, hasIPv6: true))
        #expect(maker.main == ["enter mesh", "enter workload", "veth", "tap"])
    }

    @Test("auto falls back to slirp, and gives the mesh side up")
    func fallback() throws {
        var maker = ScriptedMaker(refusesVeth: true)
        let network = try make(.auto, &maker)
        #expect(network == SidecarNetwork(datapath: .slirp, hasTAP: true, hasIPv6: false))
        #expect(maker.main == ["enter mesh", "enter workload", "veth", "abandon mesh", "tap"])
        #expect(!maker.calls.contains("mesh"), "nothing is done in an abandoned namespace")
    }

    @Test("veth that was asked for is refused where the kernel hasn't it")
    func vethRefused() {
        var maker = ScriptedMaker(refusesVeth: true)
        let failure = refusal(of: .veth, &maker)
        #expect(
            failure?.description == "no veth here; load the kernel's module veth, or use --datapath slirp")
    }

    @Test("veth works without a TAP")
    func vethWithoutTAP() throws {
        var maker = ScriptedMaker(refusesTAP: true)
        let network = try make(.auto, &maker)
        #expect(network == SidecarNetwork(datapath: .veth, hasTAP: false, hasIPv6: true))
    }

    @Test("a kernel without IPv6 isn't asked for its addresses")
    func noIPv6() throws {
        var maker = ScriptedMaker(hasIPv6: false)
        let network = try make(.auto, &maker)
        #expect(network == SidecarNetwork(datapath: .veth, hasTAP: true, hasIPv6: false))
        #expect(!maker.calls.contains("IPv6"))
    }

    @Test("a kernel that forbids IPv6 is left in peace after its first refusal")
    func forbiddenIPv6() throws {
        var maker = ScriptedMaker(forbidsIPv6: true)
        let network = try make(.auto, &maker)
        #expect(network == SidecarNetwork(datapath: .veth, hasTAP: true, hasIPv6: false))
        #expect(maker.calls.filter { $0 == "IPv6" }.count == 1)
    }

    @Test(
        "IPv6 is off before the TAP is made, and not before the veth pair is",
        arguments: [WorkloadConfiguration.Datapath.auto, .veth, .slirp])
    func tapWithoutIPv6(_ datapath: WorkloadConfiguration.Datapath) throws {
        var maker = ScriptedMaker()
        _ = try make(datapath, &maker)
        let off = try #require(maker.calls.firstIndex(of: "set disable_ipv6"))
        let tap = try #require(maker.calls.firstIndex(of: "tap"))
        #expect(off < tap)
        if let veth = maker.calls.firstIndex(of: "veth") { #expect(veth < off) }
        #expect(maker.calls.contains("set accept_ra") == (datapath != .slirp))
    }

    @Test("slirp makes no mesh side, and is refused without a TAP", arguments: [true, false])
    func slirp(refusesTAP: Bool) throws {
        var maker = ScriptedMaker(refusesTAP: refusesTAP)
        if refusesTAP {
            let failure = refusal(of: .slirp, &maker)
            #expect(failure?.description.hasPrefix("no tun here; ") == true)
        } else {
            let network = try make(.slirp, &maker)
            #expect(network == SidecarNetwork(datapath: .slirp, hasTAP: true, hasIPv6: false))
        }
        #expect(maker.main == ["enter workload", "tap"])
    }
}
