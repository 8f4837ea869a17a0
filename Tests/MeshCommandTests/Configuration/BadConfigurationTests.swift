import SidecarProtocol
import Testing

@testable import MeshCommand

/// A file that must be refused, the line that must be named, and a part of what must be said.
struct BadFile: CustomTestStringConvertible, Sendable {
    let text: String
    let line: Int
    let says: String
    var testDescription: String { says }

    init(_ text: String, _ line: Int, _ says: String) {
        self.text = text
        self.line = line
        self.says = says
    }

    /// With the two keys that every file has before these, which therefore begin on line 3.
    static func web(_ rest: String, _ line: Int, _ says: String) -> BadFile {
        BadFile("mesh: 1\nworkload: web\n" + rest, line, says)
    }
}

@Suite struct BadConfigurationTests {
    static let form: [BadFile] = [
        BadFile("", 1, "the file is empty; begin with \"mesh: 1\""),
        BadFile("# nothing\n", 1, "the file is empty"),
        BadFile("- mesh: 1\n", 1, "the file holds a list"),
        BadFile("mesh\n", 1, "the file holds \"mesh\""),
        BadFile("workload: web\n", 1, "doesn't begin with its schema; make \"mesh: 1\" its first key"),
        BadFile("workload: web\nmesh: 1\n", 1, "doesn't begin with its schema"),
        BadFile("mesh: 2\nworkload: web\n", 1, "the schema mesh: \"2\" isn't known"),
        BadFile("mesh: \"1\"\nworkload: web\n", 1, "the schema mesh: \"1\" isn't known"),
        BadFile("mesh: 1\n", 1, "the workload has no name; add \"workload: NAME\""),
        BadFile("mesh: 1\nmesh: 1\nworkload: web\n", 1, "the key \"mesh\" stands more than once"),
        .web("calls: []\ncalls: [db]\n", 3, "the key \"calls\" stands more than once"),
        .web("---\nmesh: 1\n", 3, "a second document begins; give each workload a file of its own"),
        .web("calls: &all [db]\n", 3, "an anchor (&name) is in the file; write each value out"),
        .web("calls: *all\n", 3, "an alias (*name) is in the file"),
        .web("accepts: [*]\n", 3, "put a pattern that begins with * in \"quotes\""),
        .web("version: !!float 1\n", 3, "a tag (tag:yaml.org,2002:float) is in the file"),
        .web("calls: [[[[[[[[[[db]]]]]]]]]]\n", 3, "values are nested too deeply"),
        .web("calls: [db\n", 4, "the file is not YAML"),
        .web("version: a: b\n", 3, "put a value that holds \": \" in \"quotes\""),
        .web("\tversion: 1\n", 3, "the file is not YAML"),
        .web("version: a\u{1}b\n", 3, "a control character (0x01) is in the file"),
        .web("? [a, b]\n: c\n", 3, "a config file has no key a list"),
    ]

    static let values: [BadFile] = [
        .web("acepts: [client]\n", 3, "no key \"acepts\"; did you mean \"accepts\"?"),
        .web("replicas: 3\n", 3, "no key \"replicas\"; use mesh, workload, namespace"),
        BadFile("mesh: 1\nworkload:\n", 2, "workload holds nothing; add a value"),
        BadFile("mesh: 1\nworkload: Web\n", 2, "workload \"Web\" is not a DNS label"),
        BadFile("mesh: 1\nworkload: state\n", 2, "the workload name \"state\" is reserved"),
        BadFile("mesh: 1\nworkload: [web]\n", 2, "workload holds a list, not a text"),
        BadFile("mesh: 1\nworkload: \(String(repeating: "a", count: 64))\n", 2, "is not a DNS label"),
        .web("namespace: v--2\n", 3, "namespace \"v--2\" begins with v--"),
        .web("namespace: a.b\n", 3, "namespace \"a.b\" is not a DNS label"),
        .web("version: \"\"\n", 3, "version holds an empty text"),
        .web("version: \(String(repeating: "1", count: 65))\n", 3, "the version has 65 bytes"),
        .web("version: \"a\\nb\"\n", 3, "the version holds a control character"),
        .web("version: {a: b}\n", 3, "version holds a mapping, not a text"),
        .web("command: nginx -g \"daemon off;\"\n", 3, "write the list [nginx, -g, \"daemon off;\"]"),
        .web("command:\n", 3, "command is nothing, not a list"),
        .web("command: [sh, [a]]\n", 3, "command holds a list, not a text"),
        .web("command: [sh, ~]\n", 3, "put \"~\" in quotes, or remove it"),
        .web("command: [\"\"]\n", 3, "command holds an empty text"),
        .web("command: [\"a\\0b\"]\n", 3, "a word of command holds a zero byte"),
        .web("user: 33\n", 3, "user \"33\" is not the name of a Unix user"),
        .web("datapath: fast\n", 3, "datapath \"fast\" isn't known; use auto, veth or slirp"),
        .web("consistency: raft\n", 3, "use eventual, or none"),
        .web("records: must\n", 3, "use optional or required"),
        .web("otlp: https://host\n", 3, "write http://HOST:PORT, such as http://127.0.0.1:4318, or none"),
        .web("otlp: http://\n", 3, "is not a host name or address"),
        .web("otlp: http://h:0\n", 3, "\"0\" is not a port"),
        .web("otlp: \"http://h/a b\"\n", 3, "is not a collector's address"),
        .web("consistency: strong\n", 3, "use eventual, or none"),
        .web("fsync: sometimes\n", 3, "use always, interval or none"),
        .web("conditional: maybe\n", 3, "use allow, warn or deny"),
        .web("memory: 12\n", 3, "write it as 256MiB, 1MiB at least"),
        .web("consistency: null\n", 3, "consistency holds nothing; put \"null\" in quotes, or remove it"),
    ]

