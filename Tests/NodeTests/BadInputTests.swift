import Foundation
import Glibc
import SidecarProtocol
import Testing

@Suite("A node's bad days")
struct BadInputTests {
    @Test("garbage closes its sender, and nobody else")
    func garbage() throws {
        let node = try NodeProcess()
        let process = try node.start()
        let web = try TestClient(node, "web", "--serve")
        #expect(web.line("connected") != nil)
        for path in [node.paths.topicsSocket, node.paths.issuerSocket] {
            for bytes in [
                [0xFF, 0xFF, 0xFF, 0xFF],  // a frame of 4 GiB
                [0, 1, 0, 1],  // one byte past the limit
                Array("GET / HTTP/1.1\r\n\r\n".utf8),
            ] as [[UInt8]] {
                let client = try RawClient(path)
                client.write(bytes)
                #expect(client.isClosedByServer())
            }
        }
        let client = try RawClient(node.paths.topicsSocket)
        client.send(frame: [0xFF])
        guard case .refused = try NodeMessage(canonical: try #require(client.frame())) else {
            Issue.record("garbage was taken")
            return
        }
        #expect(client.isClosedByServer())
        let asker = try RawClient(node.paths.issuerSocket)
        asker.send(frame: [])
        guard case .refused = try IssuerAnswer(canonical: try #require(asker.frame())) else {
            Issue.record("garbage was taken")
            return
        }
        let curl = try TestClient(node, "curl", "--subscribe", "web")
        #expect(curl.line("announcement") != nil)
        #expect(process.isRunning)
    }

    @Test("the largest frame is read, a byte at a time too")
    func largestFrame() throws {
        let node = try NodeProcess()
        try node.start()
        let client = try RawClient(node.paths.topicsSocket)
        let padding = [UInt8](repeating: 0, count: Limits.nodeFrameBytesMaximum - 5)
        // An unknown kind with a long field: to be skipped.
        let frame = CBOR.array([.unsigned(23), .bytes(padding)]).encoded()
        #expect(frame.count == Limits.nodeFrameBytesMaximum)
        client.send(frame: frame)
        let status = ClientMessage.status.encoded()
        for byte in [0, 0, 0, UInt8(status.count)] + status { client.write([byte]) }
        guard case .status = try NodeMessage(canonical: try #require(client.frame())) else {
            Issue.record("no status")
            return
        }
    }

    @Test("a client that doesn't read is closed, and the others go on")
    func slowClient() throws {
        let node = try NodeProcess()
        let process = try node.start()
        let deaf = try RawClient(node.paths.topicsSocket)
        let question = ClientMessage.status.encoded()
        let frame = [0, 0, 0, UInt8(question.count)] + question
        var burst: [UInt8] = []
        for _ in 0..<1000 { burst += frame }
        // Far more answers than socket buffers and the queue hold.
        for _ in 0..<1000 { deaf.write(burst) }
        #expect(deaf.isClosedByServer())
        let other = try RawClient(node.paths.topicsSocket)
        other.send(frame: question)
        #expect(other.frame() != nil)
        #expect(process.isRunning)
    }

