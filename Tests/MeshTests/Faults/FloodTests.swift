// Strangers who send what looks like handshakes, more of it than a sidecar has slots for.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct FloodTests {
    /// Each of several processes, from addresses of its own: first flights of the right form with wrong tags;
    /// connections that say nothing; a byte now and then; a recorded flight, again and again.
    private static let flood = """
        import os, socket, sys, time
        port, recorded, kinds = int(sys.argv[1]), open(sys.argv[2], "rb").read(), 4
        parent = os.getpid()
        kind = next((n for n in range(1, kinds) if os.fork() == 0), 0)
        held, count = [], 0
        bogus = lambda: recorded[:56] + os.urandom(64)
        while kind == 0 or os.getppid() == parent:
            s = socket.socket()
            s.settimeout(1)
            try:
                s.bind((f"127.{kind + 2}.{count >> 8 & 255}.{count & 255}", 0))
                s.connect(("127.0.0.1", port))
                s.send([bogus(), b"", recorded[:5], recorded][kind])
            except OSError:
                s.close()
                continue
            count += 1
            if kind in (1, 2):
                held.append(s)
                if len(held) > 500: held.pop(0).close()
            else:
                s.close()
            # In one piece, beside the others' words.
            if count == 300: os.write(1, b"flooding %d\\n" % kind)
            # Other tests have the processors, too; the figures are Tests/Benchmarks/handshake-flood's.
            time.sleep(0.002)
        """

    /// Stands between a caller and the callee, and keeps the first bytes that pass.
    private static let tap = """
        import socket, sys, threading
        port, target, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        door = socket.create_server(("127.0.0.1", port))
        print("listening", flush=True)
        def copy(a, b, first=None):
            while data := a.recv(65536):
                if first:
                    open(first, "wb").write(data[:120])
                    print("recorded", flush=True)
                    first = None
                b.sendall(data)
        while True:
            a, _ = door.accept()
            b = socket.create_connection(("127.0.0.1", target))
            threading.Thread(target=copy, args=(a, b, file), daemon=True).start()
            threading.Thread(target=copy, args=(b, a), daemon=True).start()
        """

    @Test("an honest caller gets through a flood of bogus handshakes", arguments: Setting.pairs)
    func honest(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let (port, door) = (try freePort(), try freePort())
            let file = "\(mesh.work)/flight"
            let tap = try mesh.start(
                mesh.python("tap", Self.tap, "\(door)", "\(port)", file), as: "tap")
            try await tap.says("listening")
            try Nginx.write(mesh, name: "web", port: 8080)
            let web = try mesh.launch(
                "web", serves: ["8080"], accepts: ["*"],
                options: ["--listen", "127.0.0.1:\(port)", "--advertise", "127.0.0.1:\(door)"],
                command: Nginx.command(mesh, "web"))
            try await web.listens(on: 8080)
            let page = ["curl", "-sS", "--max-time", "20", "http://web.mesh:8080/"]
            _ = try await mesh.run("first", calls: ["web"], command: page)
            try await tap.says("recorded")

            let flood = try mesh.start(mesh.python("flood", Self.flood, "\(port)", file), as: "flood")
            for kind in 0..<4 { try await flood.says("flooding \(kind)") }
            for number in 0..<3 {
                let outcome = try await mesh.run("client\(number)", calls: ["web"], command: page)
                #expect(outcome.line == "the page of web", "\(outcome)")
            }
            #expect(flood.process.ended == nil && web.process.ended == nil)
            let sessions = try await web.status()["peers"].list
            #expect(sessions.count < 16, "a stranger is no peer")
        }
    }

    private func freePort() throws -> UInt16 {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, size) == 0 && getsockname(listener, address, &size) == 0
            }
        }
        try #require(result)
        return UInt16(bigEndian: address.sin_port)
    }
}
