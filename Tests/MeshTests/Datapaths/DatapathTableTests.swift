import Foundation
import Testing

/// The table of what a program sees on each datapath, in docs/DATAPATHS.md, is what these runs find.
///
/// `MESH_WRITE_TABLES=1` writes the file anew instead of comparing it.
@Suite(.timeLimit(.minutes(10)))
struct DatapathTableTests {
    @Test("what differs between the datapaths is what the documentation says")
    func table() async throws {
        let veth = try await Self.probe(Setting(.veth, .ordinary))
        let slirp = try await Self.probe(Setting(.slirp, .ordinary))
        try #require(veth.map(\.row) == slirp.map(\.row) && veth.count > 10, "\(veth) \(slirp)")
        let lines = zip(veth, slirp).map { "| \($0.row) | \($0.answer) | \($1.answer) |" }
        let table = (["| a program sees | `veth` | `slirp` |", "| --- | --- | --- |"] + lines)
            .joined(separator: "\n")
        if ProcessInfo.processInfo.environment["MESH_WRITE_TABLES"] == "1" { try Self.write(table) }
        #expect(try Self.written() == table)
    }

    private static func probe(_ setting: Setting) async throws -> [(row: String, answer: String)] {
        var found: [(row: String, answer: String)] = []
        try await Mesh.with(setting) { mesh in
            let scripts = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            for name in ["server", "client"] {
                let script = scripts.appendingPathComponent("probe-\(name).py")
                try mesh.write(try String(contentsOf: script, encoding: .utf8), to: "\(name).py")
            }
            let server = try mesh.launch(
                "server", serves: ["7000", "7001", "7002", "7003/udp", "7004/udp"], accepts: ["client"],
                command: ["/usr/bin/python3", "\(mesh.work)/server.py"])
            try await server.says("ready")
            let client = try await mesh.run(
                "client", calls: ["server"], within: .seconds(100),
                command: ["/usr/bin/python3", "\(mesh.work)/client.py"])
            try #require(client.isSuccess, "\(client)")
            found = client.output.split(separator: "\n").map { line in
                let cells = line.split(separator: "\t", maxSplits: 1).map(String.init)
                return (row: cells[0], answer: cells.count > 1 ? cells[1] : "")
            }
        }
        return found
    }

    // MARK: The file

    private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("docs/DATAPATHS.md")
    private static let (opening, closing) = ("<!-- table: begin -->\n", "\n<!-- table: end -->")

    private static func place(in text: String) throws -> Range<String.Index> {
        let begin = try #require(text.range(of: opening))
        let end = try #require(text.range(of: closing))
        return begin.upperBound..<end.lowerBound
    }

    private static func written() throws -> String {
        let text = try String(contentsOf: file, encoding: .utf8)
        return String(text[try place(in: text)])
    }

    private static func write(_ table: String) throws {
        var text = try String(contentsOf: file, encoding: .utf8)
        text.replaceSubrange(try place(in: text), with: table)
        try text.write(to: file, atomically: true, encoding: .utf8)
    }
}
