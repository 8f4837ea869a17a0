// Databases and caches, as they are.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct DatabaseTests {
    @Test("redis-cli and redis-benchmark work against redis-server", arguments: Setting.otherPairs)
    func redis(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("redis-server", "redis-cli")
            let server = try mesh.launch(
                "cache", serves: ["6379"], accepts: ["client"],
                command: [
                    "redis-server", "--port", "6379", "--save", "", "--protected-mode", "no", "--dir",
                    mesh.work,
                ])
            try await server.listens(on: 6379)
            let commands = try mesh.write("set answer 42\nincr answer\nget answer\n", to: "commands")
            let client = try await mesh.run(
                "client", calls: ["cache"], command: ["sh", "-c", "redis-cli -h cache.mesh < \(commands)"])
            #expect(client.line == "OK\n43\n43", "\(client)")
            let load = try await mesh.run(
                "client", calls: ["cache"],
                command: [
                    "redis-benchmark", "-h", "cache.mesh", "-q", "-n", "2000", "-c", "20", "-t", "set,get",
                ])
            #expect(load.isSuccess && load.output.contains("GET:"), "\(load)")
        }
    }

    @Test(
        "a database is dumped and restored over the mesh, and subscribers are told", arguments: Setting.pairs)
    func postgres(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try await Postgres.start(mesh)
            try await server.listens(on: 5432)
            let address = "-h db.mesh -U app -v ON_ERROR_STOP=1 -qAt"
            let script = """
                set -e
                until pg_isready -q -h db.mesh; do sleep 0.05; done
                psql \(address) -d postgres -c 'create database one' -c 'create database two'
                psql \(address) -d one -c "create table t as select n, md5(n::text) as hash
                    from generate_series(1, 20000) n" -c 'create index on t (hash)'
                pg_dump -h db.mesh -U app one | psql \(address) -d two >/dev/null
                psql \(address) -d two -c 'select count(*), md5(string_agg(hash, $$,$$ order by n)) from t' >two
                psql \(address) -d one -c 'select count(*), md5(string_agg(hash, $$,$$ order by n)) from t' >one
                cmp one two
                cat two
                psql \(address) -d one -c 'select client_addr from pg_stat_activity where pid = pg_backend_pid()'
                """
            let client = try await mesh.run(
                "client", calls: ["db"], environment: ["PATH": Postgres.path(mesh)],
                command: ["sh", "-c", script])
            #expect(client.isSuccess, "\(client)")
            #expect(client.output.hasPrefix("20000|"), "\(client)")
            // Postgres lets addresses of the mesh in, and only those: it saw one.
            let source = setting.datapath == .veth ? "\n198.18." : "\n198.19."
            #expect(client.output.contains(source), "\(client)")

            let stranger = try await mesh.run(
                "stranger", calls: ["db"], environment: ["PATH": Postgres.path(mesh)],
                command: ["psql", "-h", "db.mesh", "-U", "app", "-d", "postgres", "-c", "select 1"])
            #expect(stranger.ending == .exited(2), "\(stranger)")
            #expect(stranger.error.contains("Connection refused"), "\(stranger)")
        }
    }

    @Test("memcached keeps what is set, over the text protocol", arguments: Setting.otherPairs)
    func memcached(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("memcached", "nc")
            let user = setting.starter == .root ? ["-u", "nobody"] : []
            let server = try mesh.launch(
                "cache", serves: ["11211"], accepts: ["client"],
                command: ["memcached", "-U", "0", "-p", "11211"] + user)
            try await server.listens(on: 11211)
            let commands = #"printf 'set k 0 0 5\r\nhello\r\nget k\r\nquit\r\n' | nc cache.mesh 11211"#
            let client = try await mesh.run("client", calls: ["cache"], command: ["sh", "-c", commands])
            #expect(client.output == "STORED\r\nVALUE k 0 5\r\nhello\r\nEND\r\n", "\(client)")
        }
    }

    @Test(
        "three etcd members that dial each other form a cluster and outlive one of them",
        arguments: Setting.pairs)
    func etcd(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("etcd", "etcdctl")
            let names = ["e1", "e2", "e3"]
            var members: [Running] = []
            for name in names { members.append(try Etcd.start(mesh, name, among: names)) }
            for member in members { try await member.listens(on: 2379) }
            let put = try await mesh.run(
                "ctl", calls: names, command: Etcd.control(names, "put", "key", "value"))
            #expect(put.line == "OK", "\(put)")
            let health = try await mesh.run(
                "ctl", calls: names, command: Etcd.control(names, "endpoint", "health"))
            #expect(health.isSuccess, "\(health)")

            members[0].process.signal(SIGKILL)
            _ = try await members[0].outcome()
            let rest = ["e2", "e3"]
            let got = try await mesh.run("ctl", calls: rest, command: Etcd.control(rest, "get", "key"))
            #expect(got.line == "key\nvalue", "\(got)")
        }
    }
}

