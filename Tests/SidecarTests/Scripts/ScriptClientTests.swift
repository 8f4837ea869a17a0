import Glibc
import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

/// What a process of scripts may do wrong, by threads that play it.
@Suite("The client of the scripts' process")
struct ScriptClientTests {
    /// Each start takes the next of the plays.
    private final class Stage: ScriptStarter {
        private var plays: [@Sendable (Int32) -> Void]
        private(set) var startCount = 0
        private(set) var endCount = 0

        init(_ plays: [@Sendable (Int32) -> Void]) { self.plays = plays }

        func startScripts(channel: CInt) throws(SystemError) {
            startCount += 1
            guard !plays.isEmpty else { throw SystemError("no process", code: ENOENT) }
            let own = dup(channel)
            let play = plays.removeFirst()
            try startThread(named: "play") {
                play(own)
                close(own)
            }
        }

        func endScripts() { endCount += 1 }
    }

    /// Reads one request whole, as far as this machine sends it at once.
    private static func listen(_ channel: Int32) {
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        _ = read(channel, &bytes, bytes.count)
    }

    private static func message(_ kind: String, _ body: String) -> [UInt8] {
        [UInt8(body.utf8.count + 1), 0, 0, 0] + Array((kind + body).utf8)
    }

    private static func say(_ bytes: [UInt8]) -> @Sendable (Int32) -> Void {
        { channel in
            listen(channel)
            _ = send(channel, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }
    }

    private func run(
        _ client: ScriptClient, calls: (ContiguousArray<ByteString>) -> [UInt8] = { _ in [] }
    ) -> String {
        let reply = client.run(
            ByteString("script"), keys: [], arguments: [], version: 2, call: calls)
        return String(decoding: reply, as: UTF8.self)
    }

    @Test("a script's calls are served, and its reply is the client's")
    func conversation() {
        let call = Self.message("Q", "\u{0}*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")
        let stage = Stage([
            { channel in
                Self.say(call)(channel)
                Self.say(Self.message("D", ":7\r\n"))(channel)
            }
        ])
        var called: [[ByteString]] = []
        let client = ScriptClient(starter: stage) { _, _ in }
        let reply = run(client) { words in
            called.append(Array(words))
            return Array("$1\r\nv\r\n".utf8)
        }
        #expect(reply == ":7\r\n")
        #expect(called == [[ByteString("GET"), ByteString("k")]])
    }

    @Test("an error is one line, whatever the process says")
    func errors() {
        let client = ScriptClient(
            starter: Stage([Self.say(Self.message("X", "ERR a\r\n+OK\u{1B}"))])
        ) { _, _ in }
        #expect(run(client) == "-ERR a  +OK \r\n")
    }

    @Test("a process that ends is an error, and the next script starts another")
    func end() {
        let stage = Stage([Self.listen, Self.say(Self.message("D", "+OK\r\n"))])
        let client = ScriptClient(starter: stage) { _, _ in }
        #expect(run(client).hasPrefix("-ERR the script was ended: "))
        #expect(run(client) == "+OK\r\n")
        #expect(stage.startCount == 2)
    }

    @Test("a process that can't run scripts says why")
    func refusal() {
        let why = "no scripts without Lua"
        let client = ScriptClient(
            starter: Stage([Self.say(Self.message("F", why)), Self.say(Self.message("F", why))])
        ) { _, _ in }
        #expect(run(client) == "-ERR \(why)\r\n")
        #expect(client.problem(of: ByteString("x")) == why)
    }

    @Test(
        "what isn't a message ends the process",
        arguments: [
            [0, 0, 0, 0, 0], [255, 255, 255, 255, 68], [1, 0, 0, 4, 68], [1, 0, 0, 0, 90], [1, 0, 0, 0, 255],
            [1, 0, 0, 0, 81], [5, 0, 0, 0, 81, 0, 42, 57, 57], [1, 0],
        ] as [[UInt8]])
    func nonsense(bytes: [UInt8]) {
        let stage = Stage([Self.say(bytes)])
        let client = ScriptClient(starter: stage) { _, _ in }
        #expect(run(client).hasPrefix("-ERR the script was ended: "))
        #expect(stage.endCount == 1)
    }

    @Test("a script that isn't done in time is ended")
    func patience() {
        let stage = Stage([
            { channel in
                // Until the client closes.
                Self.listen(channel)
                Self.listen(channel)
            }
        ])
        let client = ScriptClient(starter: stage, patience: .milliseconds(10)) { _, _ in }
        #expect(run(client) == "-ERR the script was ended: it isn't done after 0.01 s\r\n")
        #expect(stage.endCount == 1)
    }

    @Test("without a process there is an error")
    func noProcess() {
        let client = ScriptClient(starter: Stage([])) { _, _ in }
        #expect(run(client) == "-ERR the script was ended: no process: No such file or directory\r\n")
    }
}
