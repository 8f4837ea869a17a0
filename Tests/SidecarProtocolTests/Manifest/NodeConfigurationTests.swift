import SidecarProtocol
import Testing

@Suite struct NodeConfigurationTests {
    @Test("a node's configuration is read back as it was written")
    func roundTrip() throws {
        let configuration = NodeConfiguration(
            listen: ["0.0.0.0:7400"], advertise: ["192.0.2.7:7400"], seeds: ["b.example.com:7400"])
        #expect(try NodeConfiguration(canonical: configuration.encoded()) == configuration)
    }

    @Test("a list is read at its limit, and refused one past it")
    func limits() throws {
        let most = [String](repeating: "b:1", count: Limits.nodeSeedsMaximum)
        #expect(try NodeConfiguration(canonical: NodeConfiguration(seeds: most).encoded()).seeds == most)
        let more = NodeConfiguration(seeds: most + ["b:1"]).encoded()
        #expect(throws: CBORError.self) { try NodeConfiguration(canonical: more) }
    }

    @Test("a node's own names aren't seeds of its own")
    func own() {
        let configuration = NodeConfiguration(
            listen: ["192.0.2.7:7400"], advertise: ["198.51.100.7:7400"],
            seeds: ["192.0.2.7:7400", "198.51.100.7:7400", "b.example.com:7400"])
        #expect(configuration.otherSeeds == ["b.example.com:7400"])
    }

    @Test("a seed is a name or an address, with a port")
    func seeds() throws {
        for good in ["node-b:7400", "Node-B.example.com:1", "192.0.2.7:65535", "[2001:db8::7]:7400"] {
            #expect(try ConfigurationGrammar.seed(good) == good)
        }
        for bad in ["", "node-b", "node-b:0", "no de:1", "0.0.0.0:7400", "2001:db8::7:7400", "[::]:7"] {
            #expect(throws: ConfigurationError.self, "\(bad)") { try ConfigurationGrammar.seed(bad) }
        }
    }
}
