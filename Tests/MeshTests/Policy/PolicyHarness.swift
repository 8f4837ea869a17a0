// A mesh with a policy key, and what its operator does with it.

import Foundation
import Testing

extension Mesh {
    /// Makes this mesh's policy key; its domain must be there, so some workload must have been launched.
    func makePolicyKey() async throws {
        let made = try await host("mesh", "trust", "policy-key")
        guard made.isSuccess else { throw HarnessError("no policy key: \(made)") }
    }

    /// Runs `mesh` with `--json`, and takes its answer; its end must be `code`.
    @discardableResult
    func operate(
        _ words: String..., code: Int32 = 0, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> JSON {
        let outcome = try await start(["mesh"] + words + ["--json"], as: "mesh").outcome()
        #expect(outcome.ending == .exited(code), "\(words): \(outcome)", sourceLocation: sourceLocation)
        return try JSON(parsing: outcome.output.isEmpty ? "null" : outcome.output)
    }

    /// Puts a policy in force, given without its first line.
    @discardableResult
    func apply(
        _ policy: String, _ options: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> JSON {
        let file = try write("mesh-policy: 1\n" + policy, to: "policy.yaml")
        let words = ["mesh", "policy", "apply", file, "--json"] + options
        let outcome = try await start(words, as: "mesh").outcome()
        #expect(outcome.isSuccess, "\(outcome)", sourceLocation: sourceLocation)
        return try JSON(parsing: outcome.output.isEmpty ? "null" : outcome.output)
    }

    /// What a caller's and a callee's sidecar have on record of how a flow between them ended.
    func reasons(from caller: String, to callee: String) async throws -> Set<String> {
        let (ours, theirs) = try await closedFlow(from: caller, to: callee)
        return Set([ours["reason"].text ?? "?", theirs["reason"].text ?? "?"])
    }
}

extension Peer {
    /// Echoes each connection's bytes, and answers datagrams.
    static let echoesBoth = """
        import socket, threading
        def datagrams():
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("0.0.0.0", 7001))
            while True:
                data, peer = server.recvfrom(65536)
                server.sendto(data, peer)
        def serve(peer):
            try:
                while part := peer.recv(65536):
                    peer.sendall(part)
            except OSError as error:
                print("cut", error.errno, flush=True)
            peer.close()
        threading.Thread(target=datagrams, daemon=True).start()
        server = socket.create_server(("0.0.0.0", 7000))
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],)).start()
        """

    /// Echoes on any number of connections, and says each time that another hundred were reset.
    static let countsResets = """
        import selectors, socket
        server = socket.create_server(("0.0.0.0", 7000), backlog=2000)
        ready, resets = selectors.DefaultSelector(), 0
        ready.register(server, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is server:
                    ready.register(server.accept()[0], selectors.EVENT_READ)
                    continue
                try:
                    data = key.fileobj.recv(65536)
                    if data:
                        key.fileobj.sendall(data)
                        continue
                except ConnectionError:
                    resets += 1
                    if resets % 100 == 0: print("reset", resets, flush=True)
                ready.unregister(key.fileobj)
                key.fileobj.close()
        """

    /// Holds a thousand connections, and says how many of them ended by a reset once all have ended.
    static let holdsMany = """
        import socket, sys
        peers = []
        for _ in range(1000):
            peer = socket.create_connection((sys.argv[1], 7000), 30)
            peer.settimeout(60)
            peer.sendall(b"x")
            assert peer.recv(1) == b"x"
            peers.append(peer)
        print("open", len(peers), flush=True)
        resets = 0
        for peer in peers:
            try:
                peer.recv(1)
            except ConnectionResetError:
                resets += 1
        print("reset", resets, "of", len(peers), flush=True)
        """

    /// Says `open`, is then idle, and says how its connection ended.
    static let idles = """
        import socket, sys
        peer = socket.create_connection((sys.argv[1], 7000), 30)
        peer.settimeout(None)
        peer.sendall(b"x")
        peer.recv(1)
        print("open", flush=True)
        try:
            print("end" if peer.recv(1) == b"" else "data", flush=True)
        except ConnectionResetError:
            print("reset", flush=True)
        """

    /// Exchanges a byte every 20 ms and counts; a cut ends it with a word.
    static let talks = """
        import socket, sys, time
        peer = socket.create_connection((sys.argv[1], 7000), 30)
        count = 0
        try:
            while True:
                peer.sendall(b"y")
                if peer.recv(1) != b"y":
                    break
                count += 1
                print("talked", count, flush=True)
                time.sleep(0.02)
        except OSError:
            pass
        print("cut after", count, flush=True)
        """

    /// Sends datagrams until they are refused, after they were answered.
    static let asksByDatagram = """
        import socket, sys, time
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.connect((sys.argv[1], 7001))
        peer.settimeout(0.2)
        answered = False
        while True:
            try:
                peer.send(b"z")
                if peer.recv(10) == b"z" and not answered:
                    answered = True
                    print("answered", flush=True)
            except TimeoutError:
                pass
            except ConnectionRefusedError:
                if answered:
                    print("refused", flush=True)
                    break
            time.sleep(0.02)
        """
}

extension Running {
    /// How far a program that `talks` has come.
    var talked: Int { output.split(separator: "\n").filter { $0.hasPrefix("talked") }.count }

    /// Waits until it has gone on for a while, and isn't cut.
    func goesOn(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let before = talked
        try await eventually("\(name) to go on: \(output.suffix(200))", sourceLocation: sourceLocation) {
            talked > before + 5
        }
        #expect(!output.contains("cut after"), sourceLocation: sourceLocation)
    }
}
