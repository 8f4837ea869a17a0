import Foundation
import Glibc
import SidecarProtocol
import Testing

@testable import MeshCommand

/// A node that answers each message as it is told to, or ends.
private func startNode(_ mesh: FakeMesh, _ answer: @escaping @Sendable (ClientMessage) -> [UInt8]?) throws {
    mkdir(mesh.folder + "/node", 0o700)
    let listener = try listeningSocket(mesh.paths.topicsSocket)
    Thread.detachNewThread {
        let connection = accept(listener, nil, nil)
        // Nobody else can connect once it has ended.
        close(listener)
        defer { close(connection) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1_024)
        while case let count = read(connection, &buffer, buffer.count), count > 0 {
            bytes += buffer[..<count]
            // These messages are short, so that the last byte of the length says it.
            while bytes.count >= 4, bytes.count >= 4 + Int(bytes[3]) {
                let message = try? ClientMessage(canonical: Array(bytes[4..<4 + Int(bytes[3])]))
                bytes.removeFirst(4 + Int(bytes[3]))
                guard let message, let answer = answer(message) else { return }
                _ = writeAll(connection, answer)
            }
        }
    }
}

private func framed(_ message: NodeMessage) -> [UInt8] {
    let body = message.encoded()
    return [0, 0, UInt8(body.count >> 8), UInt8(body.count & 0xFF)] + body
}

@Suite struct NodeTests {
    static let status = NodeStatus(
        processID: 42, registrations: 2, subscriptions: 3, announcements: 4, tombstones: 5, certificates: 6)

    @Test("node status says what the node holds")
    func showsStatus() throws {
        let mesh = FakeMesh()
        try startNode(mesh) { $0 == .status ? framed(.status(NodeTests.status)) : nil }
        let lines = try mesh.answer("node", "status").text.split(separator: "\n")
        #expect(lines[1].split(separator: " ") == ["process", "42"])
        #expect(lines[2].split(separator: " ") == ["registrations", "2"])
    }

    @Test("node status in JSON has a count each")
    func showsJSON() throws {
        let mesh = FakeMesh()
        try startNode(mesh) { _ in framed(.status(NodeTests.status)) }
        #expect(
            try mesh.answer("node", "status", "--json").text
                == #"{"running":true,"pid":42,"configuration_problem":"","registrations":2,"subscriptions":3,"#
                + #""announcements":4,"tombstones":5,"certificates":6,"neighbours":0}"# + "\n")
    }

    @Test("without a node, status says so by its exit code, and stop has nothing to do")
    func noNode() throws {
        let mesh = FakeMesh()
        #expect(try mesh.answer("node", "status").exitCode == 1)
        #expect(try mesh.answer("node", "status", "--json").text == "{\"running\":false}\n")
        #expect(try mesh.answer("node", "stop") == Answer(text: "no node ran\n"))
    }

    @Test("reload waits for the node's word, past what else it says, and quotes a refusal")
    func reloads() throws {
        let mesh = FakeMesh()
        #expect(try mesh.answer("node", "reload").text == "no node runs\n")
        try startNode(mesh) {
            $0 == .reload ? framed(.announcement([1])) + framed(.status(NodeTests.status)) : nil
        }
        #expect(try mesh.answer("node", "reload").text == "the node has taken its config file over\n")
        let other = FakeMesh()
        try startNode(other) { _ in framed(.refused("node.yaml:2: wrong")) }
        let complaint = #expect(throws: Complaint.self) { try other.answer("node", "reload") }
        #expect(complaint?.what == "the node refuses: node.yaml:2: wrong")
    }

    @Test("stop waits until the node has closed, past what else it says")
    func stops() throws {
        let mesh = FakeMesh()
        try startNode(mesh) { $0 == .stop ? nil : framed(.status(NodeTests.status)) }
        #expect(try mesh.answer("node", "stop").text == "the node has ended\n")
    }

    @Test("a node that refuses to stop is quoted")
    func refuses() throws {
        let mesh = FakeMesh()
        try startNode(mesh) { _ in framed(.refused("only user 0 may")) }
        let complaint = #expect(throws: Complaint.self) { try mesh.answer("node", "stop") }
        #expect(complaint?.what == "the node refuses to end: only user 0 may")
    }

    @Test(
        "an answer that isn't a message, or is too long, is an error",
        arguments: [
            [0, 0, 0, 1, 0xFF], [0xFF, 0xFF, 0xFF, 0xFF], [0, 1, 0, 1], [0, 0, 0, 0], [0, 0, 0, 1, 0x80],
        ] as [[UInt8]])
    func malformed(bytes: [UInt8]) throws {
        let mesh = FakeMesh()
        try startNode(mesh) { _ in bytes }
        #expect(throws: Complaint.self) { try mesh.answer("node", "status") }
    }

    @Test("an answer that is cut off is silence while the node stays, and malformed once it has gone")
    func cutOff() throws {
        let mesh = FakeMesh()
        try startNode(mesh) { $0 == .status ? [0, 0, 0, 9, 1] : nil }
        guard let client = try NodeClient(mesh.paths) else { throw Complaint("no node", fix: "start it") }
        client.send(.status)
        #expect(client.receive(within: 0) == .silence)
        client.send(.stop)
        #expect(client.receive(within: 5) == .malformed)
    }
}
