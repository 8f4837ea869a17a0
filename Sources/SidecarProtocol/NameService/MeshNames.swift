// The names of the mesh in DNS: `web.mesh`, `web.shop.mesh`, and addresses turned around.

package enum MeshNames {
    /// Where a workload finds its state; no workload is called so.
    package static let state = "state.mesh"

    /// A question's name, as far as the mesh knows such names.
    package enum Reading: Hashable, Sendable {
        case workload(WorkloadName)
        /// `mesh` itself, or a name under it that no workload can have.
        case meshOther
        /// An address under in-addr.arpa or ip6.arpa.
        case reverse(IPAddress)
        case outside
    }

    /// - Parameters:
    ///   - name: lower case, without the last dot.
    ///   - namespace: of the workload that asks.
    package static func read(_ name: String, namespace: String) -> Reading {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        if labels.last == "mesh" {
            let workload: WorkloadName? =
                switch labels.count {
                case 2: try? WorkloadName(namespace: namespace, name: labels[0])
                case 3: try? WorkloadName(namespace: labels[1], name: labels[0])
                default: nil
                }
            return workload.map { .workload($0) } ?? .meshOther
        }
        if labels.count == 6, labels[4] == "in-addr", labels[5] == "arpa",
            let address = address(reversed: labels.prefix(4))
        {
            return .reverse(IPAddress(v4: address))
        }
        if labels.count == 34, labels[32] == "ip6", labels[33] == "arpa",
            let bytes = [UInt8](hex: labels.prefix(32).reversed().joined()),
            let address = IPAddress(bytes)
        {
            return .reverse(address)
        }
        return .outside
    }

    /// The name that a PTR question is answered with, as the asking workload would write it.
    package static func spell(_ workload: WorkloadName, namespace: String) -> String {
        workload.namespace == namespace
            ? "\(workload.name).mesh" : "\(workload.name).\(workload.namespace).mesh"
    }

    private static func address(reversed labels: ArraySlice<String>) -> UInt32? {
        var address: UInt32 = 0
        for label in labels.reversed() {
            guard let byte = UInt8(label), "\(byte)" == label else { return nil }
            address = address << 8 | UInt32(byte)
        }
        return address
    }
}
