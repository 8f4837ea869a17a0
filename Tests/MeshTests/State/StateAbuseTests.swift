// What a program may do wrong at its sidecar's state: it gets an error, and what was answered stays.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct StateAbuseTests {
    /// A client without a library, so that it can send what none would.
    private static let client = """
        import socket, threading
        def connect():
            return socket.create_connection(("state.mesh", 6379), 30)
        def bulk(*words):
            words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
            return b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(w), w) for w in words)
        def ask(*words):
            with connect() as store:
                store.sendall(bulk(*words))
                return store.makefile("rb").readline()
        def alive():
            assert ask("GET", "kept") == b"$4\\r\\n", "the state has lost what it answered"

        """

    private func run(
        _ setting: Setting, configuration: String = "", _ source: String
    ) async throws -> Outcome {
        var found: Outcome?
        try await Mesh.with(setting) { mesh in
            let config = try mesh.write(
                "mesh: 1\nworkload: app\nconsistency: eventual\n\(configuration)", to: "app.yaml")
            let program = try mesh.python(
                "abuse",
                StateAbuseTests.client + "assert ask('SET', 'kept', 'here') == b'+OK\\r\\n'\n" + source
                    + "\nalive()\nprint('done')\n")
            found = try await mesh.run(options: ["--config", config], command: program)
        }
        return try #require(found)
    }

    @Test("whatever byte of a request is wrong, only its own connection ends", arguments: Setting.pairs)
    func malformed(_ setting: Setting) async throws {
        let outcome = try await run(
            setting,
            """
            request = bulk("SET", "other", "value")
            for place in range(len(request)):
                for byte in (0, 10, 13, 36, 42, 45, 57, 255):
                    store = connect()
                    store.sendall(request[:place] + bytes([byte]) + request[place + 1:] + bulk("PING"))
                    # An argument that never ends is waited for; everything else is answered.
                    store.shutdown(socket.SHUT_WR)
                    answer = store.makefile("rb").read()
                    assert answer == b"" or answer[:1] in b"+-$:*", answer
                    store.close()
                    if place % 8 == 0: alive()
            """)
        #expect(outcome.line == "done", "\(outcome)")
    }

    @Test("lengths that can't be are refused by name, and take no memory", arguments: Setting.pairs)
    func lengths(_ setting: Setting) async throws {
        let outcome = try await run(
            setting,
            """
            def refused(raw, why):
                with connect() as store:
                    store.sendall(raw)
                    answer = store.makefile("rb").read()
                    assert answer == b"-ERR Protocol error: " + why + b"\\r\\n", answer
            refused(b"*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nk\\r\\n$536870912\\r\\n", b"invalid bulk length")
            refused(b"*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nk\\r\\n$-5\\r\\n", b"invalid bulk length")
            refused(b"*3\\r\\n$9999999999999999999999\\r\\n", b"invalid bulk length")
            refused(b"*2000000\\r\\n", b"invalid multibulk length")
            refused(b"*2\\r\\n!3\\r\\n", b"expected '$', got '!'")
            refused(b"x" * 70000, b"too big inline request")
            # Announced, and never sent.
            waiting = [connect() for _ in range(200)]
            for store in waiting: store.sendall(b"*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nk\\r\\n$67108864\\r\\nabc")
            alive()
            assert ask("SETRANGE", "kept2", 67108864, "x").startswith(b"-ERR string exceeds maximum")
            # As long as may be.
            with connect() as store:
                store.sendall(bulk("SET", "long", b"y" * (40 << 20)))
                assert store.makefile("rb").readline() == b"+OK\\r\\n"
            assert ask("STRLEN", "long") == b":%d\\r\\n" % (40 << 20)
            """)
        #expect(outcome.line == "done", "\(outcome)")
    }

    @Test(
        "a hundred thousand requests on one connection are answered in order, and others meanwhile",
        arguments: Setting.pairs)
    func pipelining(_ setting: Setting) async throws {
        let outcome = try await run(
            setting,
            """
            count = 100000
            flood = connect()
            sender = threading.Thread(target=lambda: flood.sendall(bulk("INCR", "sum") * count))
            sender.start()
            # The flood's answers aren't taken: it waits, and nobody else.
            for _ in range(50): alive()
            answers = flood.makefile("rb")
            for number in range(1, count + 1):
                line = answers.readline()
                assert line == b":%d\\r\\n" % number, (number, line)
            sender.join()
            """)
        #expect(outcome.line == "done", "\(outcome)")
    }

    @Test("over its memory the state refuses what takes more, and nothing is lost", arguments: Setting.pairs)
    func memory(_ setting: Setting) async throws {
        let outcome = try await run(
            setting, configuration: "memory: 4MiB\nfsync: always\n",
            """
            store = connect()
            answers = store.makefile("rb")
            taken = 0
            while True:
                store.sendall(bulk("SET", "k%d" % taken, "v" * 10000))
                line = answers.readline()
                if line != b"+OK\\r\\n": break
                taken += 1
            assert line.startswith(b"-OOM command not allowed"), line
            assert 100 < taken < 1000, taken
            for number in range(taken):
                store.sendall(bulk("STRLEN", "k%d" % number))
                assert answers.readline() == b":10000\\r\\n", number
            assert ask("DEL", *["k%d" % n for n in range(taken)]) == b":%d\\r\\n" % taken
            assert ask("SET", "k", "v") == b"+OK\\r\\n"
            """)
        #expect(outcome.line == "done", "\(outcome)")
    }

    @Test("writes faster than the disk wait for it, and the state lives on", arguments: Setting.pairs)
    func flood(_ setting: Setting) async throws {
        let outcome = try await run(
            setting, configuration: "fsync: always\n",
            """
            store = connect()
            value = b"z" * (1 << 20)
            sender = threading.Thread(
                target=lambda: [store.sendall(bulk("SET", "k%d" % (n % 5), value)) for n in range(60)])
            sender.start()
            answers = store.makefile("rb")
            assert all(answers.readline() == b"+OK\\r\\n" for _ in range(60))
            sender.join()
            # A short string's growth to a long one, byte by byte.
            assert ask("SETRANGE", "grown", (8 << 20) - 1, "x").startswith(b":")
            with connect() as store:
                store.sendall(bulk("APPEND", "grown", "y") * 1000)
                answers = store.makefile("rb")
                assert [answers.readline() for _ in range(1000)][-1] == b":%d\\r\\n" % ((8 << 20) + 1000)
            """)
        #expect(outcome.line == "done", "\(outcome)")
    }
}
