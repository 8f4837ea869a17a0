// What the values of a configuration must be to each other.

extension WorkloadConfiguration {
    /// A value that contradicts another one of the configuration.
    package struct Contradiction: Hashable, Sendable {
        /// The key in the config file, and which of its entries.
        package let key: String
        package let index: Int
        package let error: ConfigurationError
    }

    /// Everything that is wrong between the keys; empty for a configuration that can run. The launcher
    /// asks again once its flags are added.
    package func contradictions() -> [Contradiction] {
        var found: [Contradiction] = []
        found += repeated("serves", serves.map(\.description))
        found += repeated("accepts", accepts.map(\.from.description))
        found += repeated(
            "calls", calls.map { call in call.target.description + (call.port.map { ":\($0)" } ?? "") })
        found += repeated("egress", egress.map(\.spelling))
        found += repeated("sockets", sockets)
        found += repeated("listen", listen)
        found += repeated("advertise", advertise)
        found += foreignPorts()
        return found
    }

    private func repeated(_ key: String, _ entries: [String]) -> [Contradiction] {
        var seen: Set<String> = []
        var found: [Contradiction] = []
        for (index, entry) in entries.enumerated() where !seen.insert(entry).inserted {
            found.append(
                Contradiction(
                    key: key, index: index,
                    error: ConfigurationError("\(key) names \(entry) twice", fix: "keep one of them")))
        }
        if entries.count > Limits.configurationListMaximum {
            found.append(
                Contradiction(
                    key: key, index: Limits.configurationListMaximum,
                    error: ConfigurationError(
                        "\(key) has \(entries.count) entries",
                        fix: "keep at most \(Limits.configurationListMaximum)")))
        }
        return found
    }

    private func foreignPorts() -> [Contradiction] {
        let served = Set(serves.map(\.port))
        var found: [Contradiction] = []
        for (index, accept) in accepts.enumerated() {
            for port in accept.ports where !served.contains(port) {
                let known = Set(serves.map(\.port)).sorted().map(String.init).joined(separator: ", ")
                found.append(
                    Contradiction(
                        key: "accepts", index: index,
                        error: ConfigurationError(
                            "accepts names port \(port), which serves doesn't list",
                            fix: known.isEmpty
                                ? "add it to serves" : "add it to serves, or use one of: \(known)"
                        )))
            }
        }
        return found
    }
}
