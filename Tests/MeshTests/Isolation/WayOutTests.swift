// Ways out of the mesh: refused at once unless declared, and on record either way.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct WayOutTests {
    /// Tries to connect to each `address port`, and says what came of it.
    static let tries = """
        import socket, sys
        for address, port in zip(sys.argv[1::2], sys.argv[2::2]):
            try:
                peer = socket.create_connection((address, int(port)), 15)
                print(address, "connected", peer.recv(100).decode())
            except TimeoutError:
                print(address, "timeout")
            except OSError as error:
                print(address, "refused")
        """

    @Test("no undeclared address is reached: host, link, LAN or internet", arguments: Setting.all)
    func undeclared(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let host = try HostListener()
            let port = "\(host.port)"
            let here = ["127.0.0.1", "198.18.0.1", "198.18.0.2", "0.0.0.0"] + HostListener.addresses
            let elsewhere = ["169.254.169.254", "192.0.2.1", "198.18.77.7"]
            var words = try mesh.python("tries", WayOutTests.tries)
            for address in here { words += [address, port] }
            for address in elsewhere { words += [address, "80"] }
            let outcome = try await mesh.run("w", command: words)
            let expected = (here + elsewhere).map { "\($0) refused\n" }.joined()
            #expect(outcome.output == expected, "\(outcome)")
            #expect(host.callerCount == 0)
            try await eventually("a record of the attempt to leave") {
                mesh.tried("192.0.2.1:80", verdict: "deny")
            }
        }
    }

    @Test("a declared address is reached, on its port alone, and on record", arguments: Setting.all)
    func declared(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            guard let address = HostListener.addresses.first else {
                try Skip.now("this host has loopback only")
            }
            let host = try HostListener()
            let other = try HostListener()
            let words = try mesh.python("tries", WayOutTests.tries)
            let outcome = try await mesh.run(
                "w", options: ["--egress", "\(address):\(host.port)"],
                command: words + [address, "\(host.port)", address, "\(other.port)"])
            #expect(outcome.output == "\(address) connected welcome\n\(address) refused\n", "\(outcome)")
            #expect(other.callerCount == 0)
            try await eventually("records of both") {
                mesh.tried("\(address):\(host.port)", verdict: "allow")
                    && mesh.tried("\(address):\(other.port)", verdict: "deny")
            }
        }
    }

    @Test("a name that leads to the host itself opens no way to it", arguments: Setting.pairs)
    func privateNames(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let host = try HostListener()
            let name = ProcessInfo.processInfo.hostName
            let words = try mesh.python("tries", WayOutTests.tries)
            let outcome = try await mesh.run(
                "w", options: ["--egress", "localhost:\(host.port)", "--egress", "\(name):\(host.port)"],
                command: words + ["localhost", "\(host.port)", name, "\(host.port)"])
            #expect(outcome.output == "localhost refused\n\(name) refused\n", "\(outcome)")
            #expect(host.callerCount == 0)
        }
    }

    @Test("the host's abstract sockets are out of reach", arguments: Setting.onVeth)
    func abstractSockets(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let name = (mesh.folder as NSString).lastPathComponent
            let server = try mesh.start(
                try mesh.python(
                    "server",
                    "import socket\ns = socket.socket(socket.AF_UNIX)\ns.bind('\\0\(name)')\ns.listen()\nprint('up')\ns.accept()"
                ),
                as: "abstract")
            try await server.says("up")
            let script = "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0\(name)')"
            let outcome = try await mesh.run("w", command: try mesh.python("client", script))
            #expect(outcome.error.contains("ConnectionRefusedError"), "\(outcome)")
        }
    }
}

extension Mesh {
    /// Whether workload `w`, by its identity, is on record as having tried to reach `address`.
    fileprivate func tried(_ address: String, verdict: String) -> Bool {
        records(of: "w").contains { record in
            record["verdict"].text == verdict && record["dst"]["addr"].text == address
                && record["src"]["identity"].text?.hasSuffix("/ns/default/w/w") == true
        }
    }
}
