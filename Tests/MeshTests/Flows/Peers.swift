// Small programs of the tests' own, for what no ordinary tool does on purpose.

enum Peer {
    /// Reads all that comes, says how much on standard output, answers with a text, and ends.
    static let readsThenAnswers = """
        import socket
        server = socket.create_server(("0.0.0.0", 7000))
        print("listening")
        while True:
            peer, _ = server.accept()
            count = 0
            while part := peer.recv(65536):
                count += len(part)
            print("read", count)
            peer.sendall(b"got %d" % count)
            peer.close()
        """

    /// Sends, ends its own direction, and reads what comes until the other's end.
    static let sendsThenReads = """
        import socket, sys
        peer = socket.create_connection((sys.argv[1], 7000), 30)
        peer.sendall(b"x" * int(sys.argv[2]))
        peer.shutdown(socket.SHUT_WR)
        answer = b""
        while part := peer.recv(65536):
            answer += part
        print(answer.decode())
        """

    /// Speaks first, ends its own direction at once, and then reads all that comes.
    static let speaksThenReads = """
        import socket
        server = socket.create_server(("0.0.0.0", 7000))
        while True:
            peer, _ = server.accept()
            peer.sendall(b"SSH-2.0-banner\\r\\n")
            peer.shutdown(socket.SHUT_WR)
            count = 0
            while part := peer.recv(65536):
                count += len(part)
            print("read", count)
            peer.close()
        """

    /// Reads until the other's end, and only then sends.
    static let listensThenSends = """
        import socket, sys
        peer = socket.create_connection((sys.argv[1], 7000), 30)
        banner = b""
        while part := peer.recv(65536):
            banner += part
        print(banner.decode().strip())
        peer.sendall(b"y" * int(sys.argv[2]))
        peer.close()
        """

    /// Resets each connection once it has read a byte.
    static let resets = """
        import socket, struct
        server = socket.create_server(("0.0.0.0", 7000))
        while True:
            peer, _ = server.accept()
            peer.recv(1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
        """

    /// Says how a connection ended: its bytes, and `end` or `reset`.
    static let tellsTheEnd = """
        import socket
        server = socket.create_server(("0.0.0.0", 7000))
        while True:
            peer, _ = server.accept()
            count = 0
            try:
                while part := peer.recv(65536):
                    count += len(part)
                    peer.sendall(b"+")
                print("end", count)
            except ConnectionResetError:
                print("reset", count)
            peer.close()
        """

    /// Connects, sends a byte, and waits for an end of either kind; or makes a reset itself.
    static let meetsTheEnd = """
        import socket, struct, sys
        peer = socket.create_connection((sys.argv[1], 7000), 30)
        peer.sendall(b"x")
        if sys.argv[2] == "reset":
            peer.recv(1)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.close()
            # The reset is to be seen while this program lives.
            sys.stdin.read()
        try:
            peer.recv(1)
            print("end")
        except ConnectionResetError:
            print("reset")
        """

    /// Sends without end to whoever says `flood`, and echoes everything else; says what it sent.
    static let floodsOrEchoes = """
        import socket, threading
        def serve(peer):
            word = peer.recv(5)
            if word != b"flood":
                while word:
                    peer.sendall(word)
                    word = peer.recv(65536)
                return peer.close()
            count = 0
            peer.settimeout(3)
            try:
                while True:
                    count += peer.send(b"z" * 65536)
            except TimeoutError:
                print("stalled at", count)
            peer.settimeout(None)
            peer.sendall(b"the end")
            peer.close()
        server = socket.create_server(("0.0.0.0", 7000))
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],)).start()
        """

    /// Asks for a flood, and reads nothing of it until its standard input ends.
    static let readsLate = """
        import socket, sys
        peer = socket.create_connection((sys.argv[1], 7000), 30)
        peer.sendall(b"flood")
        print("asked")
        sys.stdin.read()
        count, last = 0, b""
        while part := peer.recv(1 << 20):
            count += len(part)
            last = (last + part)[-7:]
        print("read", count, last.decode())
        """

    /// Keeps so many connections open at once, each of which echoes; then ends them all.
    static let echoesMany = """
        import socket, sys
        peers = [socket.create_connection((sys.argv[1], 7000), 30) for _ in range(int(sys.argv[2]))]
        for number, peer in enumerate(peers):
            peer.sendall(b"number %d" % number)
        for number, peer in enumerate(peers):
            wanted, got = b"number %d" % number, b""
            while len(got) < len(wanted):
                got += peer.recv(100)
            assert got == wanted, got
        print("all open")
        sys.stdin.read()
        """

    /// Tells each caller where it seems to come from, and what name that address has.
    static let namesItsCaller = """
        import socket
        server = socket.create_server(("0.0.0.0", 7000))
        while True:
            peer, (address, port) = server.accept()
            try:
                name = socket.gethostbyaddr(address)[0]
            except OSError as error:
                name = str(error)
            peer.sendall(f"{address} {name} {port}".encode())
            peer.close()
        """

    /// Sends so many bytes, and is gone in the same moment.
    static let sendsAndEnds = """
        import os, socket, sys
        peer = socket.create_connection((sys.argv[1], 7000), 30)
        peer.sendall(b"x" * int(sys.argv[2]))
        os._exit(0)
        """
}
