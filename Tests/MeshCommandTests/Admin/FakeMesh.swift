// Folders of a mesh with admin sockets that answer from a table, each served by a thread of its own.

import ArgumentParser
import Foundation
import Glibc
import SidecarProtocol
import Synchronization

@testable import MeshCommand

final class FakeMesh: Sendable {
    let folder: String
    private let sidecars = Mutex<[FakeSidecar]>([])

    init() {
        let made = "/tmp/mesh-command.XXXXXX".withCString { mkdtemp(strdup($0)) }
        folder = made.map { String(cString: $0) } ?? "/nonexistent"
        free(made)
        mkdir(folder + "/instances", 0o700)
    }

    deinit {
        for sidecar in sidecars.withLock({ $0 }) { sidecar.stop() }
        try? FileManager.default.removeItem(atPath: folder)
    }

    var paths: MeshPaths {
        MeshPaths(runtime: folder, state: folder + "/state", config: folder, cache: folder)
    }

    /// Arguments that lead a verb here.
    var place: [String] { ["--runtime-dir", folder, "--state-dir", folder + "/state"] }

    /// The answer of a verb to these arguments.
    func answer(_ arguments: String...) throws -> Answer { try answer(arguments) }

    func answer(_ arguments: [String]) throws -> Answer {
        let command = try Mesh.parseAsRoot(arguments + place)
        guard let verb = command as? any Verb else { throw Complaint("no verb", fix: "name one") }
        // A thousand tests beside this one may keep its sidecar from answering for seconds.
        return try AdminClient.$patience.withValue(60_000) { try verb.answer() }
    }

    /// Starts an instance's sidecar with the contract's `/status`, and more answers by path.
    @discardableResult
    func start(
        _ workload: String, instance: String = "3f9a01c2d4e5f607", ready: Bool = true,
        status: String? = nil, notAfter: String = "2099-01-01T00:00:00Z",
        _ answers: [String: FakeSidecar.Reply] = [:]
    ) -> FakeSidecar {
        let path = "\(folder)/instances/\(instance)"
        mkdir(path, 0o700)
        var answers = answers
        let report = status ?? FakeMesh.status(workload, instance, ready: ready, notAfter: notAfter)
        if answers["/status"] == nil { answers["/status"] = .init(200, report) }
        let sidecar = FakeSidecar(socket: path + "/admin.sock", answers: answers)
        sidecars.withLock { $0.append(sidecar) }
        return sidecar
    }

    func write(_ text: String, to name: String) throws -> String {
        try write(bytes: Array(text.utf8), to: name)
    }

    @discardableResult
    func write(bytes: [UInt8], to name: String) throws -> String {
        let path = "\(folder)/\(name)"
        let parent = String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])
        try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private static func status(_ workload: String, _ instance: String, ready: Bool, notAfter: String)
        -> String
    {
        let parts = workload.split(separator: "/")
        return """
            {"identity":"spiffe://local-1/ns/\(parts[0])/w/\(parts[1])","workload":"\(workload)",
             "instance":"\(instance)0011223344556677","incarnation":1,"version":"1.4.2","datapath":"veth",
             "ready":\(ready),"address":"198.18.3.4","launcher_pid":10,"workload_pid":12,"sidecar_pid":11,
             "uptime_seconds":3725,"certificate":{"not_after":"\(notAfter)","serial":"01","issuer":"ab"},
             "policy_head":{"epoch":0,"hash":"00112233445566778899"},"decision_epoch":4,"serves":["8080/tcp"],
             "peers":[{"identity":"spiffe://local-1/ns/default/w/client","state":"connected",
                       "endpoint":"127.0.0.1:4000","flows":2}],
             "calls":[{"target":"default/db","address":"198.18.7.7","state":"connected",
                       "verdicts":[{"port":5432,"protocol":"tcp","verdict":"allow"}]}],"flows_open":2}
            """
    }
}

final class FakeSidecar: Sendable {
    struct Reply: Sendable {
        let status: Int
        let body: String
        /// Sent in chunks of this many bytes, with a chunked transfer encoding.
        let chunk: Int?

        init(_ status: Int, _ body: String, chunk: Int? = nil) {
            self.status = status
            self.body = body
            self.chunk = chunk
        }
    }

    private let listener: Int32
    private let requests = Mutex<[(path: String, body: [UInt8])]>([])

    /// What was asked, in its order: `GET /status`.
    var asked: [String] { requests.withLock { $0.map(\.path) } }

    func body(of request: String) -> [UInt8]? {
        requests.withLock { $0.last { $0.path == request }?.body }
    }

    init(socket path: String, answers: [String: Reply]) {
        // Where it can't listen, every test that asks it fails.
        listener = (try? listeningSocket(path)) ?? -1
        Thread.detachNewThread { [weak self, listener] in
            while case let connection = accept(listener, nil, nil), connection >= 0 {
                self?.serve(connection, answers)
                close(connection)
            }
            close(listener)
        }
    }

    /// Nobody listens any more; the socket's file stays, as after a SIGKILL.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func serve(_ connection: Int32, _ answers: [String: Reply]) {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(connection, &buffer, buffer.count)
            guard count > 0 else { return }
            bytes += buffer[..<count]
            guard let end = bytes.indices.first(where: { bytes[$0...].starts(with: "\r\n\r\n".utf8) }) else {
                continue
            }
            let head = String(decoding: bytes[..<end], as: UTF8.self)
            let length =
                head.components(separatedBy: "Content-Length: ").last
                .flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
            guard bytes.count >= end + 4 + length else { continue }
            let words = head.split(separator: " ")
            let path = String(words[1])
            requests.withLock { $0.append(("\(words[0]) \(path)", Array(bytes[(end + 4)...]))) }
            send(answers[path] ?? Reply(404, "there is no \(path)\n"), connection)
            return
        }
    }

    private func send(_ reply: Reply, _ connection: Int32) {
        let body = Array(reply.body.utf8)
        guard let size = reply.chunk else {
            let head = "HTTP/1.1 \(reply.status) X\r\ncontent-length: \(body.count)\r\n\r\n"
            _ = writeAll(connection, Array(head.utf8) + body)
            return
        }
        _ = writeAll(
            connection, Array("HTTP/1.1 \(reply.status) X\r\ntransfer-encoding: chunked\r\n\r\n".utf8))
        for start in stride(from: 0, to: body.count, by: size) {
            let part = body[start..<min(body.count, start + size)]
            _ = writeAll(
                connection, Array("\(String(part.count, radix: 16))\r\n".utf8) + part + Array("\r\n".utf8))
        }
        _ = writeAll(connection, Array("0\r\n\r\n".utf8))
    }
}
