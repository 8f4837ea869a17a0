// Redis programs, as they are, at their sidecar's state.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct StateTests {
    private static let eventual = ["--consistency", "eventual"]

    @Test("redis-cli finds its state, and finds it again after a restart", arguments: Setting.all)
    func restart(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-cli")
            let first = try mesh.write(
                "set answer 42\nhset h field value\nrpush l a b c\nexpire h 1000\nget nothing\n", to: "first")
            let second = try mesh.write("incr answer\nhgetall h\nlrange l 0 -1\nttl h\n", to: "second")
            func run(_ commands: String) async throws -> String {
                let outcome = try await mesh.run(
                    "app", options: StateTests.eventual,
                    command: ["sh", "-c", "redis-cli -u $MESH_STATE_URL < \(commands)"])
                #expect(outcome.isSuccess, "\(outcome)")
                return outcome.line
            }
            #expect(try await run(first) == "OK\n1\n3\n1")
            let found = try await run(second).split(separator: "\n")
            #expect(found.prefix(6) == ["43", "field", "value", "a", "b", "c"], "\(found)")
            #expect((900...1000).contains(Int(found.last ?? "") ?? 0), "\(found)")
        }
    }

    @Test("redis-benchmark runs all its tests against the state", arguments: Setting.otherPairs)
    func benchmark(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-benchmark")
            let load = try await mesh.run(
                "app", options: StateTests.eventual,
                command: [
                    "redis-benchmark", "-h", "state.mesh", "--csv", "-n", "1000", "-c", "20", "-P", "4",
                ])
            #expect(load.isSuccess, "\(load)")
            let tests = load.output.split(separator: "\n").dropFirst().map { $0.prefix { $0 != "," } }
            for name in ["PING_INLINE", "SET", "GET", "INCR", "LPUSH", "SPOP", "ZADD", "LRANGE_600", "MSET"] {
                #expect(tests.contains { $0.contains(name) }, "\(name) in \(load)")
            }
        }
    }

    @Test("what fsync: always has answered survives kill -9 of the sidecar", arguments: Setting.pairs)
    func kill(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-cli")
            let config = try mesh.write(
                "mesh: 1\nworkload: app\nconsistency: eventual\nfsync: always\n", to: "app.yaml")
            let options = ["--config", config]
            let writer = try mesh.launch(
                options: options,
                command: ["sh", "-c", "seq 1 100000 | sed 's/.*/set k& &/' | redis-cli -h state.mesh"])
            try await eventually("a hundred answers, of \(writer.error)") {
                writer.output.split(separator: "\n").count >= 100
            }
            let sidecar = try await writer.admin("/status")["sidecar_pid"].number
            #expect(Glibc.kill(pid_t(try #require(sidecar)), SIGKILL) == 0)
            try await writer.end()
            let answered = writer.output.split(separator: "\n").prefix { $0 == "OK" }.count
            let names = try mesh.write((1...answered).map { "get k\($0)\n" }.joined(), to: "names")
            let found = try await mesh.run(
                options: options + ["--name", "app"],
                command: ["sh", "-c", "redis-cli -h state.mesh < \(names)"])
            #expect(found.isSuccess, "\(found)")
            #expect(found.line == (1...answered).map(String.init).joined(separator: "\n"))
        }
    }

    @Test(
        "replicas of a workload merge what they write, and pass on what is published",
        arguments: Setting.pairs)
    func replicas(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-cli")
            let script = """
                redis-cli -h state.mesh incrby sum $1
                redis-cli -h state.mesh sadd who $1
                until [ "$(redis-cli -h state.mesh scard who)" = 2 ]; do sleep 0.05; done
                until [ "$(redis-cli -h state.mesh get sum)" = 7 ]; do sleep 0.05; done
                echo merged
                """
            let file = try mesh.write(script, to: "replica.sh")
            let listener = try mesh.launch(
                "app", options: StateTests.eventual + ["--join"],
                command: ["sh", "-c", "sh \(file) 3 && timeout 30 redis-cli -h state.mesh subscribe news"])
            let teller = try mesh.launch(
                "app", options: StateTests.eventual + ["--join"],
                command: [
                    "sh", "-c",
                    "sh \(file) 4 && while redis-cli -h state.mesh publish news hello; do sleep 0.1; done",
                ])
            try await listener.says("merged")
            try await teller.says("merged")
            try await listener.says("hello")
            try await teller.end()
            try await listener.end()
        }
    }

    @Test("redis-py pipelines, sorts and subscribes; redis-cli speaks RESP3", arguments: Setting.otherPairs)
    func library(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessPython("redis")
            let program = try mesh.python(
                "library",
                """
                import redis, subprocess
                store = redis.Redis("state.mesh", 6379, decode_responses=True)
                with store.pipeline() as pipe:
                    pipe.set("a", 1).incr("a").hset("h", mapping={"x": 1, "y": 2}).hgetall("h")
                    assert pipe.execute() == [True, 2, 2, {"x": "1", "y": "2"}]
                store.zadd("z", {"one": 1, "two": 2})
                assert store.zrange("z", 0, -1, withscores=True) == [("one", 1.0), ("two", 2.0)]
                with store.pubsub() as listener:
                    listener.subscribe("news")
                    assert listener.get_message(timeout=5)["type"] == "subscribe"
                    store.publish("news", "hello")
                    assert listener.get_message(timeout=5)["data"] == "hello"
                maps = subprocess.run(["redis-cli", "-3", "-h", "state.mesh", "--json", "hgetall", "h"],
                    capture_output=True, text=True)
                assert maps.stdout == '{"x":"1","y":"2"}\\n', maps
                print("done")
                """)
            let outcome = try await mesh.run("app", options: StateTests.eventual, command: program)
            #expect(outcome.line == "done", "\(outcome)")
        }
    }
}
