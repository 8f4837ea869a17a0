// A workload of the same name in another trust domain is another's: its state is never mixed with ours.

import Foundation
import Testing

@Suite("Replicas of several trust domains", .timeLimit(.minutes(10)))
struct ReplicaDomainTests {
    private func nodeLog(_ host: Host) -> String {
        (try? String(contentsOfFile: host.mesh.state + "/node.log", encoding: .utf8)) ?? ""
    }

    @Test("a replica of another trust domain reaches ours, is refused by name, and mixes with nobody")
    func stranger() async throws {
        try await Row.with("stranger", "one", "two", strangers: ["stranger"]) { hosts in
            try Skip.unlessInstalled("redis-cli")
            let (stranger, one, two) = (hosts[0], hosts[1], hosts[2])
            try one.meet(
                "listen: [\"10.77.0.2:7400\", \"10.77.1.1:7400\"]\nseeds: [\"10.77.0.1:7400\"]\n")
            try stranger.meet("listen: [\"10.77.0.1:7400\"]\nseeds: [\"10.77.0.2:7400\"]\n")
            try two.meet("seeds: [\"10.77.1.1:7400\"]\n")
            let theirs = try ReplicaShell(stranger)
            let ours = try ReplicaShell(one)
            #expect(try await theirs.ask("sadd who theirs") == "1")
            #expect(try await ours.ask("sadd who ours") == "1")
            for host in [stranger, one] {
                try await eventually("a refusal in the log of \(host.name): \(nodeLog(host))") {
                    nodeLog(host).contains("is refused: it is of another trust domain")
                        && nodeLog(host).contains("closed by the other node before the handshake was done")
                }
            }
            // One of the same domain comes in by the same way, and later.
            let second = try ReplicaShell(two)
            #expect(try await second.ask("sadd who second") == "1")
            try await ours.comes("scard who", to: "2")
            try await second.comes("scard who", to: "2")
            #expect(try await ours.ask("sismember who theirs") == "0")
            #expect(try await theirs.ask("smembers who") == "theirs")
            #expect(try await theirs.fact("crdt_peers") == "0")
            #expect(try await ours.fact("crdt_peers") == "1")
            #expect(try await stranger.node()?["neighbours"].number == 0)
        }
    }

    @Test(
        "the state that a workload has left in another trust domain is refused, and stays",
        arguments: Setting.pairs)
    func folder(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-cli")
            let options = ["--consistency", "eventual"]
            func run(_ words: String...) async throws -> Outcome {
                try await mesh.run(
                    "app", options: options, command: ["redis-cli", "-h", "state.mesh"] + words)
            }
            #expect(try await run("set", "kept", "here").line == "OK")
            func change(_ script: String) async throws {
                try await mesh.order("node", "stop")
                let outcome = try await mesh.host("sh", "-ec", "cd \(mesh.folder); " + script)
                try #require(outcome.isSuccess, "\(outcome)")
            }
            // Whoever starts first in an empty folder makes a domain of its own.
            try await change("mv state first; mkdir -m 700 state; mv first/data state")
            let refused = try await run("get", "kept")
            #expect(refused.ending == .exited(125) && refused.output.isEmpty, "\(refused)")
            #expect(refused.error.contains("belongs to another workload or trust domain"), "\(refused)")
            try await change("mv state/data first; mv state second; mv first state")
            #expect(try await run("get", "kept").line == "here")
        }
    }
}
