import SidecarProtocol
import Testing

@testable import Launcher

/// A kernel that refuses what it is told to, and writes down what was asked of it.
private struct ScriptedMaker: NetworkMaker {
    var refusesVeth = false
    var refusesTAP = false
    var calls: [String] = []

    mutating func enterNew(_ space: NetworkPlan.Space) { calls.append("enter \(space)") }
    mutating func set(_ setting: NetworkPlan.Setting) { calls.append("set") }
    mutating func makeVeth() throws(LaunchFailure) {
        calls.append("veth")
        if refusesVeth { throw LaunchFailure("no veth here", fix: "") }
    }
    mutating func makeTAP() throws(LaunchFailure) {
        calls.append("tap")
        if refusesTAP { throw LaunchFailure("no tun here", fix: "") }
    }
    mutating func perform(_ placed: NetworkPlan.Placed) { calls.append("\(placed.space)") }
    mutating func abandon(_ space: NetworkPlan.Space) { calls.append("abandon \(space)") }

    /// What was asked for, without the details.
    var main: [String] { calls.filter { !["set", "mesh", "workload"].contains($0) } }
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
        #expect(network == SidecarNetwork(datapath: .veth, hasTAP: true))
        #expect(maker.main == ["enter mesh", "enter workload", "veth", "tap"])
    }

    @Test("auto falls back to slirp, and gives the mesh side up")
    func fallback() throws {
        var maker = ScriptedMaker(refusesVeth: true)
        let network = try make(.auto, &maker)
        #expect(network == SidecarNetwork(datapath: .slirp, hasTAP: true))
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
        #expect(network == SidecarNetwork(datapath: .veth, hasTAP: false))
    }

    @Test("slirp makes no mesh side, and is refused without a TAP", arguments: [true, false])
    func slirp(refusesTAP: Bool) throws {
        var maker = ScriptedMaker(refusesTAP: refusesTAP)
        if refusesTAP {
            let failure = refusal(of: .slirp, &maker)
            #expect(failure?.description.hasPrefix("no tun here; ") == true)
        } else {
            let network = try make(.slirp, &maker)
            #expect(network == SidecarNetwork(datapath: .slirp, hasTAP: true))
        }
        #expect(maker.main == ["enter workload", "tap"])
    }
}
