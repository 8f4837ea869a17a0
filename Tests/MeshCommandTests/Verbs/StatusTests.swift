import Testing

@testable import MeshCommand

@Suite struct StatusTests {
    @Test("status shows a line for each instance, and is well where all are ready")
    func table() throws {
        let mesh = FakeMesh()
        mesh.start("default/web")
        mesh.start("default/api", instance: "aaaaaaaaaaaaaaaa", notAfter: "2001-01-01T00:00:00Z")
        let answer = try mesh.answer("status")
        #expect(answer.exitCode == 0)
        let lines = answer.text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(lines[0].first == "WORKLOAD")
        #expect(
            lines[1] == [
                "default/api", "1.4.2", "aaaaaaaa", "ready", "veth", "198.18.3.4", "8080/tcp", "1", "2",
                "1h02m", "expired",
            ])
        #expect(lines[2].prefix(3) == ["default/web", "1.4.2", "3f9a01c2"])
    }

    @Test("status of one workload shows its calls with their verdicts, and its peers")
    func details() throws {
        let mesh = FakeMesh()
        mesh.start("default/web")
        mesh.start("default/api", instance: "aaaaaaaaaaaaaaaa")
        let text = try mesh.answer("status", "web").text
        for part in [
            "spiffe://local-1/ns/default/w/web", "launcher 10, sidecar 11, workload 12", "decision epoch 4",
            "default/db  198.18.7.7  connected  5432/tcp allow",
            "spiffe://local-1/ns/default/w/client  connected",
        ] { #expect(text.contains(part), "\(part) is not in:\n\(text)") }
        #expect(!text.contains("default/api"))
    }

    @Test("status ends with 1 where an instance isn't ready, or says nothing of use")
    func notReady() throws {
        let mesh = FakeMesh()
        mesh.start("default/web", ready: false)
        #expect(try mesh.answer("status").exitCode == 1)
        let broken = FakeMesh()
        broken.start("default/web", status: "no JSON")
        let answer = try broken.answer("status")
        #expect(answer.exitCode == 1)
        #expect(answer.text.contains("broken"))
    }

    @Test("nothing that runs is no error, but a name that doesn't run is, and says which do")
    func names() throws {
        let mesh = FakeMesh()
        #expect(try mesh.answer("status").exitCode == 0)
        mesh.start("default/web")
        mesh.start("shop/web", instance: "aaaaaaaaaaaaaaaa")
        for (name, says) in [("wbe", "did you mean web?"), ("web", "use one of: default/web, shop/web")] {
            let complaint = #expect(throws: Complaint.self) { try mesh.answer("status", name) }
            #expect(complaint?.fix == says)
        }
        #expect(try mesh.answer("status", "shop/web").exitCode == 0)
        #expect(try mesh.answer("status", "3f9a").text.contains("default/web"))
    }

    @Test("the JSON is what the sidecars said, with every key")
    func json() throws {
        let mesh = FakeMesh()
        mesh.start("default/web", status: #"{"workload":"default/web","ready":true,"news":[1,2.50,"ü"]}"#)
        let answer = try mesh.answer("status", "--json")
        #expect(
            answer.text == #"{"instances":[{"workload":"default/web","ready":true,"news":[1,2.50,"ü"]}]}"#
                + "\n")
    }

    @Test("what a peer says can't steer the terminal")
    func terminal() throws {
        let mesh = FakeMesh()
        mesh.start(
            "default/web", status: #"{"workload":"default/web","version":"\u001b[2J\u202e","ready":true}"#)
        let text = try mesh.answer("status").text
        #expect(text.contains("?[2J?"))
        #expect(!text.unicodeScalars.contains("\u{1B}"))
    }
}