    static let lists: [BadFile] = [
        .web("serves: 8080\n", 3, "serves is \"8080\", not a list"),
        .web("serves: [8080]\n", 3, "serves holds \"8080\"; write {port: 8080, protocol: tcp}"),
        .web(
            "serves:\n  - {port: 80}\n  - {port: 0}\n", 5, "\"0\" is not a port; use a number from 1 to 65535"
        ),
        .web("serves: [{port: 70000}]\n", 3, "\"70000\" is not a port"),
        .web("serves: [{port: -1}]\n", 3, "\"-1\" is not a port"),
        .web("serves: [{port: \"80\"}]\n", 3, "a port is \"80\", not a number; write"),
        .web("serves: [{protocol: tcp}]\n", 3, "an entry of serves has no port"),
        .web("serves: [{port: 80, protocol: sctp}]\n", 3, "protocol \"sctp\" isn't known; use tcp or udp"),
        .web("serves: [{prot: 80}]\n", 3, "no key \"prot\"; did you mean \"port\"?"),
        .web("serves:\n  - {port: 80}\n  - {port: 80, protocol: tcp}\n", 5, "serves names 80/tcp twice"),
        .web(
            "accepts: [{from: a, ports: [80]}]\n", 3, "port 80, which serves doesn't list; add it to serves"),
        .web("serves: [{port: 80}]\naccepts:\n - {from: a, ports: [80, 81]}\n", 5, "or use one of: 80"),
        .web("accepts: [client:80]\n", 3, "write {from: client, ports: [80]}"),
        .web("accepts: [{ports: [80]}]\n", 3, "an entry of accepts doesn't say from whom"),
        .web("accepts: [{from: a, ports: []}]\n", 3, "ports holds an empty list"),
        .web("accepts: [{from: a, ports: 80}]\n", 3, "ports holds \"80\"; write a list such as [8080]"),
        .web("serves: [{port: 80}]\naccepts: [{from: a, ports: [80, 80]}]\n", 4, "ports names 80 twice"),
        .web("accepts:\n  - a\n  - default/a\n", 5, "accepts names default/a twice"),
        .web("accepts: [a/b/c/d]\n", 3, "\"a/b/c/d\" is not a workload's name"),
        .web("accepts: [a*]\n", 3, "or * for a whole part"),
        .web("accepts: [other/default/a]\n", 3, "names the trust domain \"other\""),
        .web("accepts: [state]\n", 3, "the workload name \"state\" is reserved"),
        .web("calls: db\n", 3, "calls is \"db\", not a list; write calls: [web]"),
        .web("calls: [\"*\"]\n", 3, "\"*\" calls a pattern"),
        .web("calls: [db:0]\n", 3, "\"0\" is not a port"),
        .web("calls: [\"db:\"]\n", 3, "\"\" is not a port"),
        .web("calls: [v--1/db]\n", 3, "begins with v--"),
        .web("calls: [{db: 80}]\n", 3, "calls holds a mapping, not a text"),
        .web("calls: [db, default/db]\n", 3, "calls names default/db twice"),
        .web("egress: [example.com]\n", 3, "\"example.com\" has no port; write name:port"),
        .web("egress: [example.com:99999]\n", 3, "\"99999\" is not a port"),
        .web("egress: [\"*.example.com:443\"]\n", 3, "list each name"),
        .web("egress: [web.mesh:80]\n", 3, "inside the mesh"),
        .web("egress: [1.2.3:80]\n", 3, "\"1.2.3\" is not a host name or address"),
        .web("egress: [\"2001:db8::1:80\"]\n", 3, "put an IPv6 address in [brackets]"),
        .web("egress: [\"[2001:db8:::1]:80\"]\n", 3, "is not an IPv6 address"),
        .web("sockets: [run/x.sock]\n", 3, "is not the path of a unix socket"),
        .web("sockets: [/run/../x.sock]\n", 3, "is not the path of a unix socket"),
        .web("listen: [\"localhost:80\"]\n", 3, "\"localhost\" is not an address"),
        .web("listen: [\"192.0.2.7:0\"]\n", 3, "\"0\" is not a port"),
        .web("advertise: [\"0.0.0.0:80\"]\n", 3, "an address that nobody can dial"),
        .web("advertise: [\"[::]:80\"]\n", 3, "an address that nobody can dial"),
    ]

