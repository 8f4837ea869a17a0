import Foundation
import Glibc
import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

/// The real process, closed in as under a launcher, with Debian's Lua.
@Suite("The process of scripts")
struct ScriptProcessTests {
    private final class Spawner: ScriptStarter {
        private(set) var process: pid_t = 0

        func startScripts(channel: CInt) throws(SystemError) {
            endScripts()
            let path = Spawner.executable
            let source = fcntl(channel, F_DUPFD_CLOEXEC, 10)
            defer { close(source) }
            var actions = posix_spawn_file_actions_t()
            posix_spawn_file_actions_init(&actions)
            defer { posix_spawn_file_actions_destroy(&actions) }
            posix_spawn_file_actions_adddup2(&actions, source, ScriptLaunch.channelDescriptor)
            let arguments: [UnsafeMutablePointer<CChar>?] = [strdup(path), strdup(ScriptLaunch.verb), nil]
            var variables = ["SWIFT_BACKTRACE=enable=no"]
            if let libraries = getenv("LD_LIBRARY_PATH") {
                variables.append("LD_LIBRARY_PATH=" + String(cString: libraries))
            }
            let environment: [UnsafeMutablePointer<CChar>?] = variables.map { strdup($0) } + [nil]
            defer { for text in arguments + environment { free(text) } }
            let code = posix_spawn(&process, path, &actions, nil, arguments, environment)
            if code != 0 { throw SystemError("posix_spawn(\(path))", code: code) }
        }

        func endScripts() {
            guard process > 0 else { return }
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
            process = 0
        }

        deinit { endScripts() }

        private static var executable: String {
            var folder = Bundle.main.executableURL?.deletingLastPathComponent()
            if let option = CommandLine.arguments.firstIndex(of: "--test-bundle-path") {
                folder = URL(filePath: CommandLine.arguments[option + 1]).deletingLastPathComponent()
            }
            return folder?.appending(path: "mesh-sidecar").path ?? ""
        }
    }

    private let spawner = Spawner()
    private let client: ScriptClient

    init() { client = ScriptClient(starter: spawner, patience: .seconds(60)) { _, _ in } }

    private func run(
        _ script: String, keys: [String] = [], arguments: [String] = [], version: UInt8 = 2,
        reply: String = "+OK\r\n"
    ) -> String {
        let answer = client.run(
            ByteString(script), keys: keys.map { ByteString($0) },
            arguments: arguments.map { ByteString($0) },
            version: version
        ) { _ in Array(reply.utf8) }
        return String(decoding: answer, as: UTF8.self)
    }

    @Test(
        "values of Lua become those of the client",
        arguments: [
            ("return 3.99", ":3\r\n"), ("return true", ":1\r\n"), ("return false", "$-1\r\n"),
            ("return {1,'b',nil,4}", "*2\r\n:1\r\n$1\r\nb\r\n"),
            ("return redis.status_reply('fine')", "+fine\r\n"),
            ("return redis.error_reply('MY error')", "-MY error\r\n"),
            ("return redis.sha1hex('abc'):sub(1,8)", "$8\r\na9993e36\r\n"),
            ("return bit.band(0xff, 0x0f)", ":15\r\n"),
            ("return struct.unpack('>I2', struct.pack('>I2', 7))", ":7\r\n"),
            ("return math.random(1,2^31-1) == math.random(1,2^31-1)", "$-1\r\n"),
            (
                "math.randomseed(1) local a = math.random(1,2^31-1) math.randomseed(1) "
                    + "return a == math.random(1,2^31-1)", ":1\r\n"
            ),
            ("local t = setmetatable({}, {__index = {a = 5}}) return t.a", ":5\r\n"),
            ("return tostring(pcall(setmetatable, 1, {}))", "$5\r\nfalse\r\n"),
        ])
    func values(script: String, reply: String) {
        #expect(run(script) == reply)
    }

    @Test(
        "cmsgpack packs as Redis does, and unpacks all of it or one value after the other",
        arguments: [
            ("return {string.byte(cmsgpack.pack(-33, 1.5, {}), 1, -1)}", "208 223 202 63 192 0 0 144"),
            ("return {string.byte(cmsgpack.pack({1,'a',{k=true}}), 1, -1)}", "147 1 161 97 129 161 107 195"),
            ("return cmsgpack.unpack(cmsgpack.pack({1, -70000, 2^40}))", "1 -70000 1099511627776"),
            ("return {cmsgpack.unpack_one(cmsgpack.pack(7, 8))}", "1 7"),
            ("return {cmsgpack.unpack_one(cmsgpack.pack(7, 8), 1)}", "-1 8"),
            ("local t = {} t[1] = t return {#cmsgpack.pack(t)}", "17"),
        ])
    func messagePack(script: String, numbers: String) {
        let words = numbers.split(separator: " ")
        #expect(run(script) == "*\(words.count)\r\n" + words.map { ":\($0)\r\n" }.joined())
        #expect(run("return cmsgpack.unpack('\\146')").contains("Missing bytes in input."))
        #expect(run("return cmsgpack.unpack('\\193')").contains("Bad data format in input."))
    }

