// Making the networks: in which order, and what happens where the kernel refuses a part.

import SidecarProtocol

/// What the set-up asks of the kernel. The process moves: a namespace that `enterNew` makes is the one
/// that settings, TAP and later calls refer to.
protocol NetworkMaker {
    mutating func enterNew(_ space: NetworkPlan.Space) throws(LaunchFailure)
    mutating func set(_ setting: NetworkPlan.Setting) throws(LaunchFailure)
    /// Joins both namespaces, standing in the workload's.
    mutating func makeVeth() throws(LaunchFailure)
    mutating func makeTAP() throws(LaunchFailure)
    mutating func perform(_ placed: NetworkPlan.Placed) throws(LaunchFailure)
    /// Gives up a namespace that isn't used after all.
    mutating func abandon(_ space: NetworkPlan.Space)
}

enum NetworkSetup {
    /// Makes the networks of one workload, and says what they became.
    static func make(
        _ wanted: WorkloadConfiguration.Datapath, own: UInt32, pingGroups: ClosedRange<UInt32>,
        by maker: inout some NetworkMaker
    ) throws(LaunchFailure) -> SidecarNetwork {
        var datapath = WorkloadConfiguration.Datapath.slirp
        if wanted != .slirp { try enter(.mesh, pingGroups, &maker) }
        try enter(.workload, pingGroups, &maker)
        if wanted != .slirp {
            do throws(LaunchFailure) {
                try maker.makeVeth()
                datapath = .veth
            } catch {
                guard wanted == .auto else {
                    throw LaunchFailure(
                        error.description, fix: "load the kernel's module veth, or use --datapath slirp")
                }
                maker.abandon(.mesh)
            }
        }
        var network = SidecarNetwork(datapath: datapath, hasTAP: true)
        do throws(LaunchFailure) {
            try maker.makeTAP()
        } catch {
            guard datapath == .veth else {
                throw LaunchFailure(
                    error.description,
                    fix: "datapath slirp needs /dev/net/tun: modprobe tun; chmod 666 /dev/net/tun")
            }
            network.hasTAP = false
        }
        let plan = NetworkPlan(datapath: datapath, own: own, hasTAP: network.hasTAP)
        for placed in plan.steps { try maker.perform(placed) }
        return network
    }

    private static func enter(
        _ space: NetworkPlan.Space, _ pingGroups: ClosedRange<UInt32>, _ maker: inout some NetworkMaker
    ) throws(LaunchFailure) {
        try maker.enterNew(space)
        for setting in NetworkPlan.settings(space, pingGroups: pingGroups) { try maker.set(setting) }
    }
}