    @Test("a file of the wrong form is refused with its line and the fix", arguments: form)
    func refusesForms(bad: BadFile) { expect(bad) }

    @Test("a value that can't be is refused with its line and the fix", arguments: values)
    func refusesValues(bad: BadFile) { expect(bad) }

    @Test("an entry of a list that can't be is refused with its line and the fix", arguments: lists)
    func refusesEntries(bad: BadFile) { expect(bad) }

    private func expect(_ bad: BadFile) {
        let failure = problems(Array(bad.text.utf8))
        let found = failure?.problems.contains {
            $0.line == bad.line && $0.error.description.contains(bad.says)
        }
        #expect(found == true, "\(failure?.description ?? "it was taken")")
    }

    @Test("all that is wrong is said at once, in the order of the lines")
    func saysEverything() throws {
        let text = "mesh: 1\nworkload: state\nversion: \"\"\nuser: 1\ncalls: [a b, c]\nserv: []\n"
        let failure = try #require(problems(Array(text.utf8)))
        #expect(failure.problems.map(\.line) == [2, 3, 4, 5, 6])
        #expect(failure.description.hasPrefix("web.yaml:2: the workload name \"state\" is reserved; choose"))
    }

    @Test("text that isn't UTF-8 is refused with its line")
    func refusesOtherEncodings() throws {
        let failure = try #require(problems(Array("mesh: 1\nworkload: w".utf8) + [0xFC, 0x0A]))
        #expect(failure.problems.map(\.line) == [2])
        #expect(failure.description.contains("save the file as UTF-8"))
    }

    @Test("a file may have as many bytes as the limit says, and no more")
    func size() {
        let start = "mesh: 1\nworkload: web\n#"
        let most = start + String(repeating: "x", count: Limits.configurationBytesMaximum - start.utf8.count)
        #expect(problems(Array(most.utf8)) == nil)
        #expect(problems(Array((most + "x").utf8))?.description.contains("has 65537 bytes") == true)
    }

    @Test("a list may have as many entries as the limit says, and no more")
    func entries() {
        func file(_ count: Int) -> [UInt8] {
            Array(
                "mesh: 1\nworkload: web\ncalls: [\((0..<count).map { "c\($0)" }.joined(separator: ","))]".utf8
            )
        }
        #expect(problems(file(Limits.configurationListMaximum)) == nil)
        let failure = problems(file(Limits.configurationListMaximum + 1))
        #expect(failure?.description == "web.yaml:3: calls has 257 entries; keep at most 256")
    }

    @Test("a version and a socket's path may be as long as the limits say")
    func lengths() throws {
        let version = String(repeating: "1", count: Limits.versionBytesMaximum)
        let path = "/" + String(repeating: "s", count: Limits.socketPathBytesMaximum - 1)
        #expect(problems(Array("mesh: 1\nworkload: w\nversion: \(version)\nsockets: [\(path)]".utf8)) == nil)
        #expect(problems(Array("mesh: 1\nworkload: w\nsockets: [\(path)s]".utf8)) != nil)
    }

    @Test(
        "what would be huge once written out is refused before it is",
        arguments: [
            "? *a : &a x", "[&a x, *a]", "k: &a [x, *a]\n? *a\n: 1", "- &a {? *a : *a}",
            "&a1 a,*a1", "&a1: *a1,", "-&a1,*a1",
        ])
    func refusesBombs(part: String) {
        let numbered = (0..<3_000).map { part.replacing("a1", with: "a\($0)") }
        #expect(problems(Array(("mesh: 1\n" + numbered.joined(separator: "\n")).utf8)) != nil)
        #expect(problems(Array(("mesh: [" + numbered.joined(separator: ", ")).utf8)) != nil)
    }

    @Test(
        "no depth of nesting ends the process",
        arguments: ["[", "{a: ", "- ", "? ", "{? ", "[[", "a: [", "!a ["])
    func refusesDepth(part: String) {
        let count = (Limits.configurationBytesMaximum - 32) / part.utf8.count
        #expect(problems(Array(String(repeating: part, count: count).utf8)) != nil)
        #expect(problems(Array(("mesh: 1\ncalls: " + String(repeating: part, count: 400)).utf8)) != nil)
    }

    private func problems(_ bytes: [UInt8]) -> ConfigurationFailure? {
        do throws(ConfigurationFailure) {
            _ = try ConfigurationCompiler.compile(bytes, file: "web.yaml")
            return nil
        } catch {
            return error
        }
    }
}
