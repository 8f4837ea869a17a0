// Scripts of Redis programs, as they are, at their sidecar's state.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct ScriptTests {
    private static let eventual = ["--consistency", "eventual"]

    @Test("redis-cli runs scripts, and what they write is there after a restart", arguments: Setting.all)
    func scripts(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-cli")
            func run(_ commands: String, _ name: String) async throws -> [Substring] {
                let file = try mesh.write(commands, to: name)
                let outcome = try await mesh.run(
                    "app", options: ScriptTests.eventual,
                    command: ["sh", "-c", "redis-cli -h state.mesh < \(file)"])
                #expect(outcome.isSuccess, "\(outcome)")
                return outcome.output.split(separator: "\n")
            }
            let first = try await run(
                """
                eval "redis.call('set', KEYS[1], ARGV[1]) return redis.call('incr', KEYS[1])" 1 answer 41
                eval "return {KEYS[1], ARGV[2]}" 1 k a b
                script load "return redis.call('hset', KEYS[1], 'f', ARGV[1])"
                evalsha f8e7a59b9bd76e1b9b2d4f3b6b8c1d2e3f4a5b6c 0
                eval "return redis.call('nosuch')" 0
                """, "first")
            #expect(first.prefix(3) == ["42", "k", "b"], "\(first)")
            #expect(first.dropFirst(3).first?.count == 40, "\(first)")
            #expect(first.contains { $0.hasPrefix("NOSCRIPT") }, "\(first)")
            #expect(first.last?.contains("Unknown Redis command") == true, "\(first)")
            let second = try await run(
                "get answer\neval \"return redis.call('get', KEYS[1])\" 1 answer\n", "second")
            #expect(second == ["42", "42"])
        }
    }

    @Test(
        "redis-py's Lock and registered scripts work; a looping script gets an error", arguments: Setting.all)
    func library(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessPython("redis")
            let program = try mesh.python(
                "library",
                """
                import redis
                store = redis.Redis("state.mesh", 6379, decode_responses=True)
                lock = store.lock("lock", timeout=60)
                assert lock.acquire(blocking=False)
                assert not store.lock("lock").acquire(blocking=False)
                assert lock.extend(10) and lock.reacquire() and lock.owned()
                lock.release()
                assert not lock.locked()
                add = store.register_script("return redis.call('incrby', KEYS[1], ARGV[1])")
                assert [add(["sum"], [n]) for n in (1, 2, 3)] == [1, 3, 6]
                pipe = store.pipeline()
                add(["sum"], [4], client=pipe)
                assert pipe.execute() == [10]
                try:
                    store.eval("while true do end", 0)
                    raise SystemExit("the loop has ended")
                except redis.ResponseError as error:
                    assert "ended" in str(error), error
                assert store.ping() and add(["sum"], [5]) == 15
                print("done")
                """)
            let outcome = try await mesh.run("app", options: ScriptTests.eventual, command: program)
            #expect(outcome.line == "done", "\(outcome)")
        }
    }

    /// The pattern's search takes ages in one instruction of Lua's.
    @Test(
        "kill -9 of the scripts' process is the script's error, and the next one runs",
        arguments: Setting.pairs)
    func kill(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-cli")
            let endless = "return string.find(string.rep('a', 100000), string.rep('a-', 60) .. 'b')"
            let script = try mesh.write(
                """
                redis-cli -h state.mesh eval "\(endless)" 0
                redis-cli -h state.mesh eval "return 7" 0
                """, to: "scripts.sh")
            let running = try mesh.launch("app", options: ScriptTests.eventual, command: ["sh", script])
            let process = try await awaited("a process of scripts, of \(running.error)") {
                Processes.children(of: Int(running.process.pid)).first {
                    ProcessFile.read("/proc/\($0)/cmdline").hasSuffix("mesh-sidecar\0scripts\0")
                }
            }
            #expect(Glibc.kill(pid_t(process), SIGKILL) == 0)
            let outcome = try await running.outcome()
            let lines = outcome.output.split(separator: "\n")
            #expect(lines.first?.hasPrefix("ERR the script was ended: ") == true, "\(outcome)")
            #expect(lines.last == "7", "\(outcome)")
        }
    }
}
