// `mesh state` on what a workload has left.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct StateVerbTests {
    private func run(_ mesh: Mesh, _ name: String, _ commands: String) async throws -> Outcome {
        let file = try mesh.write(commands, to: "commands")
        return try await mesh.run(
            name, options: ["--consistency", "eventual"],
            command: ["sh", "-c", "redis-cli -h state.mesh < \(file)"])
    }

    @Test("a state is verified, exported, and imported where there is none", arguments: Setting.one)
    func backup(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-cli")
            _ = try await run(mesh, "app", "set a 1\nrpush l x y\n")
            let verdict = try await mesh.host("mesh", "state", "verify", "app")
            #expect(verdict.isSuccess && verdict.output.contains("whole: "), "\(verdict)")
            // A folder of the workload's name, where the command is typed, isn't what is meant.
            let typed = "mkdir -p app && mesh state verify app && mesh state verify ./app"
            let named = try await mesh.host("sh", "-c", "cd \(mesh.work) && \(typed)")
            #expect(named.ending == .exited(2) && named.output.contains("whole: "), "\(named)")
            #expect(named.error.contains("./app holds no state"), "\(named)")
            let export = mesh.work + "/app.export"
            let written = try await mesh.host("mesh", "state", "export", "app", export)
            #expect(written.isSuccess, "\(written)")
            let again = try await mesh.host("mesh", "state", "export", "app", export)
            #expect(again.error.contains("name a new file"), "\(again)")
            let taken = try await mesh.host("mesh", "state", "import", "app", export)
            #expect(taken.ending == .exited(2) && taken.error.contains("holds a state already"), "\(taken)")
            let foreign = try await mesh.host("mesh", "state", "import", "other", export)
            #expect(foreign.error.contains("--adopt"), "\(foreign)")
            let adopted = try await mesh.host("mesh", "state", "import", "other", export, "--adopt")
            #expect(adopted.isSuccess, "\(adopted)")
            let found = try await run(mesh, "other", "get a\nlrange l 0 -1\n")
            #expect(found.line == "1\nx\ny", "\(found)")
            let renewed = try await mesh.host("mesh", "state", "import", "third", export, "--adopt", "--anew")
            #expect(renewed.isSuccess, "\(renewed)")
            let shown = try await run(mesh, "third", "get a\nlrange l 0 -1\ncrdt.replicas\n")
            let names = shown.line.split(separator: "\n").filter { $0.hasSuffix(".1") || $0.hasSuffix(".2") }
            // Only the new replica's own name is in it: the epoch of the import, and that of this start.
            #expect(shown.line.hasPrefix("1\nx\ny\n"), "\(shown)")
            #expect(Set(names.map { $0.dropLast(2) }).count == 1, "\(shown)")
        }
    }

    @Test("a flipped bit is found, refused by the sidecar, and given up by repair", arguments: Setting.one)
    func damage(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-cli")
            _ = try await run(mesh, "app", (1...50).map { "set k\($0) \($0)\n" }.joined())
            let folder = mesh.state + "/data/default/app/slot-0"
            let log = folder + "/log-0000000000000001"
            var bytes = try Data(contentsOf: URL(filePath: log))
            let place = try #require(bytes.range(of: Data("k20".utf8))?.lowerBound)
            bytes[place] ^= 1
            let handle = try FileHandle(forWritingTo: URL(filePath: log))
            try handle.write(contentsOf: bytes)
            try handle.close()
            let verdict = try await mesh.host("mesh", "state", "verify", "app")
            #expect(verdict.ending == .exited(1) && verdict.output.contains("damaged: "), "\(verdict)")
            let refused = try await run(mesh, "app", "get k1\n")
            #expect(refused.ending == .exited(125) && refused.output.isEmpty, "\(refused)")
            #expect(refused.error.contains("is damaged at byte"), "\(refused)")
            let repair = try await mesh.host("mesh", "state", "repair", "app")
            #expect(repair.isSuccess && repair.output.contains("given up: "), "\(repair)")
            let found = try await run(mesh, "app", "get k1\nexists k40\n")
            #expect(found.line == "1\n0", "\(found)")
        }
    }
}
