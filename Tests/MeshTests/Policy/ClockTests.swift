// A sidecar whose clock is set back a day while it runs, by libfaketime.

import Foundation
import Testing

@Suite("A clock that is set back", .timeLimit(.minutes(10)))
struct ClockTests {
    @Test(
        "a day back, nothing that was decided changes, what is new is refused with its reason, and a policy cuts",
        arguments: Setting.one)
    func dayBack(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("faketime")
            let server = try mesh.launch(
                "server", serves: ["7000"], accepts: ["*"],
                command: mesh.python("server", Peer.echoesBoth))
            try await server.listens(on: 7000)
            try await mesh.makePolicyKey()
            try await mesh.apply("unmatched: configs\nrules: [{deny: {from: default/banned}}]\n")
            let clock = try FakeClock(mesh)
            let launch = [
                "mesh-launch", "--datapath", setting.datapath.rawValue, "--call", "server", "--name",
            ]
            let talks = try mesh.python("caller", Peer.talks, "server.mesh")
            let caller = try mesh.start(
                clock.behind(launch + ["caller", "--", "env", "-u", "LD_PRELOAD"] + talks), as: "caller")
            try await caller.says("talked 3")
            let before = try await self.caller(mesh)

            try clock.set("-1d")
            // Its next word to its peer is due within ten seconds.
            try await eventually("the step in the log") { mesh.sidecarLogs.contains("the clock stepped") }
            try await caller.goesOn()
            let renewal = try await mesh.host("mesh", "identity", "renew", "caller")
            #expect(renewal.ending == .exited(1), "\(renewal)")
            #expect(renewal.error.contains("check the clocks"), "\(renewal)")
            let late = try await mesh.start(
                clock.behind(launch + ["late", "--", "true"]), as: "late"
            ).outcome()
            #expect(!late.isSuccess && late.error.contains("check the clocks"), "\(late)")
            let after = try await self.caller(mesh)
            #expect(after == before)
            try await caller.goesOn()

            try await mesh.apply("unmatched: configs\nrules: [{deny: {from: default/caller}}]\n")
            try await caller.says("cut after")
            _ = try await caller.outcome()
            #expect(try await mesh.reasons(from: "caller", to: "server") == ["policy"])
        }
    }

    /// The policy's head and the certificate that the caller goes by.
    private func caller(_ mesh: Mesh) async throws -> [String] {
        let status = try await mesh.operate("status", "caller")
        let one = try #require(status["instances"].list.first)
        return [one["policy_head"].description, one["certificate"]["serial"].description]
    }
}
