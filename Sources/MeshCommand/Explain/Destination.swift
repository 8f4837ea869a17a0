// TO:PORT, as `mesh explain` takes it.

import SidecarProtocol

/// Where a flow would go.
enum Destination: Equatable {
    case workload(WorkloadName, ServicePort)
    case outside(host: String, ServicePort)

    /// `web:8080`, `shop/web:53/udp`, `web.mesh:80`, or a name or address outside: `example.com:443`.
    ///
    /// - Parameter namespace: the caller's, for a name that gives none.
    init(parsing text: String, namespace: String) throws(Complaint) {
        let wrong = Complaint(
            "\"\(text)\" is not TO:PORT", fix: "write web:8080, shop/web:53/udp or example.com:443",
            exitCode: 64)
        guard let colon = text.lastIndex(of: ":"),
            let port = try? ServicePort(parsing: String(text[text.index(after: colon)...]))
        else { throw wrong }
        var host = text[..<colon].lowercased()
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        if NetworkLiteral.isAddress(host) {
            self = .outside(host: host, port)
        } else if host.contains("/") || !host.contains(".") {
            let parts = host.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard parts.count <= 2,
                let name = try? WorkloadName(
                    namespace: parts.count == 2 ? parts[0] : namespace, name: parts[parts.count - 1])
            else { throw wrong }
            self = .workload(name, port)
        } else {
            switch MeshNames.read(host, namespace: namespace) {
            case .workload(let name): self = .workload(name, port)
            case .meshOther: throw wrong
            case .reverse, .outside: self = .outside(host: host, port)
            }
        }
    }
}
