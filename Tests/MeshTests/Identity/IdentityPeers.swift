// The programs of the identity tests.

import Foundation
import Testing

enum IdentityPeer {
    /// Echoes TCP and UDP on 7000.
    static let echoes = """
        import socket, threading
        def tcp(connection):
            while data := connection.recv(65536): connection.sendall(data)
            connection.close()
        def udp():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("0.0.0.0", 7000))
            while True:
                data, source = s.recvfrom(65536)
                s.sendto(data, source)
        threading.Thread(target=udp, daemon=True).start()
        listener = socket.create_server(("0.0.0.0", 7000), backlog=100)
        while True:
            threading.Thread(target=tcp, args=(listener.accept()[0],), daemon=True).start()
        """

    /// Keeps a busy connection, an idle one, and a UDP association until the file `stop` is there, or one of
    /// them ends. Every byte that comes back is compared with the one that went.
    static let keeps = """
        import os, socket, sys, time, threading
        def connect():
            while True:
                try: return socket.create_connection(("server.mesh", 7000), 10)
                except OSError: time.sleep(0.05)
        busy, idle = connect(), connect()
        idle.sendall(b"x"); assert idle.recv(1) == b"x"
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.connect(("server.mesh", 7000)); udp.settimeout(3)
        ended = {}
        def watch():
            idle.settimeout(None)
            try: ended["idle"] = "end" if idle.recv(1) == b"" else "byte"
            except OSError as error: ended["idle"] = type(error).__name__
        threading.Thread(target=watch, daemon=True).start()
        count = datagrams = lost = 0
        print("begun", flush=True)
        busy.settimeout(20)
        while not os.path.exists(sys.argv[1]):
            sent = os.urandom(1 + os.urandom(1)[0] * 40)
            try:
                busy.sendall(sent)
                got = b""
                while len(got) < len(sent):
                    more = busy.recv(65536)
                    if not more: raise EOFError()
                    got += more
            except (OSError, EOFError) as error:
                ended["busy"] = type(error).__name__
                break
            if got != sent: ended["busy"] = "other bytes"; break
            count += len(sent)
            datagram = b"%d" % datagrams
            try:
                udp.send(datagram)
                if udp.recv(2000) != datagram: lost += 1
            except OSError: lost += 1
            datagrams += 1
            time.sleep(0.002)
        if "busy" not in ended and "idle" not in ended:
            idle.sendall(b"y")
            for _ in range(500):
                if "idle" in ended: break
                time.sleep(0.01)
            if ended.pop("idle", None) == "byte": print("idle lives", flush=True)
        else: time.sleep(1)
        print("moved", count, "datagrams", datagrams, "lost", lost, "ended", dict(sorted(ended.items())), flush=True)
        """
}

extension Mesh {
    /// An echoing server and a client that keeps three flows to it, with leaves of so many seconds.
    func keepers(
        leafSeconds: Int, environment extra: [String: String] = [:]
    ) async throws -> (server: Running, client: Running) {
        let environment = ["MESH_LEAF_SECONDS": "\(leafSeconds)"].merging(extra) { $1 }
        let server = try launch(
            "server", serves: ["7000", "7000/udp"], accepts: ["client"], environment: environment,
            command: python("echoes", IdentityPeer.echoes))
        try await server.listens(on: 7000)
        let client = try launch(
            "client", calls: ["server"], environment: environment,
            command: python("keeps", IdentityPeer.keeps) + [work + "/stop"])
        try await client.says("begun")
        return (server, client)
    }

    /// Ends the client's flows in order; what it said of them.
    func stop(_ client: Running) async throws -> Outcome {
        try write("", to: "stop")
        return try await client.outcome()
    }

    /// The process of this mesh's node.
    func nodeProcessID() -> Int? {
        let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc")
        return (names ?? []).compactMap { Int($0) }.first {
            ProcessFile.read("/proc/\($0)/cmdline").hasPrefix(bin + "/mesh-node")
        }
    }

    func closes(of workload: String) -> [JSON] {
        records(of: workload).filter { $0["event"].text == "close" }
    }

    /// What a `mesh` command says, which must succeed.
    @discardableResult
    func order(_ words: String...) async throws -> String {
        let outcome = try await start(["mesh"] + words, as: "mesh").outcome()
        guard outcome.isSuccess else { throw HarnessError("mesh \(words): \(outcome)") }
        return outcome.output
    }
}

extension Running {
    func identity() async throws -> JSON { try await admin("/identity") }
}
