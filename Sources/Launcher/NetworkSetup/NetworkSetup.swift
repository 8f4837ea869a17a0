// Making the networks: in which order, and what happens where the kernel refuses a part.

import SidecarProtocol

/// What the set-up asks of the kernel. The process moves: a namespace that `enterNew` makes is the one
/// that settings, TAP and later calls refer to.
protocol NetworkMaker {
    mutating func enterNew(_ space: NetworkPlan.Space) throws(LaunchFailure)
    /// - Returns: false for an optional one that this kernel hasn't.
    @discardableResult
    mutating func set(_ setting: NetworkPlan.Setting) throws(LaunchFailure) -> Bool
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
        _ wanted: WorkloadConfiguration.Datapath, own: OwnAddress, pingGroups: ClosedRange<UInt32>,
        by maker: inout some NetworkMaker
    ) throws(LaunchFailure) -> SidecarNetwork {
        var network = SidecarNetwork(datapath: .slirp, hasTAP: true, hasIPv6: false)
        if wanted != .slirp { _ = try enter(.mesh, pingGroups, hasVeth: true, &maker) }
        let kernelHasIPv6 = try enter(.workload, pingGroups, hasVeth: wanted != .slirp, &maker)
        if wanted != .slirp {
            do throws(LaunchFailure) {
                try maker.makeVeth()
                network.datapath = .veth
            } catch {
                guard wanted == .auto else {
                    throw LaunchFailure(
                        error.description, fix: "load the kernel's module veth, or use --datapath slirp")
                }
                maker.abandon(.mesh)
            }
        }
        network.hasTAP = try makeTAP(isNeeded: network.datapath == .slirp, &maker)
        let plan = NetworkPlan(datapath: network.datapath, own: own, hasTAP: network.hasTAP)
        for placed in plan.steps { try maker.perform(placed) }
        if kernelHasIPv6, !plan.stepsOfIPv6.isEmpty {
            network.hasIPv6 = performAll(plan.stepsOfIPv6, &maker)
        }
        return network
    }

    /// - Returns: whether this kernel has IPv6, as far as `hasVeth` makes it matter.
    private static func enter(
        _ space: NetworkPlan.Space, _ pingGroups: ClosedRange<UInt32>, hasVeth: Bool,
        _ maker: inout some NetworkMaker
    ) throws(LaunchFailure) -> Bool {
        try maker.enterNew(space)
        for setting in NetworkPlan.settings(space, pingGroups: pingGroups) { try maker.set(setting) }
        guard hasVeth else { return false }
        var hasAll = true
        for setting in NetworkPlan.settingsOfIPv6 where !(try maker.set(setting)) { hasAll = false }
        return hasAll
    }

    private static func makeTAP(
        isNeeded: Bool, _ maker: inout some NetworkMaker
    ) throws(LaunchFailure) -> Bool {
        try maker.set(NetworkPlan.withoutIPv6)
        do throws(LaunchFailure) {
            try maker.makeTAP()
            return true
        } catch {
            guard isNeeded else { return false }
            throw LaunchFailure(
                error.description,
                fix: "datapath slirp needs /dev/net/tun: modprobe tun; chmod 666 /dev/net/tun")
        }
    }

    /// False at the first step that the kernel refuses: it may have IPv6 and forbid it.
    private static func performAll(
        _ steps: [NetworkPlan.Placed], _ maker: inout some NetworkMaker
    ) -> Bool {
        do throws(LaunchFailure) {
            for placed in steps { try maker.perform(placed) }
            return true
        } catch {
            return false
        }
    }
}