    @Test("keys, arguments and calls arrive; RESP3 stays RESP3")
    func calls() {
        #expect(
            run("return {KEYS[1], ARGV[1]}", keys: ["k"], arguments: ["a"]) == "*2\r\n$1\r\nk\r\n$1\r\na\r\n")
        #expect(run("return redis.call('GET', 'k')", reply: "$1\r\nv\r\n") == "$1\r\nv\r\n")
        #expect(run("return redis.pcall('NO').err", reply: "-ERR no\r\n") == "$6\r\nERR no\r\n")
        #expect(run("return redis.call('NO')", reply: "-ERR no\r\n").hasPrefix("-ERR no script: "))
        #expect(run("return {map={a=1}}", version: 3) == "%1\r\n$1\r\na\r\n:1\r\n")
    }

    @Test("what a script returns nests as deep as Lua's stack, as in Redis, and then says so")
    func nesting() {
        let reply = run("local a = {} local b = {a} a[1] = b return a")
        let depth = reply.components(separatedBy: "*1\r\n").count - 1
        #expect(depth == 7995 && reply.hasSuffix("*1\r\n-ERR reached lua stack limit\r\n"), "\(depth)")
        #expect(run("local a = 1 for i = 1, 5000 do a = {a} end return a").hasSuffix("*1\r\n:1\r\n"))
        #expect(run("return 1") == ":1\r\n")
    }

    @Test("a call has as many arguments as fit on Lua's stack, and its reply is read")
    func manyArguments() {
        let script =
            "local a = {} for i = 1, 7999 do a[i] = 1 end return redis.call('lpush', 'l', unpack(a))"
        #expect(run(script, reply: ":7999\r\n") == ":7999\r\n")
    }

    @Test("chance goes on from one script to the next")
    func chance() {
        let script = "return tostring(math.random())"
        #expect(run(script) != run(script))
    }

    @Test("cjson is Debian's, where it is installed")
    func json() {
        let reply = run("return cjson.encode({1,2})")
        #expect(reply == "$5\r\n[1,2]\r\n" || reply.contains("lua-cjson"))
    }

    @Test(
        "a script that never ends gets an error, and the next one runs",
        arguments: [
            "while true do end", "while true do pcall(function() while true do end end) end",
            "local function f() return f() end f()",
        ])
    func endless(script: String) {
        #expect(run(script).contains("more than 200000000 instructions"))
        #expect(run("return 1") == ":1\r\n")
    }

    @Test("one that asks for more memory than there may be gets an error, and the next one runs")
    func memory() {
        #expect(run("local s = string.rep('x', 2^28) return #(s .. s .. s .. s .. s)").hasPrefix("-ERR "))
        #expect(run("return 1") == ":1\r\n")
    }

    @Test(
        "no script leaves anything to the next, nor reaches what Lua could do outside",
        arguments: [
            "foo = 1", "string.foo = 1", "redis.call = 1", "rawset(string, 'foo', 1)", "rawset(_G, 'foo', 1)",
            "setmetatable(_G, {})", "getmetatable(_G).__index = {}", "getmetatable(redis).__newindex = nil",
            "setmetatable(getmetatable(_G), nil)", "return foo", "return io", "return os",
            "return dofile('/etc/passwd')",
            "return loadfile('/etc/passwd')", "return require('io')", "return debug", "return coroutine",
            "return loadstring(string.dump(function() end))()", "getmetatable('').__index.foo = 1",
        ])
    func closed(script: String) {
        #expect(run(script).hasPrefix("-ERR "), "\(run(script))")
    }

    @Test("a script may log so many lines, and no more", arguments: [0, 1])
    func logging(more: Int) {
        var lines: [String] = []
        let client = ScriptClient(starter: spawner, patience: .seconds(60)) { lines.append("\($0) \($1)") }
        let count = Limits.scriptLogLinesMaximum + more
        let script = "for i = 1, \(count) do redis.log(redis.LOG_WARNING, 'line', i) end"
        _ = client.run(ByteString(script), keys: [], arguments: [], version: 2) { _ in [] }
        #expect(lines.count == Limits.scriptLogLinesMaximum && lines.first == "3 line 1")
    }

    @Test("an error names its script and line; one that can't be compiled says why")
    func errors() {
        #expect(run("local x = nil\nreturn x.y").contains("user_script:2"))
        #expect(client.problem(of: ByteString("return !"))?.contains("Error compiling script") == true)
        #expect(client.problem(of: ByteString("return 1")) == nil)
    }

    @Test("the process has an empty root, no rights, and a filter of its system calls")
    func confinement() throws {
        #expect(run("return 1") == ":1\r\n")
        let status = try String(contentsOfFile: "/proc/\(spawner.process)/status", encoding: .utf8)
        #expect(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"))
        #expect(status.contains("CapEff:\t0000000000000000") && status.contains("CapPrm:\t0000000000000000"))
    }

    @Test("a process that is killed between scripts is replaced without an error")
    func killed() {
        #expect(run("return 1") == ":1\r\n")
        kill(spawner.process, SIGKILL)
        var information = siginfo_t()
        waitid(P_PID, id_t(spawner.process), &information, WEXITED | WNOWAIT)
        #expect(run("return 2") == ":2\r\n")
    }
}
