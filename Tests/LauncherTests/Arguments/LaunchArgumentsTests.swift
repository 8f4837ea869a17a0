import SidecarProtocol
import Testing

@testable import Launcher

@Suite("The command line")
struct LaunchArgumentsTests {
    private func parse(_ line: String) throws -> LaunchArguments {
        try LaunchArguments(parsing: line.split(separator: " ").map(String.init))
    }

    @Test("every option sets its key")
    func options() throws {
        let arguments = try parse(
            """
            --config web.yaml --name shop/web --namespace shop --workload-version 1.4.2 --user keep \
            --serve 8080 --serve 53/udp --accept client:8080,9090 --accept */* --call db --call queue:5672 \
            --egress api.example.com:443 --datapath slirp --consistency eventual --socket /run/x.sock \
            --records required --otlp http://127.0.0.1:4318 \
            --listen 0.0.0.0:7400 --advertise [2001:db8::7]:7400 --join --log-stderr -- nginx -g --help
            """)
        #expect(arguments.action == .launch)
        #expect(arguments.configurationFile == "web.yaml")
        #expect(arguments.overrides.name == "shop/web")
        #expect(arguments.overrides.namespace == "shop")
        #expect(arguments.overrides.version == "1.4.2")
        #expect(arguments.overrides.user == .keep)
        #expect(arguments.overrides.serves == [ServicePort(8080, .tcp), ServicePort(53, .udp)])
        #expect(arguments.overrides.accepts == ["client:8080,9090", "*/*"])
        #expect(arguments.overrides.calls == ["db", "queue:5672"])
        #expect(arguments.overrides.egress.map(\.spelling) == ["api.example.com:443"])
        #expect(arguments.overrides.datapath == .slirp)
        #expect(arguments.overrides.consistency == .eventual)
        #expect(arguments.overrides.records == .required)
        #expect(arguments.overrides.telemetry??.description == "http://127.0.0.1:4318")
        #expect(arguments.overrides.sockets == ["/run/x.sock"])
        #expect(arguments.overrides.listen == ["0.0.0.0:7400"])
        #expect(arguments.overrides.advertise == ["[2001:db8::7]:7400"])
        #expect(arguments.joins && arguments.logsToStandardError)
        #expect(arguments.command == ["nginx", "-g", "--help"])
    }

    @Test("a value may follow after an equals sign, and hold one")
    func equalsSign() throws {
        #expect(try parse("--name=web --config=a=b -- x").overrides.name == "web")
        #expect(try parse("--config=a=b").configurationFile == "a=b")
    }

    @Test("what follows -- is the command, as it is")
    func command() throws {
        let words = ["--", "sh", "-c", "", "--", "--name"]
        #expect(try LaunchArguments(parsing: words).command == Array(words.dropFirst()))
        #expect(try LaunchArguments(parsing: []).command.isEmpty)
    }

    @Test(
        "the other actions",
        arguments: [
            ("--help", LaunchArguments.Action.help), ("-h", .help), ("--version", .version),
            ("--dry-run", .dryRun), ("--print-config", .printConfiguration),
        ])
    func actions(word: String, action: LaunchArguments.Action) throws {
        #expect(try parse(word).action == action)
    }

    @Test(
        "bad input is refused, with the value and the fix",
        arguments: [
            ("nginx", "\"nginx\" is no option; put the command after --, as in: mesh-launch -- nginx"),
            ("--bogus 1", "there is no option --bogus"),
            ("--version 2 -- x", "a workload's version is --workload-version"),
            ("--name", "--name has no value"), ("--name -- x", "--name has no value"),
            ("--join=yes", "--join takes no value"), ("--serve 0", "--serve: \"0\" is not a port"),
            ("--serve 65536", "\"65536\" is not a port"),
            ("--serve 80/sctp", "protocol \"sctp\" isn't known"),
            ("--serve 80/tcp/x", "is not a port"), ("--datapath tun", "use auto, veth or slirp"),
            ("--consistency raft", "use eventual, or none"), ("--egress host", "\"host\" has no port"),
            ("--records must", "use optional or required"),
            ("--otlp localhost:4318", "write http://HOST:PORT"),
            ("--egress web.mesh:80", "is inside the mesh"), ("--namespace A", "is not a DNS label"),
            ("--namespace v--x", "begins with v--"), ("--user 0", "is not the name of a Unix user"),
            ("--socket run/x", "is not the path of a unix socket"),
            ("--listen localhost:1", "is not an address"),
            ("--advertise 0.0.0.0:1", "nobody can dial"),
        ])
    func refused(line: String, message: String) throws {
        let failure = #expect(throws: LaunchFailure.self) { try parse(line) }
        #expect(failure?.description.contains(message) == true, "\(failure?.description ?? "")")
        #expect(failure?.exitCode == 125)
    }

    @Test("a word of the command that holds a zero byte is refused")
    func zeroByte() {
        #expect(throws: LaunchFailure.self) { try LaunchArguments(parsing: ["--", "a", "b\0c"]) }
    }

    @Test("every option is in the help")
    func help() {
        for option in [
            "config", "name", "namespace", "workload-version", "user", "serve", "accept", "call", "egress",
            "datapath", "consistency", "records", "otlp", "socket", "listen", "advertise", "join",
            "log-stderr", "print-config",
            "dry-run", "version", "help",
        ] { #expect(Usage.text.contains("--\(option)"), "--\(option)") }
        #expect(Usage.text.split(separator: "\n").allSatisfy { $0.count <= 110 })
    }
}
