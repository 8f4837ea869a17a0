// What UDP promises to programs, across two sidecars.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct DatagramTests {
    /// Echoes each datagram, with its sender's address before it.
    static let echo = """
        import socket
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("0.0.0.0", 7000))
        while True:
            data, peer = server.recvfrom(65536)
            server.sendto(f"{peer[0]} {peer[1]} ".encode() + data, peer)
        """

    /// Sends a datagram of each size until its echo comes whole; says from where the echo's server saw it.
    static let ask = """
        import socket, sys
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.connect((sys.argv[1], 7000))
        peer.settimeout(1)
        for size in map(int, sys.argv[2:]):
            for attempt in range(15):
                peer.send(b"x" * size)
                try:
                    answer = peer.recv(65536)
                except TimeoutError:
                    continue
                address, port, data = answer.split(b" ", 2)
                if len(data) == size:
                    break
            else:
                print(size, "never came back")
                continue
            print(size, address.decode(), int(port) == peer.getsockname()[1])
        """

    @Test(
        "datagrams of every size come back whole, from the caller's own address and port",
        arguments: Setting.pairs)
    func sizes(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.launch(
                "server", serves: ["7000/udp"], accepts: ["client"],
                command: mesh.python("echo", DatagramTests.echo))
            try await server.receives(on: 7000)
            let sizes = ["0", "1", "1400", "8000", "32000"]
            let words = try mesh.python("ask", DatagramTests.ask) + ["server.mesh"] + sizes
            let client = try await mesh.run("client", calls: ["server"], command: words)
            let lines = client.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            #expect(lines.map(\.first) == sizes, "\(client)")
            let half = setting.datapath == .veth ? "198.18." : "198.19."
            #expect(lines.allSatisfy { $0.count == 3 && $0[1].hasPrefix(half) }, "\(client)")
            try await eventually("a record of the association: \(mesh.records(of: "client"))") {
                mesh.records(of: "client").contains {
                    $0["protocol"].text == "udp" && $0["verdict"].text == "allow"
                }
            }
        }
    }

    @Test("a denied caller's datagrams reach nobody, and it is told", arguments: Setting.otherPairs)
    func denied(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.launch(
                "server", serves: ["7000/udp"], accepts: ["friend"],
                command: mesh.python("echo", DatagramTests.echo))
            try await server.receives(on: 7000)
            let client = try await mesh.run(
                "client", calls: ["server"], command: mesh.python("refused", DatagramTests.refused))
            #expect(client.line == "refused", "\(client)")
        }
    }

    @Test("a port that nobody listens on is unreachable, as on one host", arguments: Setting.otherPairs)
    func unreachable(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.launch(
                "server", serves: ["7000/udp"], accepts: ["client"], command: ["sleep", "60"])
            try await server.isReady()
            let client = try await mesh.run(
                "client", calls: ["server"], command: mesh.python("refused", DatagramTests.refused))
            #expect(client.line == "refused", "\(client)")
        }
    }

    /// Sends until the kernel says that the port is unreachable.
    static let refused = """
        import socket
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.connect(("server.mesh", 7000))
        peer.settimeout(1)
        for attempt in range(15):
            try:
                peer.send(b"x")
                print("answered", peer.recv(100))
                break
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                print("refused")
                break
        """
}
