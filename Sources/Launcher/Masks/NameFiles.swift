// resolv.conf and hosts, as the workload reads them.

import SidecarProtocol

package enum NameFiles {
    package static let resolver = "nameserver 198.18.0.53\n"

    /// - Parameters:
    ///   - own: the workload's own VIP, which its own name stands for.
    ///   - host: this host's name; programs expect it to resolve to themselves.
    package static func hosts(_ workload: WorkloadName, own: UInt32, host: String) -> String {
        let name = "\(workload.name).mesh \(workload.name).\(workload.namespace).mesh"
        let hostLine = host.isEmpty || host == "localhost" ? "" : "127.0.1.1 \(host)\n"
        return """
            127.0.0.1 localhost
            ::1 localhost ip6-localhost ip6-loopback
            \(IPAddress(v4: own)) \(name)
            \(hostLine)
            """
    }
}