enum Postgres {
    static let folder = "/usr/lib/postgresql/15/bin"

    static func path(_ mesh: Mesh) -> String { "\(folder):\(mesh.bin):\(Installed.searchPath)" }

    /// Never root: as its own makers demand.
    private static func become(_ mesh: Mesh) -> [String] {
        mesh.person.uid == 0 ? ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] : []
    }

    /// A new cluster's folder, which lets the mesh's addresses in without a password.
    static func makeCluster(_ mesh: Mesh) async throws -> String {
        try Skip.unlessInstalled("\(folder)/initdb", "\(folder)/psql")
        let data = mesh.makeFolder("data", mode: 0o700)
        if mesh.person.uid == 0 {
            guard let user = Person(named: "postgres") else { try Skip.now("there is no user postgres") }
            chown(data, user.uid, user.gid)
        }
        let made = try await mesh.start(
            become(mesh) + [
                "\(folder)/initdb", "-N", "-A", "trust", "-U", "app", "--no-locale", "-E", "UTF8", "-D", data,
            ], as: "initdb"
        ).outcome()
        guard made.isSuccess else { throw HarnessError("initdb: \(made)") }
        let access = try FileHandle(forWritingTo: URL(filePath: data + "/pg_hba.conf"))
        try access.truncate(atOffset: 0)
        try access.write(contentsOf: Data("host all all 198.18.0.0/15 trust\n".utf8))
        try access.close()
        return data
    }

    static func server(_ data: String) -> [String] {
        ["\(folder)/postgres", "-D", data, "-k", "", "-c", "listen_addresses=*", "-c", "fsync=off"]
    }

    /// A server on a new cluster, behind its sidecar as `db`.
    static func start(_ mesh: Mesh) async throws -> Running {
        let data = try await makeCluster(mesh)
        return try mesh.launch(
            "db", serves: ["5432"], accepts: ["client"], command: become(mesh) + server(data))
    }
}

enum Etcd {
    static func start(_ mesh: Mesh, _ name: String, among names: [String]) throws -> Running {
        let others = names.filter { $0 != name }
        return try mesh.launch(
            name, serves: ["2379", "2380"], accepts: names.map { "\($0):2380" } + ["ctl:2379"], calls: others,
            command: [
                "etcd", "--name", name, "--data-dir", "\(mesh.work)/\(name)",
                "--listen-client-urls", "http://0.0.0.0:2379",
                "--advertise-client-urls", "http://\(name).mesh:2379",
                "--listen-peer-urls", "http://0.0.0.0:2380",
                "--initial-advertise-peer-urls", "http://\(name).mesh:2380",
                "--initial-cluster", names.map { "\($0)=http://\($0).mesh:2380" }.joined(separator: ","),
                "--unsafe-no-fsync",
            ])
    }

    static func control(_ names: [String], _ words: String...) -> [String] {
        let endpoints = names.map { "http://\($0).mesh:2379" }.joined(separator: ",")
        return [
            "env", "ETCDCTL_API=3", "etcdctl", "--endpoints", endpoints, "--dial-timeout=10s",
            "--command-timeout=30s",
        ] + words
    }
}
