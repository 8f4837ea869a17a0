// Records that are signed, and records that can't be kept.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct RecordKeepingTests {
    @Test(
        "every series is signed to its end, over a sidecar that was killed and replaced",
        arguments: Setting.one)
    func signed(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            func page() async throws -> Outcome {
                try await mesh.run("client", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            }
            #expect(try await page().isSuccess)
            let first = try #require(try await web.status()["sidecar_pid"].number)
            kill(pid_t(first), SIGKILL)
            try await eventually("a page after the sidecar was replaced") { try await page().isSuccess }
            #expect(try await web.status()["sidecar_pid"].number != first)
            try await web.end()
            let outcome = try await mesh.host("mesh", "records", "verify", "web", "--strict", "--json")
            #expect(outcome.isSuccess, "\(outcome)")
            let series = try #require(try JSON(parsing: outcome.output)["series"].list.first)
            #expect(
                outcome.output.contains("\"closed\":true") && (series["signatures"].number ?? 0) >= 3,
                "\(series)")
            #expect(series["certificates"].number == 2)
            #expect(series["signers"].list.map { $0.text?.hasSuffix("/ns/default/w/web") } == [true])
            // Written anew, as anybody can who may write the file.
            let path = try #require(series["files"].list.first?.text)
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            try mesh.write(lines.dropLast().joined(separator: "\n") + "\n", to: path, mode: 0o600)
            let cut = try await mesh.host("mesh", "records", "verify", "web", "--strict")
            #expect(cut.ending == .exited(1) && cut.output.contains("the end isn't signed"), "\(cut)")
        }
    }

    @Test(
        "with records: required no flow opens while they can't be written, and opens again after",
        arguments: Setting.pairs)
    func required(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            // A file where the folder of its records belongs.
            let place = "\(mesh.state)/records/default/web"
            for path in [mesh.state, "\(mesh.state)/records", "\(mesh.state)/records/default"] {
                mkdir(path, 0o700)
                chown(path, mesh.person.uid, mesh.person.gid)
            }
            try mesh.write("", to: place)
            try Nginx.write(mesh, name: "web", port: 8080)
            let web = try mesh.launch(
                "web", serves: ["8080"], accepts: ["client"], options: ["--records", "required"],
                command: Nginx.command(mesh, "web"))
            try await web.listens(on: 8080)
            try await eventually("a sidecar that says so") {
                try await web.metrics().contains("mesh_records_pressed 1\n")
            }
            let refused = try await mesh.run(
                "client", calls: ["web"], command: Curl.page("http://web.mesh:8080/"))
            #expect(!refused.isSuccess, "\(refused)")
            let told = try #require(mesh.records(of: "client").last { $0["event"].text == "refused" })
            #expect(told["reason"].text == "unrecorded", "\(told)")
            let log = try String(contentsOfFile: await web.instanceFolder() + "/sidecar.log", encoding: .utf8)
            #expect(log.contains("no flow opens until they can"), "\(log)")
            unlink(place)
            try await eventually("a page once the records are kept again") {
                try await mesh.run(
                    "client", calls: ["web"], command: Curl.page("http://web.mesh:8080/")
                ).isSuccess
            }
            try await web.end()
            #expect(mesh.records(of: "web").contains { $0["event"].text == "open" })
        }
    }
}
