import Foundation
import Glibc
import SidecarProtocol
import Testing

@Suite("Topics between processes")
struct TopicTests {
    let instance = "000102030405060708090a0b0c0d0e0f"

    @Test("two sidecars find each other, and one hears of the other's death at once")
    func death() throws {
        let node = try NodeProcess()
        try node.start()
        let curl = try TestClient(node, "curl", "--subscribe", "web")
        #expect(curl.line("connected") != nil)
        let web = try TestClient(node, "web", "--serve", "--instance", instance)
        let found = try #require(curl.line("announcement"))
        #expect(found.hasSuffix("/ns/default/w/web \(instance) 1 verified"))
        web.kill9()
        #expect(curl.line("tombstone") == "tombstone \(instance) 1")
    }

    @Test("a sidecar that withdraws is gone for those who come later, too")
    func withdraws() throws {
        let node = try NodeProcess()
        try node.start()
        let web = try TestClient(node, "web", "--serve", "--instance", instance)
        let early = try TestClient(node, "curl", "--subscribe", "web")
        #expect(early.line("announcement") != nil)
        web.say("withdraw")
        #expect(early.line("tombstone") == "tombstone \(instance) 1")
        let late = try TestClient(node, "wget", "--subscribe", "web")
        #expect(late.line("tombstone") == "tombstone \(instance) 1")
    }

    @Test("a tombstone outlives the node that published it")
    func tombstonesPersist() throws {
        let node = try NodeProcess()
        let first = try node.start()
        let witness = try TestClient(node, "curl", "--subscribe", "web")
        let web = try TestClient(node, "web", "--serve", "--instance", instance)
        #expect(witness.line("announcement") != nil)
        web.kill9()
        #expect(witness.line("tombstone") != nil)
        first.end(SIGKILL)
        try node.start()
        let late = try TestClient(node, "wget", "--subscribe", "web")
        // Registrations bring the trust with them, and with it what was saved.
        #expect(late.line("tombstone") == "tombstone \(instance) 1")
        let next = try TestClient(
            node, "web", "--serve", "--instance", instance, "--incarnation", "2", "--join")
        #expect(late.line("announcement")?.hasSuffix("\(instance) 2 verified") == true)
        withExtendedLifetime(next) {}
    }

    @Test("the folder of an instance is removed when neither sidecar nor launcher is left")
    func removesFolders() throws {
        let node = try NodeProcess()
        try node.start()
        let id = try #require([UInt8](hex: instance).flatMap { InstanceID($0) })
        let folder = node.paths.instanceFolder(id)
        let kept = node.paths.instancesFolder + "/kept"
        let launcher = try Subprocess("/bin/sleep", ["600"], environment: [:])
        for path in [folder, folder + "/inner", kept] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        try "x".write(toFile: folder + "/inner/file", atomically: false, encoding: .utf8)
        try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: kept)
        let web = try TestClient(
            node, "web", "--instance", instance, "--launcher", "\(launcher.processID)")
        let witness = try TestClient(node, "curl")
        #expect(web.line("registered") != nil)
        #expect(witness.line("registered") != nil)
        web.kill9()
        #expect(eventually { node.log.contains("has ended") })
        // While the launcher lives the folder stays, however late it is.
        usleep(3_500_000)
        #expect(access(folder, F_OK) == 0)
        launcher.end(SIGTERM)
        #expect(eventually { access(folder, F_OK) != 0 })
        #expect(access(kept, F_OK) == 0)
    }

    @Test("status counts what there is")
    func status() throws {
        let node = try NodeProcess()
        let process = try node.start()
        let web = try TestClient(node, "web", "--serve")
        let curl = try TestClient(node, "curl", "--subscribe", "web")
        #expect(web.line("connected") != nil)
        #expect(curl.line("announcement") != nil)
        let command = try RawClient(node.paths.topicsSocket)
        command.send(frame: ClientMessage.status.encoded())
        let expected = NodeStatus(
            processID: process.processID, registrations: 2, subscriptions: 1, announcements: 1,
            tombstones: 0, certificates: 2)
        #expect(try NodeMessage(canonical: try #require(command.frame())) == .status(expected))
    }

    @Test("a name that runs already is refused to another configuration, and free after its end")
    func sameName() throws {
        let node = try NodeProcess()
        try node.start()
        let first = try TestClient(node, "web", "--config", "a")
        #expect(first.line("certificate") != nil)
        let rival = try TestClient(node, "web", "--config", "b")
        #expect(rival.line("failed")?.contains("runs already with another configuration") == true)
        let joining = try TestClient(node, "web", "--config", "b", "--join")
        #expect(joining.line("certificate") != nil)
        first.kill9()
        joining.kill9()
        let last = try TestClient(node, "web", "--config", "c")
        #expect(last.line("certificate") != nil)
    }

    @Test("MESH_LEAF_SECONDS shortens a certificate, for tests")
    func shortLeaves() throws {
        let node = try NodeProcess()
        node.environment["MESH_LEAF_SECONDS"] = "60"
        try node.start()
        let web = try TestClient(node, "web", "--serve", "--unnamed")
        // 60 s and 300 s of backdating; no topic for a name that was made up.
        #expect(web.line("certificate")?.hasSuffix(" 360 ") == true)
    }
}
