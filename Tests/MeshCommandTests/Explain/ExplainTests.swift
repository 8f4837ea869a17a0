import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct ExplainTests {
    private static let ids = ["default/client": "aaaaaaaaaaaaaaaa", "default/web": "bbbbbbbbbbbbbbbb"]

    /// Starts a sidecar that tells a configuration.
    private func start(
        _ name: String, _ mesh: FakeMesh, calls: String = "", egress: String = "", serves: String = "",
        accepts: String = "", isNamed: Bool = true, notAfter: String = "2099-01-01T00:00:00Z",
        epoch: Int = 0, instance: String? = nil
    ) {
        let workload = "default/\(name)"
        let id = instance ?? ExplainTests.ids[workload] ?? "cccccccccccccccc"
        let configuration = """
            {"config_path":null,"workload":"\(name)","namespace":"default","named":\(isNamed),"version":"1",
             "command":[],"user":"","serves":[\(serves)],"accepts":[\(accepts)],"calls":[\(calls)],
             "egress":[\(egress)],"datapath":"veth"}
            """
        let status = """
            {"workload":"\(workload)","instance":"\(id)","ready":true,
             "certificate":{"not_after":"\(notAfter)"},
             "policy_head":{"epoch":\(epoch),"hash":"\(String(repeating: "ab", count: 32))"}}
            """
        mesh.start(workload, instance: id, status: status, ["/config": .init(200, configuration)])
    }

    private static let port8080 = #"{"port":8080,"protocol":"tcp"}"#
    private static let fromClient = #"{"from":"default/client","ports":[]}"#

    private func web(_ mesh: FakeMesh) {
        start("web", mesh, serves: ExplainTests.port8080, accepts: ExplainTests.fromClient)
    }

    @Test("allowed where both ends allow, each with its rule")
    func allowed() throws {
        let mesh = FakeMesh()
        start("client", mesh, calls: #""default/api","default/web:8080""#)
        web(mesh)
        for to in ["web:8080", "default/web:8080/tcp", "web.mesh:8080", "web.default.mesh:8080"] {
            let answer = try mesh.answer("explain", "client", to)
            #expect(answer.exitCode == 0)
            #expect(
                answer.text == """
                    allowed: default/client may call default/web at 8080/tcp
                      the caller, default/client (aaaaaaaa), allows it by calls[1] default/web:8080
                      the callee, default/web (bbbbbbbb), allows it by accepts[0] default/client

                    """)
        }
    }

    @Test(
        "denied by either end, with the reason",
        arguments: [
            ("client", "web:9090", "not in serves"), ("client", "web:8080/udp", "not in serves"),
            ("client", "api:80", "no rule in calls"), ("stranger", "web:8080", "no rule in accepts"),
        ])
    func denied(_ from: String, _ to: String, _ rule: String) throws {
        let mesh = FakeMesh()
        start("client", mesh, calls: #""default/web""#)
        start("stranger", mesh, calls: #""default/web""#, instance: "dddddddddddddddd")
        web(mesh)
        let answer = try mesh.answer("explain", from, to)
        #expect(answer.exitCode == 3)
        #expect(answer.text.contains("denies it (policy): \(rule)"), "\(answer.text)")
    }

    @Test("certificates and policy heads are part of the decision")
    func standing() throws {
        for (notAfter, epoch, rule) in [
            ("2001-01-01T00:00:00Z", 0, "own certificate has ended"),
            ("2099-01-01T00:00:00Z", 1, "policy heads differ"),
        ] {
            let mesh = FakeMesh()
            start("client", mesh, calls: #""default/web""#, notAfter: notAfter, epoch: epoch)
            web(mesh)
            let answer = try mesh.answer("explain", "client", "web:8080")
            #expect(answer.exitCode == 3 && answer.text.contains(rule), "\(answer.text)")
        }
    }

    @Test("an end that doesn't run leaves it unknown, unless the other end denies it")
    func unknown() throws {
        let mesh = FakeMesh()
        web(mesh)
        let half = try mesh.answer("explain", "client", "web:8080")
        #expect(half.exitCode == 1 && half.text.hasPrefix("unknown: "))
        #expect(half.text.contains("default/client isn't running here"))
        #expect(half.text.contains("allows it by accepts[0] default/client"))
        #expect(try mesh.answer("explain", "nobody", "web:8080").exitCode == 3)
        #expect(try mesh.answer("explain", "a", "b:1", "--json").exitCode == 1)
    }

    @Test("a workload without a name serves nobody, and one instance that denies is enough")
    func instances() throws {
        let mesh = FakeMesh()
        start("client", mesh, calls: #""default/web""#)
        web(mesh)
        start(
            "web", mesh, serves: ExplainTests.port8080, accepts: ExplainTests.fromClient, isNamed: false,
            instance: "eeeeeeeeeeeeeeee")
        let answer = try mesh.answer("explain", "client", "web:8080")
        #expect(
            answer.exitCode == 3
                && answer.text.contains("(eeeeeeee), denies it (policy): workload has no name"))
    }

    @Test("an instance that says nothing beside one that allows leaves it unknown")
    func silent() throws {
        let mesh = FakeMesh()
        start("client", mesh, calls: #""default/web""#)
        web(mesh)
        #expect(try mesh.answer("explain", "client", "web:8080").exitCode == 0)
        mesh.start("default/web", instance: "eeeeeeeeeeeeeeee")
        let answer = try mesh.answer("explain", "client", "web:8080")
        #expect(
            answer.exitCode == 1 && answer.text.contains("default/web (eeeeeeee) isn't"), "\(answer.text)")
    }

    @Test("what lies outside is decided by egress alone")
    func egress() throws {
        let mesh = FakeMesh()
        start("client", mesh, egress: #""example.com:443","192.0.2.7:53","2001:db8::1:443""#)
        let answer = try mesh.answer("explain", "client", "Example.com:443")
        #expect(answer.exitCode == 0 && answer.text.contains("allows it by egress example.com:443"))
        #expect(try mesh.answer("explain", "client", "[2001:db8::1]:443").exitCode == 0)
        for to in ["example.com:80", "example.org:443", "192.0.2.8:53"] {
            let refused = try mesh.answer("explain", "client", to)
            #expect(refused.exitCode == 3 && refused.text.contains("no rule in egress"))
        }
    }

    @Test("JSON says the verdict, and each end's rule")
    func json() throws {
        let mesh = FakeMesh()
        start("client", mesh)
        web(mesh)
        let answer = try mesh.answer("explain", "client", "web:8080", "--json")
        let json = try #require(JSON(parsing: Array(answer.text.utf8)))
        #expect(json["verdict"].text == "denied")
        #expect(json["ends"].list.map { $0["allowed"].bool } == [false, true])
        #expect(json["ends"].list.first?["reason"].text == "policy")
    }

    @Test(
        "what isn't a name or TO:PORT is wrong use",
        arguments: ["web", "web:0", "web:x", "a/b/c:1", "x.y.z.mesh:1"])
    func wrong(_ to: String) {
        let mesh = FakeMesh()
        #expect(#expect(throws: Complaint.self) { try mesh.answer("explain", "client", to) }?.exitCode == 64)
        #expect(
            #expect(throws: Complaint.self) { try mesh.answer("explain", "x_", "web:1") }?.exitCode == 64)
    }
}
