import SidecarProtocol
import Testing

@Suite struct WorkloadConfigurationTests {
    func full() throws -> WorkloadConfiguration {
        var configuration = WorkloadConfiguration(
            workload: try WorkloadName(namespace: "shop", name: "web"))
        configuration.version = "1.4.2"
        configuration.command = ["nginx", "-g", "daemon off;"]
        configuration.user = .named("www-data")
        configuration.serves = [ServicePort(8080, .tcp), ServicePort(53, .udp)]
        configuration.accepts = [
            .init(from: IdentityPattern(namespace: .exactly("shop"), name: .any), ports: [8080]),
            .init(from: IdentityPattern(namespace: .any, name: .any), ports: []),
        ]
        configuration.calls = [
            .init(target: try WorkloadName(namespace: "shop", name: "db"), port: 5432),
            .init(target: try WorkloadName(namespace: "shop", name: "cache"), port: nil),
        ]
        configuration.egress = [.init(host: "example.org", port: 443)]
        configuration.datapath = .slirp
        configuration.sockets = ["/run/postgresql"]
        configuration.listen = ["0.0.0.0:7000"]
        configuration.advertise = ["192.0.2.1:7000"]
        return configuration
    }

    @Test("the canonical form is read back as it was written")
    func roundTrip() throws {
        let configuration = try full()
        #expect(try WorkloadConfiguration(canonical: configuration.encoded()) == configuration)
    }

    @Test("no cut and no flipped bit of the canonical form traps")
    func damaged() throws {
        let bytes = try full().encoded()
        for length in bytes.indices { _ = try? WorkloadConfiguration(canonical: Array(bytes.prefix(length))) }
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << UInt8(bit)
                if let read = try? WorkloadConfiguration(canonical: changed) {
                    #expect(read.encoded() == changed)
                }
            }
        }
    }

    @Test(
        "patterns match whole parts",
        arguments: [
            ("client", "own", "client", true), ("client", "own", "client2", false), ("*", "own", "x", true),
            ("*", "other", "x", false), ("other/*", "other", "x", true), ("*/*", "other", "x", true),
        ])
    func patterns(pattern: String, namespace: String, name: String, matches: Bool) throws {
        let pattern = try IdentityPattern(parsing: pattern, namespace: "own", trustDomain: "d")
        #expect(pattern.matches(try WorkloadName(namespace: namespace, name: name)) == matches)
    }

    @Test("another trust domain in a pattern is an error, one's own is not")
    func domains() throws {
        #expect(throws: IdentityError.foreignDomain("else")) {
            try IdentityPattern(parsing: "else/ns/w", namespace: "own", trustDomain: "d")
        }
        _ = try IdentityPattern(parsing: "d/ns/w", namespace: "own", trustDomain: "d")
    }

    @Test(
        "names are DNS labels, and the reserved ones refused",
        arguments: ["", "-a", "a-", "A", "a.b", "a_b", "state"])
    func names(name: String) {
        #expect(throws: IdentityError.self) { try WorkloadName(namespace: "default", name: name) }
    }

    @Test("a name of 63 bytes is taken, one of 64 refused")
    func nameLength() throws {
        _ = try WorkloadName(namespace: "n", name: String(repeating: "a", count: 63))
        #expect(throws: IdentityError.self) {
            try WorkloadName(namespace: "n", name: String(repeating: "a", count: 64))
        }
        #expect(throws: IdentityError.reserved("v--2")) { try WorkloadName(namespace: "v--2", name: "a") }
    }

    @Test("launcher and sidecar read each other's messages")
    func launchMessages() throws {
        let start = SidecarStart(
            configuration: [1], instance: InstanceID([UInt8](repeating: 3, count: 16))!, incarnation: 2,
            runtimeFolder: "/r", stateFolder: "/s", configFolder: "/c", executableDigest: nil,
            configurationPath: "/w.yaml", joins: true, logsToStandardError: false, executable: "/x")
        for message in [
            LauncherMessage.start(start), .network(.init(datapath: .veth, hasTAP: true, hasIPv6: true)),
            .workload(processID: 77), .finish(waitStatus: -1),
        ] {
            #expect(try LauncherMessage(canonical: message.encoded()) == message)
        }
        for message in [
            SidecarMessage.ready, .failed("why"), .needsNode, .startStack, .endStack, .startScripts,
            .endScripts,
        ] {
            #expect(try SidecarMessage(canonical: message.encoded()) == message)
        }
    }
}
