import Foundation
import Testing

@testable import MeshCommand

@Suite struct BundleTests {
    @Test("tar reads what is written, whatever the sizes", arguments: [0, 1, 511, 512, 513, 65_535, 200_000])
    func archive(_ count: Int) throws {
        let mesh = FakeMesh()
        var archive = Archive(modified: 1_767_225_600)
        let content = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        archive.add("a/one", content)
        archive.add("a/two", Array("second".utf8))
        let path = try mesh.write(bytes: archive.gzip, to: "x.tar.gz")
        #expect(try run("/bin/tar", ["-tzf", path]) == "a/one\na/two\n")
        #expect(try run("/bin/tar", ["-xzOf", path, "a/two"]) == "second")
        _ = try run("/bin/tar", ["-xzf", path, "-C", mesh.folder])
        #expect(try Data(contentsOf: URL(fileURLWithPath: mesh.folder + "/a/one")) == Data(content))
    }

    @Test("the checksum is CRC-32")
    func checksum() {
        #expect(Gzip.checksum(Array("123456789".utf8)) == 0xCBF4_3926)
        #expect(Gzip.checksum([]) == 0)
    }

    @Test("it holds what helps, without the secrets of a command line, a log and a key")
    func content() throws {
        let mesh = FakeMesh()
        mesh.start(
            "default/web",
            [
                "/config": .init(200, #"{"workload":"web","command":["app","--password","hunter2"]}"#),
                "/flows": .init(200, #"{"flows":[]}"#), "/metrics": .init(200, "mesh_ready 1\n"),
            ])
        let key = [UInt8](repeating: 0x6B, count: 32)
        try mesh.write(bytes: key, to: "state/issuer/issuer.key")
        try mesh.write(bytes: key, to: "state/trust/root.key")
        _ = try mesh.write("ok\nAPI_TOKEN=topsecret\n", to: "instances/3f9a01c2d4e5f607/sidecar.log")
        // A link could lead to a key.
        symlink(mesh.folder + "/state/trust/root.key", mesh.folder + "/instances/3f9a01c2d4e5f607/stack.log")
        let path = mesh.folder + "/out.tar.gz"
        let answer = try mesh.answer("bundle", "--output", path)
        #expect(answer.exitCode == 0 && answer.text.contains("2 values taken out"), "\(answer)")
        let names = try run("/bin/tar", ["-tzf", path]).split(separator: "\n").map(String.init)
        for name in ["versions.txt", "check.txt", "status.txt", "MANIFEST"] {
            #expect(names.contains("mesh-bundle/" + name), "\(names)")
        }
        for name in ["config.json", "status.json", "flows.json", "metrics.txt", "sidecar.log"] {
            #expect(names.contains("mesh-bundle/instances/3f9a01c2d4e5f607/" + name), "\(names)")
        }
        #expect(!names.contains { $0.hasSuffix("stack.log") })
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for secret in [
            "hunter2", "topsecret", String(decoding: key, as: UTF8.self),
            key.map { String($0, radix: 16) }.joined(), Data(key).base64EncodedString(),
        ] {
            #expect(bytes.range(of: Data(secret.utf8)) == nil, "\(secret)")
        }
        // Never over a file that is there.
        #expect(throws: Complaint.self) { try mesh.answer("bundle", "--output", path) }
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    private func run(_ program: String, _ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return String(decoding: data, as: UTF8.self)
    }
}
