import Testing

@testable import SidecarProtocol

/// What surrounds scripts; the engine here runs each line of a script as a command.
@Suite("Scripts at the state")
struct StateScriptTests {
    private final class Lines: ScriptEngine {
        func problem(of script: ByteString) -> String? { nil }

        func run(
            _ script: ByteString, keys: [ByteString], arguments: [ByteString], version: UInt8,
            call: (ContiguousArray<ByteString>) -> [UInt8]
        ) -> [UInt8] {
            var last: [UInt8] = []
            for line in script.bytes.split(separator: 10) where line.first != UInt8(ascii: "#") {
                last = call(ContiguousArray(line.split(separator: 32).map { ByteString(Array($0)) }))
                if last.first == UInt8(ascii: "-") { break }
            }
            return last
        }
    }

    private func state() -> (TestState, ClientID) {
        let state = TestState()
        var hooks = StateHooks()
        hooks.scriptEngine = Lines()
        state.setHooks(hooks)
        return (state, state.open())
    }

    private func eval(
        _ script: String, _ state: TestState, _ client: ClientID, _ verb: ByteString = "eval"
    ) -> String {
        state.call([verb, ByteString(script), "0"], client)
    }

    @Test("SELECT in a script is the script's alone, also after others were served")
    func select() {
        let (state, client) = state()
        let other = state.open()
        state.call("set k own", client)
        #expect(eval("select 9\nset k 9", state, client) == "+OK")
        state.call("ping", other)
        #expect(state.call("get k", client) == "$3 own")
    }

    @Test(
        "the line that names the engine is read as Redis reads it",
        arguments: [
            ("#!lua\nping", "+PONG"), ("#!lua flags=\nping", "+PONG"),
            ("#!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nping", "+PONG"),
            ("#!lua", "-ERR Invalid script shebang"),
            ("#!not-lua\nping", "-ERR Unexpected engine in script shebang: #!not-lua"),
            ("#!\nping", "-ERR Unexpected engine in script shebang: #!"),
            ("#!lua badger=data\nping", "-ERR Unknown lua shebang option: badger=data"),
            ("#!lua flags=allow-oom,what?\nping", "-ERR Unexpected flag in script shebang: what?"),
            ("#!lua flags=no-writes\nset k v", "-ERR Write commands are not allowed from read-only scripts."),
            (
                "#!lua flags=no-writes\npublish c m",
                "-ERR Write commands are not allowed from read-only scripts."
            ),
        ])
    func header(script: String, reply: String) {
        let (state, client) = state()
        #expect(eval(script, state, client) == reply)
    }

    @Test("EVAL_RO takes a script that says it writes nothing, or says nothing")
    func readOnly() {
        let (state, client) = state()
        #expect(eval("get k", state, client, "eval_ro") == "$-1")
        #expect(eval("#!lua flags=no-writes\nget k", state, client, "eval_ro") == "$-1")
        let refusal = "-ERR Can not execute a script with write flag using *_ro command."
        #expect(eval("#!lua\nget k", state, client, "eval_ro") == refusal)
    }

    @Test("without memory a script may read, and goes on with what it has begun")
    func memory() {
        let (state, client) = state()
        state.call("set k v", client)
        state.call("config set maxmemory 1", client)
        let refusal = "-OOM command not allowed when used memory > 'maxmemory'."
        #expect(eval("set k w", state, client) == refusal)
        #expect(eval("get k", state, client) == "$1 v")
        #expect(eval("del nosuch\nset k w", state, client) == refusal)
        #expect(eval("#!lua\nget k", state, client).hasPrefix("-OOM allow-oom flag is not set"))
        #expect(eval("#!lua flags=no-writes\nget k", state, client) == "$1 v")
        #expect(eval("#!lua flags=allow-oom\nset k w", state, client) == "+OK")
        #expect(eval("del k\nset k x\nset l x", state, client) == "+OK")
    }

    @Test("where writes are refused, scripts' and transactions' are too")
    func refusal() {
        let (state, client) = state()
        state.call("set k v", client)
        state.call("multi", client)
        state.call("set k w", client)
        state.setWriteRefusal("MISCONF full")
        #expect(state.call("exec", client) == "-EXECABORT Transaction discarded because of: MISCONF full")
        #expect(eval("set k w", state, client) == "-MISCONF full")
        #expect(eval("#!lua\nget k", state, client) == "-MISCONF full")
        #expect(eval("get k", state, client) == "$1 v")
        state.call("multi", client)
        #expect(state.call("set k w", client) == "-MISCONF full")
        state.call("discard", client)
        state.call("multi", client)
        state.call("get k", client)
        #expect(state.call("exec", client) == "*1 $1 v")
        state.setWriteRefusal(nil)
        #expect(state.call("set k w", client) == "+OK")
    }
}
