import Foundation
import Glibc
import SidecarProtocol
import Testing

@Suite("A node's life")
struct NodeLifeTests {
    @Test("the first node makes its folders, a local domain and two sockets, closed to other users")
    func firstUse() throws {
        let node = try NodeProcess()
        try node.start()
        let client = try TestClient(node, "web", "--serve")
        let certificate = try #require(client.line("certificate"))
        #expect(certificate.hasPrefix("certificate local-"))
        #expect(certificate.hasSuffix(" 3900 svc/default/web"))
        // Root's node serves others too: they may reach its sockets, and list nothing.
        let (runtime, folder, socket) = geteuid() == 0 ? (0o755, 0o711, 0o666) : (0o700, 0o700, 0o600)
        for (path, mode) in [
            (node.paths.runtime, mode_t(runtime)), (node.paths.nodeFolder, mode_t(folder)),
            (node.paths.topicsSocket, mode_t(socket)), (node.paths.issuerSocket, mode_t(socket)),
            (node.paths.state, 0o700), (node.paths.trustFolder, 0o700), (node.paths.issuerFolder, 0o700),
            (node.paths.issuerKeyFile, 0o600), (node.paths.rootKeyFile, 0o600),
            (node.paths.discoveryKeyFile, 0o600), (node.paths.nodeLog, 0o600),
        ] {
            var status = stat()
            #expect(lstat(path, &status) == 0, "\(path)")
            #expect(status.st_mode & 0o7777 == mode, "\(path)")
        }
    }

    @Test("a second node of a user ends at once, and the first goes on")
    func second() throws {
        let node = try NodeProcess()
        let first = try node.start()
        _ = try RawClient(node.paths.topicsSocket)
        let second = try node.start()
        #expect(second.wait() == 0)
        #expect(first.isRunning)
        first.end(SIGKILL)
    }

    @Test("twenty started at once become one")
    func race() throws {
        let node = try NodeProcess()
        let processes = try (0..<20).map { _ in try node.start() }
        _ = try RawClient(node.paths.topicsSocket)
        #expect(eventually { processes.count { $0.isRunning } == 1 })
        let client = try TestClient(node, "web")
        #expect(client.line("connected") != nil)
        for process in processes where process.isRunning { process.end(SIGTERM) }
    }

    @Test("a node that nobody needs ends, and leaves no socket and no issuer behind")
    func idle() throws {
        let node = try NodeProcess()
        let process = try node.start()
        let client = try TestClient(node, "web")
        #expect(client.line("connected") != nil)
        let issuer = try #require(children(of: process.processID).first)
        client.kill9()
        #expect(eventually { !process.isRunning })
        #expect(process.wait() == 0)
        #expect(access(node.paths.topicsSocket, F_OK) != 0)
        #expect(access(node.paths.issuerSocket, F_OK) != 0)
        #expect(eventually { kill(issuer, 0) != 0 })
    }

    @Test("a connection keeps it, without a word said")
    func isKept() throws {
        let node = try NodeProcess()
        let process = try node.start()
        let status = try RawClient(node.paths.topicsSocket)
        let idle = try NodeProcess()
        let other = try idle.start()
        // The one beside it shows that the time has come.
        #expect(eventually { !other.isRunning })
        status.send(frame: ClientMessage.status.encoded())
        #expect(status.frame() != nil)
        #expect(process.isRunning)
    }

    @Test("`mesh node stop` and SIGTERM end it at once", arguments: [true, false])
    func stops(byMessage: Bool) throws {
        let node = try NodeProcess()
        let process = try node.start()
        let client = try TestClient(node, "web")
        #expect(client.line("connected") != nil)
        if byMessage {
            let command = try RawClient(node.paths.topicsSocket)
            command.send(frame: ClientMessage.stop.encoded())
            #expect(command.isClosedByServer())
        } else {
            kill(process.processID, SIGTERM)
        }
        #expect(process.wait() == 0)
        #expect(access(node.paths.topicsSocket, F_OK) != 0)
        // A client goes on, and finds the next node by itself.
        #expect(client.line("disconnected") != nil)
        try node.start()
        #expect(client.line("connected") != nil)
    }

    @Test("the issuer is started again when it dies, and nobody's request is lost")
    func issuerDies() throws {
        let node = try NodeProcess()
        let process = try node.start()
        let first = try TestClient(node, "web")
        #expect(first.line("certificate") != nil)
        let issuer = try #require(children(of: process.processID).first)
        kill(issuer, SIGKILL)
        let second = try TestClient(node, "db")
        #expect(second.line("certificate") != nil)
        #expect(eventually { node.log.contains("issuer ended with status 9") })
        // The next one knows whose the names are.
        let rival = try TestClient(node, "web", "--config", "other")
        #expect(rival.line("failed")?.contains("runs already") == true)
        first.kill9()
        let heir = try TestClient(node, "web", "--config", "other")
        #expect(heir.line("certificate") != nil)
    }

    /// Another user must be able to execute the client where it lies.
    static let canBeAnother = geteuid() == 0 && NodeProcess.isReachableByOthers("NodeTestClient")

    @Test(
        "root's issuer gives another user the names that were granted, after its own death too",
        .enabled(if: canBeAnother, "needs root, and a build folder that others may enter"))
    func grants() throws {
        let node = try NodeProcess()
        chmod(node.root, 0o755)
        let process = try node.start()
        let launcher = try RawClient(node.paths.issuerSocket)
        let nobody: UInt32 = 65534
        let web = IssuerGrant(userID: nobody, workload: try WorkloadName(namespace: "default", name: "web"))
        launcher.send(frame: web.encoded())
        #expect(launcher.frame() == IssuerGrant.taken)
        for _ in 0..<2 {
            let granted = try TestClient(node, as: nobody, "web", "--serve")
            #expect(granted.line("certificate") != nil)
            let other = try TestClient(node, as: nobody, "db")
            #expect(other.line("failed")?.contains("user 65534 may not be default/db here") == true)
            let issuer = try #require(children(of: process.processID).first)
            kill(issuer, SIGKILL)
            #expect(eventually { children(of: process.processID).contains { $0 != issuer } })
        }
        let claimant = try TestClient(node, as: nobody, "wget")
        #expect(claimant.line("failed") != nil)
    }

    @Test("when the node is killed, its issuer ends too, and the next node serves the same domain")
    func nodeDies() throws {
        let node = try NodeProcess()
        let process = try node.start()
        let web = try TestClient(node, "web", "--serve")
        let before = try #require(web.line("certificate"))
        #expect(web.line("connected") != nil)
        let issuer = try #require(children(of: process.processID).first)
        process.end(SIGKILL)
        #expect(eventually { kill(issuer, 0) != 0 })
        try node.start()
        #expect(web.line("connected") != nil)
        let curl = try TestClient(node, "curl", "--subscribe", "web")
        #expect(
            try #require(curl.line("certificate")).split(separator: " ")[1] == before.split(separator: " ")[1]
        )
        #expect(curl.line("announcement spiffe://")?.hasSuffix("verified") == true)
    }

    @Test("the issuer isn't started by hand")
    func issuerByHand() throws {
        let node = try NodeProcess()
        let process = try node.start(["issuer"])
        #expect(process.wait() == 125)
        #expect(process.complaint().contains("started by mesh-node"))
    }

    @Test("an unknown argument is an error with the usage")
    func usage() throws {
        let node = try NodeProcess()
        let process = try node.start(["--nonsense"])
        #expect(process.wait() == 125)
        #expect(process.complaint().contains("usage: mesh-node"))
    }
}
