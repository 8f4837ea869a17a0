import SidecarProtocol
import Testing

@testable import Launcher

@Suite("Flags over a config file")
struct ConfigurationOverridesTests {
    private func file(
        _ change: (inout WorkloadConfiguration) -> Void = { _ in }
    ) throws -> WorkloadConfiguration {
        var file = WorkloadConfiguration(workload: try WorkloadName(namespace: "shop", name: "web"))
        file.command = ["nginx"]
        change(&file)
        return file
    }

    private func overrides(
        _ change: (inout ConfigurationOverrides) -> Void = { _ in }
    ) -> ConfigurationOverrides {
        var overrides = ConfigurationOverrides()
        change(&overrides)
        return overrides
    }

    @Test("without flags the file holds")
    func fileAlone() throws {
        let file = try file { $0.serves = [ServicePort(80, .tcp)] }
        #expect(try overrides().configuration(over: file, command: [], suffix: "abc123") == file)
    }

    @Test("single values override, lists extend without repeating")
    func merge() throws {
        let file = try file {
            $0.version = "1"
            $0.datapath = .veth
            $0.serves = [ServicePort(80, .tcp)]
            $0.sockets = ["/run/a"]
        }
        let overrides = overrides {
            $0.version = "2"
            $0.serves = [ServicePort(80, .tcp), ServicePort(81, .tcp)]
            $0.sockets = ["/run/b"]
            $0.calls = ["db", "other/db:5432"]
        }
        let merged = try overrides.configuration(over: file, command: ["caddy", "run"], suffix: "abc123")
        #expect(merged.version == "2")
        #expect(merged.datapath == .veth)
        #expect(merged.command == ["caddy", "run"])
        #expect(merged.serves == [ServicePort(80, .tcp), ServicePort(81, .tcp)])
        #expect(merged.sockets == ["/run/a", "/run/b"])
        #expect(merged.calls.map(\.target.description) == ["shop/db", "other/db"])
        #expect(merged.calls.map(\.port) == [nil, 5432])
    }

    @Test("an accept for a caller that the file names stands in its place")
    func acceptReplaces() throws {
        let from = IdentityPattern(namespace: .exactly("shop"), name: .exactly("client"))
        let file = try file {
            $0.serves = [ServicePort(80, .tcp), ServicePort(81, .tcp)]
            $0.accepts = [WorkloadConfiguration.Accept(from: from, ports: [80])]
        }
        let merged = try overrides { $0.accepts = ["client:81"] }
            .configuration(over: file, command: [], suffix: "abc123")
        #expect(merged.accepts == [WorkloadConfiguration.Accept(from: from, ports: [81])])
    }

    @Test(
        "a name is found in flags, then in the file, and else made up",
        arguments: [
            (nil, nil, true, "shop/web", true), ("api", nil, true, "shop/api", true),
            ("other/api", nil, true, "other/api", true), ("api", "other", true, "other/api", true),
            (nil, "other", true, "other/web", true), (nil, nil, false, "default/nginx-abc123", false),
            ("api", nil, false, "default/api", true), (nil, "other", false, "other/nginx-abc123", false),
        ] as [(String?, String?, Bool, String, Bool)])
    func names(name: String?, namespace: String?, hasFile: Bool, expected: String, isNamed: Bool) throws {
        let overrides = overrides {
            $0.name = name
            $0.namespace = namespace
        }
        let merged = try overrides.configuration(
            over: hasFile ? file() : nil, command: ["/usr/sbin/nginx"], suffix: "abc123")
        #expect(merged.workload.description == expected)
        #expect(merged.isNamed == isNamed)
    }

    @Test(
        "a made-up name is a DNS label, whatever the program is called",
        arguments: [
            ("nginx", "nginx-abc123"), ("/opt/My_App.sh", "my-app-sh-abc123"), ("--", "workload-abc123"),
            ("ünïcode", "n--code-abc123"),
            (String(repeating: "a", count: 80), String(repeating: "a", count: 56) + "-abc123"),
            ("a" + String(repeating: "-", count: 80), "a-abc123"),
        ])
    func madeUp(program: String, expected: String) {
        let name = ConfigurationOverrides.madeUpName(program: program, suffix: "abc123")
        #expect(name == expected)
        #expect(WorkloadName.isLabel(name))
    }

    @Test(
        "contradictions are refused",
        arguments: [
            ("a/b/c", nil, ["x"], "has 3 parts"), ("a/b", "c", ["x"], "contradict each other"),
            ("state", nil, ["x"], "is reserved"), ("UPPER", nil, ["x"], "is not a DNS label"),
            ("web", nil, [], "there is no command to run"), ("web", nil, [""], "there is no command to run"),
        ] as [(String, String?, [String], String)])
    func refused(name: String, namespace: String?, command: [String], message: String) {
        let overrides = overrides {
            $0.name = name
            $0.namespace = namespace
        }
        let failure = #expect(throws: LaunchFailure.self) {
            try overrides.configuration(over: nil, command: command, suffix: "abc123")
        }
        #expect(failure?.description.contains(message) == true, "\(failure?.description ?? "")")
    }

    @Test("a made-up name may not serve")
    func unnamedServer() {
        let failure = #expect(throws: LaunchFailure.self) {
            try overrides { $0.serves = [ServicePort(80, .tcp)] }
                .configuration(over: nil, command: ["x"], suffix: "abc123")
        }
        #expect(failure?.description == "a workload without a name can't serve 80/tcp; add --name NAME")
    }

    @Test("an accept needs a port that is served")
    func acceptWithoutServe() {
        let failure = #expect(throws: LaunchFailure.self) {
            try overrides {
                $0.name = "web"
                $0.serves = [ServicePort(80, .tcp)]
                $0.accepts = ["client:81"]
            }.configuration(over: nil, command: ["x"], suffix: "abc123")
        }
        #expect(failure?.description.contains("81") == true)
    }

    @Test("a canonical form at the limit is accepted, one byte more refused")
    func sizeLimit() throws {
        func size(_ argument: String) throws -> Int {
            var made = WorkloadConfiguration(workload: try WorkloadName(namespace: "default", name: "web"))
            made.command = ["x", argument]
            return made.encoded().count
        }
        let probe = String(repeating: "a", count: 60_000)
        let room = Limits.configurationBytesMaximum - (try size(probe))
        let fitting = probe + String(repeating: "a", count: room)
        #expect(try size(fitting) == Limits.configurationBytesMaximum)
        let overrides = overrides { $0.name = "web" }
        _ = try overrides.configuration(over: nil, command: ["x", fitting], suffix: "abc123")
        #expect(throws: LaunchFailure.self) {
            try overrides.configuration(over: nil, command: ["x", fitting + "a"], suffix: "abc123")
        }
    }
}
