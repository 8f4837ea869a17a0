// The harness itself: what it says of an ended mesh is worth what it sees of a living one.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct HarnessTests {
    @Test("what a living mesh has would be found if it were left over", arguments: Setting.onVeth)
    func leftoversAreFound(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let web = try await mesh.nginx("web", port: 8080, accepts: [])
            let found = mesh.leftovers.all()
            func has(_ start: String, _ part: String) -> Bool {
                found.contains { $0.hasPrefix(start) && $0.contains(part) }
            }
            for program in ["mesh-launch", "mesh-sidecar", "mesh-node", "nginx: master"] {
                #expect(has("process", program), "\(program) isn't in \(found)")
            }
            #expect(has("socket", "topics.sock"), "\(found)")
            #expect(has("socket", "admin.sock"), "\(found)")
            #expect(has("instance folder", "/instances/"), "\(found)")
            #expect(has("net:[", "by process"), "\(found)")
            _ = try await web.end()
        }
    }
}
