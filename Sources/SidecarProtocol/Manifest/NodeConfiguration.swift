// A node's configuration, and its canonical form: what `mesh config compile-node` writes, and mesh-node
// runs by.

package struct NodeConfiguration: Hashable, Sendable {
    /// `address:port` where nodes of other hosts may connect; empty: none may.
    package var listen: [String]
    /// `address:port` under which others know this node. A seed of the same name is left out, so that
    /// all hosts may share one list of seeds.
    package var advertise: [String]
    /// `host:port` of nodes to be connected to, always.
    package var seeds: [String]

    package init(listen: [String] = [], advertise: [String] = [], seeds: [String] = []) {
        self.listen = listen
        self.advertise = advertise
        self.seeds = seeds
    }

    /// Those that aren't this node itself.
    package var otherSeeds: [String] {
        seeds.filter { !listen.contains($0) && !advertise.contains($0) }
    }
}

// MARK: - Canonical form

extension NodeConfiguration {
    private enum Key {
        static let schema: UInt64 = 0
        static let listen: UInt64 = 1
        static let advertise: UInt64 = 2
        static let seeds: UInt64 = 3
    }

    package static let schema: UInt64 = 1

    package func encoded() -> [UInt8] {
        var fields = CBORFields()
        fields[Key.schema] = .unsigned(NodeConfiguration.schema)
        fields[Key.listen] = .array(listen.map { .text($0) })
        fields[Key.advertise] = .array(advertise.map { .text($0) })
        fields[Key.seeds] = .array(seeds.map { .text($0) })
        return fields.item.encoded()
    }

    /// Reads the canonical form; any failure names the field.
    package init(canonical bytes: [UInt8]) throws(CBORError) {
        let fields = try CBORFields(try CBOR(canonical: bytes), of: "node configuration")
        guard try fields.unsigned(Key.schema, "mesh") == NodeConfiguration.schema else {
            throw .unexpected(field: "mesh")
        }
        listen = try fields.texts(Key.listen, "listen")
        advertise = try fields.texts(Key.advertise, "advertise")
        seeds = try fields.texts(Key.seeds, "seeds")
        for (list, name) in [(listen, "listen"), (advertise, "advertise"), (seeds, "seeds")] {
            guard list.count <= Limits.nodeSeedsMaximum else { throw .unexpected(field: name) }
        }
    }
}

extension ConfigurationGrammar {
    /// `name:port`, `192.0.2.7:port` or `[2001:db8::7]:port`; returned as written.
    package static func seed(_ text: String) throws(ConfigurationError) -> String {
        let fix = "write host:port, such as node-b.example.com:7400"
        let (host, _) = try hostAndPort(text, fix: fix)
        let isAddress = NetworkLiteral.isAddress(host)
        guard isAddress || NetworkLiteral.isHostName(host.lowercased()) else {
            throw ConfigurationError("\"\(host)\" is not a host name or address", fix: fix)
        }
        guard !isAddress || !NetworkLiteral.isUnspecified(host) else {
            throw ConfigurationError("\"\(text)\" is an address that nobody can dial", fix: fix)
        }
        return text
    }
}
