import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct ConfigurationRoundTripTests {
    static let full = """
        mesh: 1
        workload: web
        namespace: shop
        version: 1.10
        command: [nginx, -c, ./nginx.conf, -g, "daemon off;", "", 10, "null", "ü \\u2028"]
        user: postgres
        serves:  [{port: 8080, protocol: tcp}, {port: 53, protocol: udp}]
        accepts:
          - client
          - {from: default/client, ports: [8080]}
          - {from: "*/*", ports: [53]}
        calls:   [db, other/db, web:8080]
        egress:  [API.example.com:443, "192.0.2.7:80", "[2001:db8::7]:443"]
        datapath: slirp
        consistency: eventual
        fsync: always
        conditional: deny
        memory: 64MiB
        sockets: [/run/example.sock]
        listen: ["0.0.0.0:7400", "[::]:7400"]
        advertise: ["192.0.2.7:7400"]
        records: required
        otlp: "http://[::1]:4318/otel/"
        """

    @Test("every key is read, and printed so that it reads the same again")
    func everyKey() throws {
        let read = try compile(ConfigurationRoundTripTests.full)
        #expect(read.workload.description == "shop/web")
        #expect(read.version == "1.10")
        #expect(read.command[5...] == ["", "10", "null", "ü \u{2028}"])
        #expect(read.user == .named("postgres"))
        #expect(read.serves == [ServicePort(8080, .tcp), ServicePort(53, .udp)])
        #expect(read.accepts.map(\.from.description) == ["shop/client", "default/client", "*/*"])
        #expect(read.accepts.map(\.ports) == [[], [8080], [53]])
        #expect(read.calls.map(\.target.description) == ["shop/db", "other/db", "shop/web"])
        #expect(read.calls.map(\.port) == [nil, nil, 8080])
        #expect(read.egress.map(\.host) == ["api.example.com", "192.0.2.7", "2001:db8::7"])
        #expect((read.datapath, read.consistency) == (.slirp, .eventual))
        #expect((read.state.fsync, read.state.conditional, read.state.memory) == (.always, .deny, 64 << 20))
        #expect(read.records == .required)
        #expect(read.telemetry?.description == "http://[::1]:4318/otel")
        #expect(read.telemetry?.path == "/otel/v1/traces")
        #expect(read.listen == ["0.0.0.0:7400", "[::]:7400"])
        #expect(try compile(YAMLText.file(read)) == read)
        #expect(try WorkloadConfiguration(canonical: read.encoded()) == read)
    }

    @Test("a file with two keys gets the documented defaults")
    func defaults() throws {
        let read = try compile("mesh: 1\nworkload: web")
        #expect(read == WorkloadConfiguration(workload: try WorkloadName(namespace: "default", name: "web")))
        #expect(try compile(YAMLText.file(read)) == read)
    }

    @Test("what prints says every key, once")
    func printsEveryKey() throws {
        let lines = YAMLText.file(try compile("mesh: 1\nworkload: web")).split(separator: "\n")
        #expect(lines.map { String($0.prefix { $0 != ":" }) } == ConfigurationCompiler.keys)
    }

    @Test("one's own trust domain may be spelled out where it is known")
    func ownDomain() throws {
        let text = "mesh: 1\nworkload: web\ncalls: [example.org/default/db]"
        let read = try ConfigurationCompiler.compile(
            Array(text.utf8), file: "web.yaml", trustDomain: "example.org"
        ).configuration
        #expect(read.calls.map(\.target.description) == ["default/db"])
    }

    private func compile(_ text: String) throws -> WorkloadConfiguration {
        try ConfigurationCompiler.compile(Array(text.utf8), file: "web.yaml").configuration
    }
}
