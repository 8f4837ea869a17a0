import Foundation
import SidecarProtocol
import Testing

@testable import MeshCommand

@Suite struct ReloadTests {
    static let file = "mesh: 1\nworkload: web\nserves: [{port: 8080}]\naccepts: [client]\ncommand: [nginx]\n"

    @Test("reload compiles the file that the workload was started with, and posts it")
    func reloads() throws {
        let mesh = FakeMesh()
        let path = try mesh.write(ReloadTests.file, to: "web.yaml")
        let sidecar = mesh.start(
            "default/web",
            [
                "/config": .init(200, #"{"config_path":"\#(path)"}"#),
                "/reload": .init(200, #"{"changed":["accepts","calls"]}"#),
            ])
        let answer = try mesh.answer("reload", "web")
        #expect(answer == Answer(text: "default/web (3f9a01c2): took over accepts, calls\n"))
        let posted = try WorkloadConfiguration(canonical: try #require(sidecar.body(of: "POST /reload")))
        #expect(posted.accepts.map(\.from.description) == ["default/client"])
    }

    @Test("a wrong file is refused with its lines, and no sidecar is told")
    func wrongFile() throws {
        let mesh = FakeMesh()
        let path = try mesh.write("mesh: 1\nworkload: web\ncalls: [a, a]\n", to: "web.yaml")
        let sidecar = mesh.start("default/web")
        let failure = #expect(throws: ConfigurationFailure.self) {
            try mesh.answer("reload", "web", "--config", path)
        }
        #expect(failure?.description == "\(path):3: calls names default/a twice; keep one of them")
        #expect(sidecar.asked == ["GET /status"])
    }

    @Test("another workload's file, a refusal and a start without a file are said, and end with an error")
    func refusals() throws {
        let mesh = FakeMesh()
        let other = try mesh.write("mesh: 1\nworkload: api\n", to: "api.yaml")
        let own = try mesh.write(ReloadTests.file, to: "web.yaml")
        mesh.start(
            "default/web", ["/config": .init(200, "{}"), "/reload": .init(409, "datapath can't change")])
        var complaint = #expect(throws: Complaint.self) {
            try mesh.answer("reload", "web", "--config", other)
        }
        #expect(complaint?.what == "\(other) is the configuration of default/api, not of default/web")
        #expect(complaint?.exitCode == 2)
        complaint = #expect(throws: Complaint.self) { try mesh.answer("reload", "web") }
        #expect(complaint?.fix == "give one by --config FILE")
        let answer = try mesh.answer("reload", "web", "--config", own)
        #expect(answer.exitCode == 1)
        #expect(
            answer.warning.contains("refused the configuration: datapath can't change; the old one stays"))
    }

    @Test("a workload that --name renamed takes its file over, and keeps its name")
    func renamed() throws {
        let mesh = FakeMesh()
        let path = try mesh.write(ReloadTests.file, to: "web.yaml")
        let running = WorkloadConfiguration(workload: try WorkloadName(namespace: "shop", name: "api"))
        let sidecar = mesh.start(
            "shop/api",
            [
                "/config": .init(200, #"{"config_path":"\#(path)"}"#),
                "/reload": .init(200, #"{"changed":[]}"#),
            ])
        try Data(running.encoded()).write(
            to: URL(fileURLWithPath: mesh.folder + "/instances/3f9a01c2d4e5f607/config"))
        #expect(try mesh.answer("reload", "api").text == "shop/api (3f9a01c2): nothing changed\n")
        let posted = try WorkloadConfiguration(canonical: try #require(sidecar.body(of: "POST /reload")))
        #expect(posted.workload == running.workload)
        #expect(posted.command == ["nginx"])
    }

    @Test("what the command line gave is kept where the file is silent, but never a permission")
    func merges() throws {
        var running = WorkloadConfiguration(workload: try WorkloadName(namespace: "default", name: "web"))
        running.command = ["nginx", "-g", "daemon off;"]
        running.version = "2"
        running.datapath = .slirp
        running.serves = [ServicePort(8080, .tcp)]
        running.calls = [.init(target: try WorkloadName(namespace: "default", name: "db"), port: nil)]
        running.accepts = [.init(from: IdentityPattern(namespace: .any, name: .any), ports: [])]
        let text = "mesh: 1\nworkload: web\ndatapath: veth\n"
        let compiled = try ConfigurationCompiler.compile(Array(text.utf8), file: "web.yaml")
        let merged = compiled.onto(running)
        #expect(merged.command == running.command)
        #expect(merged.version == "2")
        #expect(merged.serves.isEmpty)
        #expect(merged.datapath == .veth)
        #expect(merged.calls.isEmpty)
        #expect(merged.accepts.isEmpty)
    }
}

@Suite struct ShutdownTests {
    @Test("shutdown tells every instance of the name, and no other")
    func tells() throws {
        let mesh = FakeMesh()
        let first = mesh.start("default/web", ["/shutdown": .init(200, "")])
        let second = mesh.start("default/web", instance: "aaaaaaaaaaaaaaaa", ["/shutdown": .init(200, "")])
        let other = mesh.start("default/api", instance: "bbbbbbbbbbbbbbbb")
        #expect(try mesh.answer("shutdown", "web").exitCode == 0)
        #expect(first.asked.contains("POST /shutdown") && second.asked.contains("POST /shutdown"))
        #expect(other.asked == ["GET /status"])
        let answer = try mesh.answer("shutdown", "api", "--json")
        #expect(answer.exitCode == 1)
        #expect(answer.text.contains(#""done":false,"error":"refused to end: there is no /shutdown\n""#))
    }
}