    @Test("connections past the limit are closed; one that ends makes room")
    func connectionLimit() throws {
        let node = try NodeProcess()
        try node.start()
        var clients: [RawClient] = []
        for _ in 0..<Limits.nodeClientsMaximum { clients.append(try RawClient(node.paths.topicsSocket)) }
        let question = ClientMessage.status.encoded()
        clients.last?.send(frame: question)
        #expect(clients.last?.frame() != nil)
        #expect(try RawClient(node.paths.topicsSocket).isClosedByServer())
        clients.removeFirst()
        #expect(
            try eventually {
                let client = try RawClient(node.paths.topicsSocket)
                client.send(frame: question)
                return client.frame() != nil
            })
    }

    enum Damage: String, CaseIterable {
        case bundle, emptyBundle, discoveryKey, missingDiscoveryKey, rootKey, issuerKey, otherIssuerKey
        case issuerCertificate, readableKey, foreignOwner, missingTrust
    }

    @Test("a damaged domain is named with its file and a fix, and never replaced", arguments: Damage.allCases)
    func damagedDomain(damage: Damage) throws {
        if damage == .foreignOwner && geteuid() != 0 { return }
        let node = try NodeProcess()
        let first = try node.start()
        let before = try TestClient(node, "web")
        #expect(before.line("certificate") != nil)
        first.end(SIGTERM)
        let file = try inflict(damage, on: node.paths)
        let evidence = snapshot(node.paths)

        try node.start()
        let client = try TestClient(node, "web")
        let failure = try #require(client.line("failed"))
        #expect(failure.contains(file), "\(failure)")
        #expect(failure.contains("restore it") || failure.contains("chmod") || failure.contains("chown"))
        #expect(snapshot(node.paths) == evidence)
    }

    @Test("a local domain whose issuer alone is gone gets another, under the same root")
    func issuerIsMadeAgain() throws {
        let node = try NodeProcess()
        let first = try node.start()
        let before = try #require(try TestClient(node, "web").line("certificate"))
        first.end(SIGTERM)
        try FileManager.default.removeItem(atPath: node.paths.issuerFolder)
        try node.start()
        let after = try #require(try TestClient(node, "web").line("certificate"))
        #expect(before == after)
    }

    @Test("runtime folders that others may write, or that aren't folders, are refused with the fix")
    func badRuntime() throws {
        let writable = try NodeProcess()
        try FileManager.default.createDirectory(
            atPath: writable.paths.runtime, withIntermediateDirectories: true)
        chmod(writable.paths.runtime, 0o777)
        let file = try NodeProcess()
        try "x".write(toFile: file.paths.runtime, atomically: false, encoding: .utf8)
        let long = try NodeProcess()
        long.environment["MESH_RUNTIME_DIR"] = long.root + "/" + String(repeating: "l", count: 100)
        for (node, expected) in [
            (writable, "others may write it; chmod go-w"), (file, "isn't a folder; move it away"),
            (long, "too long for a socket's name by"),
        ] {
            let process = try node.start()
            #expect(process.wait() == 125)
            let complaint = process.complaint()
            #expect(complaint.contains(expected), "\(complaint)")
        }
    }

    @Test("a disk that is full is an error, and no half domain stays", .enabled(if: geteuid() == 0))
    func fullDisk() throws {
        let node = try NodeProcess()
        try FileManager.default.createDirectory(
            atPath: node.paths.state, withIntermediateDirectories: true)
        guard mount("tmpfs", node.paths.state, "tmpfs", 0, "size=256k,mode=0700") == 0 else {
            Issue.record("no tmpfs can be mounted here")
            return
        }
        defer { umount(node.paths.state) }
        let filler = node.paths.state + "/filler"
        let file = open(filler, O_WRONLY | O_CREAT, 0o600)
        let page = [UInt8](repeating: 0, count: 4096)
        while write(file, page, page.count) == page.count {}
        close(file)
        let process = try node.start()
        let client = try TestClient(node, "web")
        let failure = try #require(client.line("failed"))
        #expect(failure.contains("No space left on device; free some disk space"), "\(failure)")
        #expect(access(node.paths.trustFolder, F_OK) != 0)
        unlink(filler)
        let later = try TestClient(node, "web")
        #expect(later.line("certificate") != nil)
        process.end(SIGTERM)
    }

    // MARK: Damage

    /// - Returns: the file that the error must name.
    private func inflict(_ damage: Damage, on paths: MeshPaths) throws -> String {
        func write(_ path: String, _ bytes: [UInt8]) throws -> String {
            let file = open(path, O_WRONLY | O_TRUNC)
            defer { close(file) }
            #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
            return path
        }
        switch damage {
        case .bundle: return try write(paths.trustBundleFile, Array("not a bundle".utf8))
        case .emptyBundle: return try write(paths.trustBundleFile, [])
        case .discoveryKey: return try write(paths.discoveryKeyFile, [1, 2, 3])
        case .missingDiscoveryKey:
            unlink(paths.discoveryKeyFile)
            return paths.discoveryKeyFile
        case .rootKey: return try write(paths.rootKeyFile, [UInt8](repeating: 7, count: 32))
        case .issuerKey: return try write(paths.issuerKeyFile, [1])
        case .otherIssuerKey: return try write(paths.issuerKeyFile, [UInt8](repeating: 7, count: 32))
        case .issuerCertificate: return try write(paths.issuerCertificateFile, [0xA0])
        case .readableKey:
            chmod(paths.issuerKeyFile, 0o644)
            return paths.issuerKeyFile
        case .foreignOwner:
            chown(paths.trustBundleFile, 12345, 12345)
            return paths.trustBundleFile
        case .missingTrust:
            try FileManager.default.removeItem(atPath: paths.trustFolder)
            return paths.trustFolder
        }
    }

    private func snapshot(_ paths: MeshPaths) -> [String: Data?] {
        var files: [String: Data?] = [:]
        for folder in [paths.trustFolder, paths.issuerFolder] {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                files[folder + "/" + name] = FileManager.default.contents(atPath: folder + "/" + name)
            }
        }
        return files
    }
}
