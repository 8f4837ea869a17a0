// The plan, for --dry-run.

import SidecarProtocol

extension LaunchPlan {
    var text: String {
        let pings = identity.pingGroups
        let datapath = configuration.datapath == .slirp ? WorkloadConfiguration.Datapath.slirp : .veth
        let network = NetworkPlan(datapath: datapath, own: ownAddress, hasTAP: true)
        var lines = [
            "workload    \(configuration.workload)\(configuration.isNamed ? "" : " (made up: it may not serve)")",
            "command     \(configuration.command.joined(separator: " "))",
            "user        \(account.name), \(identity.isKept ? "kept" : "root inside")",
            "address     "
                + (ownAddress == .unknown
                    ? "the trust domain, made by the first launch, decides" : ownAddress.text),
            "folders     \(paths.runtime), \(paths.state), \(paths.config), \(paths.cache)",
            "sidecar     \(sidecar)",
            "namespace A ids \(LaunchPlan.line(identity.users)) groups \(LaunchPlan.line(identity.groups))",
            "namespace B ids \(LaunchPlan.line(identity.innerUsers)) "
                + "groups \(LaunchPlan.line(identity.innerGroups))",
            "datapath    \(configuration.datapath.rawValue)",
        ]
        for space in datapath == .veth ? [NetworkPlan.Space.mesh, .workload] : [.workload] {
            var ipv6 = datapath == .veth ? NetworkPlan.settingsOfIPv6 : []
            if space == .workload { ipv6.append(NetworkPlan.withoutIPv6) }
            for setting in NetworkPlan.settings(space, pingGroups: pings) + ipv6 {
                lines.append("  \(space.letter) \(setting.path) = \(setting.value)")
            }
        }
        lines += (network.steps + network.stepsOfIPv6).map { "  \($0.space.letter) \($0.step.text)" }
        lines += masks.folders.map { "mask        \($0)" } + masks.files.map { "mask        \($0)" }
        lines += masks.binds.map { "bind        \($0.target)\($0.isReadOnly ? " (read-only)" : "")" }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func line(_ extents: [IdentityPlan.Extent]) -> String {
        extents.map { "\($0.inside) \($0.outside) \($0.count)" }.joined(separator: ", ")
    }
}

extension OwnAddress {
    fileprivate var text: String { "\(IPAddress(v4: v4))" + (v6.map { ", \($0)" } ?? "") }
}

extension NetworkPlan.Space {
    fileprivate var letter: String {
        switch self {
        case .workload: "W"
        case .mesh: "M"
        }
    }
}

extension NetworkPlan.Step {
    var text: String {
        switch self {
        case .up(let device): "\(device) up"
        case .mtu(let device, let bytes): "\(device) mtu \(bytes)"
        case .address(let prefix, let device): "\(prefix) on \(device)"
        case .route(let route):
            "\(route.isLocal ? "local " : "")\(route.destination)"
                + (route.gateway.map { " via \($0) onlink" } ?? "") + " dev \(route.device)"
                + (route.source.map { " src \($0)" } ?? "")
        }
    }
}
