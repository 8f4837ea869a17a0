/// Where a collector takes spans by OTLP over plain HTTP: `http://127.0.0.1:4318`.
package struct TelemetryEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address, an IPv6 one without its brackets.
    package let host: String
    package let port: UInt16
    /// What stands before `/v1/traces`, without a slash at its end.
    package let base: String

    /// The path that spans are posted to (OTLP specification, "OTLP/HTTP Request").
    package var path: String { base + "/v1/traces" }

    /// As the `Host` header and a URL spell it.
    package var authority: String {
        host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    package var description: String { "http://\(authority)\(base)" }

    /// `http://HOST:PORT`, perhaps with a path; without a port, OTLP's own.
    package init(parsing text: String) throws(ConfigurationError) {
        let fix = "write http://HOST:PORT, such as http://127.0.0.1:4318, or none"
        let scheme = "http://"
        guard text.hasPrefix(scheme) else {
            throw ConfigurationError("otlp \"\(text)\" is not a collector's address", fix: fix)
        }
        let rest = text.dropFirst(scheme.utf8.count)
        let authority = String(rest.prefix { $0 != "/" })
        var base = String(rest.dropFirst(authority.count))
        while base.hasSuffix("/") { base.removeLast() }
        let isVisible = base.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"?#\"\\".utf8.contains($0) }
        guard isVisible, text.utf8.count <= Limits.telemetryEndpointBytesMaximum else {
            throw ConfigurationError("otlp \"\(text)\" is not a collector's address", fix: fix)
        }
        let isBare = authority.hasSuffix("]") || !authority.utf8.contains(UInt8(ascii: ":"))
        let (host, port) = try ConfigurationGrammar.hostAndPort(
            isBare ? authority + ":\(TelemetryEndpoint.standardPort)" : authority, fix: fix)
        guard NetworkLiteral.isAddress(host) || NetworkLiteral.isHostName(host.lowercased()) else {
            throw ConfigurationError("\"\(host)\" is not a host name or address", fix: fix)
        }
        self.host = host.lowercased()
        self.port = port
        self.base = base
    }

    private static let standardPort = 4318
}

extension ConfigurationGrammar {
    /// A collector, or `none`.
    package static func telemetry(_ text: String) throws(ConfigurationError) -> TelemetryEndpoint? {
        text == "none" ? nil : try TelemetryEndpoint(parsing: text)
    }

    package static func recordKeeping(
        _ text: String
    ) throws(ConfigurationError) -> WorkloadConfiguration.RecordKeeping {
        guard let keeping = WorkloadConfiguration.RecordKeeping(rawValue: text) else {
            throw ConfigurationError("records \"\(text)\" isn't known", fix: "use optional or required")
        }
        return keeping
    }
}

extension Limits {
    /// The text of a collector's address.
    package static let telemetryEndpointBytesMaximum = 255
}
