// Replicas whose clocks are far apart: what they don't take they name, and nothing is lost of it.

import Foundation
import Testing

@Suite("Replicas whose clocks differ", .timeLimit(.minutes(10)))
struct ReplicaClockTests {
    private func with(
        _ setting: Setting, _ body: (Mesh) async throws -> Void
    ) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("faketime", "redis-cli")
            // The node, and so the issuer, has the right clock.
            try await mesh.launch("keeper", command: ["sleep", "600"]).isReady()
            try await body(mesh)
        }
    }

    /// Waits until a replica says, in its log and in INFO, that it doesn't take another's changes, which lie
    /// so many seconds ahead.
    private func refuses(
        _ replica: ReplicaShell, _ other: String, ahead seconds: ClosedRange<Int>,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let words =
            /the changes of replica (\S+) lie (\d+) ms ahead of this host's clock, of which 300000 ms are/
        let found = try await awaited(
            "a refusal of \(other)'s changes in the log", sourceLocation: sourceLocation
        ) {
            try replica.log().matches(of: words).last { $0.output.1 == other }
        }
        #expect(
            seconds.contains((Int(found.output.2) ?? 0) / 1000), "\(found.output.0)",
            sourceLocation: sourceLocation)
        let fact = try await replica.fact("crdt_clocks_ahead").split(separator: ":")
        let milliseconds = Int(fact.last ?? "") ?? 0
        #expect(
            fact.first.map(String.init) == other && seconds.contains(milliseconds / 1000), "\(fact)",
            sourceLocation: sourceLocation)
    }

    private func areEqual(_ one: ReplicaShell, _ other: ReplicaShell) async throws {
        var versions = ("", "")
        try await eventually("equal versions: \(versions)") {
            versions = (try await one.fact("crdt_version"), try await other.fact("crdt_version"))
            return versions.0 == versions.1
        }
        #expect(try await one.ask("mesh.digest") == other.ask("mesh.digest"))
        for replica in [one, other] { #expect(try await replica.fact("crdt_clocks_ahead") == "") }
    }

    @Test(
        "one that is set back an hour names whose changes it doesn't follow, and has them once it is right",
        arguments: Setting.pairs)
    func behind(_ setting: Setting) async throws {
        try await with(setting) { mesh in
            let right = try ReplicaShell(mesh)
            let clock = try FakeClock(mesh)
            let wrong = try ReplicaShell(mesh, clock: clock)
            #expect(try await wrong.ask("incrby sum 1") == "1")
            try await right.comes("get sum", to: "1")

            try clock.set("-1h")
            try await eventually("the step in the log") {
                try wrong.log().contains("the clock stepped")
            }
            #expect(try await right.ask("incrby sum 10") == "11")
            #expect(try await wrong.ask("incrby sum 100") == "101")
            // What it writes itself is from nobody's future.
            try await right.comes("get sum", to: "111")
            try await refuses(wrong, right.fact("crdt_replica"), ahead: 3_500...3_600)
            #expect(try await wrong.ask("get sum") == "101")

            try await wrong.end()
            let mended = try ReplicaShell(mesh)
            try await mended.comes("get sum", to: "111")
            #expect(try await mended.ask("incrby sum 1000") == "1111")
            try await right.comes("get sum", to: "1111")
            try await areEqual(right, mended)
        }
    }

    /// No more than fifty minutes: at an hour its certificate has ended, see `start`.
    @Test(
        "one that is ahead is named by the others, keeps its changes, and they come when it is that late",
        arguments: Setting.otherPairs)
    func ahead(_ setting: Setting) async throws {
        try await with(setting) { mesh in
            let (clock, wrongClock) = (try FakeClock(mesh), try FakeClock(mesh, named: "wrong"))
            let right = try ReplicaShell(mesh, clock: clock)
            let wrong = try ReplicaShell(mesh, clock: wrongClock)
            #expect(try await wrong.ask("incrby sum 1") == "1")
            try await right.comes("get sum", to: "1")

            try wrongClock.set("+50m")
            try await eventually("the step in the log") {
                try wrong.log().contains("the clock stepped")
            }
            #expect(try await wrong.ask("incrby sum 10") == "11")
            #expect(try await right.ask("incrby sum 100") == "101")
            try await wrong.comes("get sum", to: "111")
            let name = try await wrong.fact("crdt_replica")
            try await refuses(right, name, ahead: 2_900...3_000)
            #expect(try await right.ask("get sum") == "101")

            // Started again with the right time, it still has what it has answered.
            try await wrong.end()
            try wrongClock.set("+0")
            let mended = try ReplicaShell(mesh, clock: wrongClock)
            #expect(try await mended.ask("get sum") == "111")
            #expect(try await right.ask("incrby sum 1000") == "1101")
            try await mended.comes("get sum", to: "1111")
            try await refuses(right, name, ahead: 2_900...3_000)

            // Fifty minutes later.
            for clock in [clock, wrongClock] { try clock.set("+50m") }
            try await right.comes("get sum", to: "1111")
            #expect(try await right.ask("incrby sum 10000") == "11111")
            try await mended.comes("get sum", to: "11111")
            try await areEqual(right, mended)
            for replica in [right, mended] { try await replica.end() }
        }
    }

    @Test(
        "one that starts an hour ahead says that the clocks differ, and answers nobody",
        arguments: Setting.one)
    func start(_ setting: Setting) async throws {
        try await with(setting) { mesh in
            let right = try ReplicaShell(mesh)
            #expect(try await right.ask("incrby sum 1") == "1")
            let clock = try FakeClock(mesh)
            try clock.set("+1h")
            let late = try await mesh.start(
                clock.behind([
                    "mesh-launch", "--datapath", mesh.datapath.rawValue, "--name", "app", "--consistency",
                    "eventual", "--join", "--", "redis-cli", "-h", "state.mesh", "incrby", "sum", "10",
                ]), as: "late"
            ).outcome()
            #expect(!late.isSuccess && late.error.contains("clock"), "\(late)")
            #expect(!late.output.contains("1"), "\(late)")
            #expect(try await right.ask("get sum") == "1")
        }
    }
}
