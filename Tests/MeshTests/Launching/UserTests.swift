// Whom a program runs as.

import Foundation
import Glibc
import Testing

@Suite(.serialized, .timeLimit(.minutes(10)))
struct UserTests {
    @Test("root is root inside, over the whole range of ids", arguments: Datapath.allCases)
    func root(_ datapath: Datapath) async throws {
        try await Mesh.with(Setting(datapath, .root)) { mesh in
            let outcome = try await mesh.run(command: [
                "sh", "-c", "id -u; cat /proc/self/uid_map; setpriv --reuid=1234 --clear-groups id -u",
            ])
            let lines = outcome.output.split(separator: "\n").map(String.init)
            #expect(lines.first == "0" && lines.last == "1234", "\(outcome)")
        }
    }

    @Test("an ordinary user keeps its ids", arguments: Datapath.allCases)
    func keep(_ datapath: Datapath) async throws {
        try await Mesh.with(Setting(datapath, .ordinary)) { mesh in
            let outcome = try await mesh.run(command: [
                "sh", "-c", "id -u; id -g; touch made; stat -c %u made",
            ])
            #expect(
                outcome.output == "\(mesh.person.uid)\n\(mesh.person.gid)\n\(mesh.person.uid)\n", "\(outcome)"
            )
            var status = stat()
            #expect(stat(mesh.work + "/made", &status) == 0 && status.st_uid == mesh.person.uid)
        }
    }

    @Test("an ordinary user may be root inside, with newuidmap's range", arguments: Datapath.allCases)
    func rootInside(_ datapath: Datapath) async throws {
        try await Mesh.with(Setting(datapath, .ordinary)) { mesh in
            try Skip.unlessInstalled("newuidmap")
            let ranges = (try? String(contentsOfFile: "/etc/subuid", encoding: .utf8)) ?? ""
            guard ranges.split(separator: "\n").contains(where: { $0.hasPrefix(mesh.person.name + ":") })
            else {
                try Skip.now("\(mesh.person.name) has no range in /etc/subuid")
            }
            let script =
                "id -u; setpriv --reuid=33 --clear-groups id -u; cat /etc/shadow 2>&1 | head -c 1; echo"
            let outcome = try await mesh.run(options: ["--user", "root"], command: ["sh", "-c", script])
            // Root inside is nobody in particular outside: root's files stay closed.
            #expect(outcome.output == "0\n33\nc\n", "\(outcome)")
        }
    }

    @Test(
        "PostgreSQL runs as postgres when root starts it so, and psql finds it",
        arguments: [Setting(.veth, .root)])
    func postgres(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            guard let user = Person(named: "postgres") else { try Skip.now("there is no user postgres") }
            // Such instances have their folders in mesh's own places, which a mesh of this machine may use.
            let places = ["/run/mesh", "/var/lib/mesh"]
            for place in places where FileManager.default.fileExists(atPath: place) {
                try Skip.now("\(place) is there already, and isn't this test's to use")
            }
            defer { for place in places { try? FileManager.default.removeItem(atPath: place) } }
            let system = ["MESH_RUNTIME_DIR": "", "MESH_STATE_DIR": "", "MESH_CONFIG_DIR": ""]
            let data = try await Postgres.makeCluster(mesh)
            let server = try mesh.launch(
                "db", serves: ["5432"], accepts: ["client"], options: ["--user", "postgres"],
                environment: system,
                command: Postgres.server(data))
            let script = """
                until pg_isready -q -h db.mesh; do sleep 0.05; done
                psql -h db.mesh -U app -qAt -d postgres -c 'select current_user'
                id -un
                """
            let client = try await mesh.run(
                "client", calls: ["db:5432"], options: ["--user", "postgres"],
                environment: system.merging(["PATH": Postgres.path(mesh)]) { $1 },
                command: ["sh", "-c", script])
            #expect(client.output == "app\npostgres\n", "\(client)")
            let program = Processes.descendants(of: Int(server.process.pid)).first {
                Processes.name(of: $0) == "postgres"
            }
            #expect(program.flatMap { Processes.user(of: $0) } == Int(user.uid))
            _ = try await server.end(SIGINT)
            try await mesh.host("mesh", "node", "stop", environment: system)
        }
    }

    @Test("a user that isn't known is an error with a fix", arguments: [Setting(.veth, .root)])
    func unknown(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let outcome = try await mesh.run(options: ["--user", "no-such-user"], command: ["true"])
            #expect(outcome.ending == .exited(125) && outcome.error.contains("no-such-user"), "\(outcome)")
        }
    }
}
