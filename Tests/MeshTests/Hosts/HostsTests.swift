// Programs on several hosts, found and called through their nodes.

import Foundation
import Glibc
import Testing

@Suite("Several hosts", .timeLimit(.minutes(10)))
struct HostsTests {
    private func web(_ host: Host, _ options: [String] = []) async throws -> Running {
        try host.mesh.write("from the other host\n", to: "www/index.html")
        let web = try host.launch(
            "web", ["--serve", "8080", "--accept", "client:8080"] + options,
            ["python3", "-m", "http.server", "8080", "-d", host.mesh.work + "/www"])
        try await web.listens(on: 8080)
        return web
    }

    private let curl = ["curl", "-sS", "-m", "15", "http://web.mesh:8080/"]

    @Test("workloads of two hosts find, trust and call each other; a stranger is refused; an end is told")
    func two() async throws {
        try await Row.with("a", "b") { hosts in
            let (a, b) = (hosts[0], hosts[1])
            try a.meet("listen: [\"10.77.0.1:7400\"]\n")
            try b.meet("seeds: [\"10.77.0.1:7400\"]\n")
            let web = try await web(a)
            let page = try await b.launch("client", ["--call", "web"], curl).outcome()
            #expect(page.line == "from the other host", "\(page)")
            #expect(try await b.node()?["neighbours"].number == 1)

            func closed(_ host: Host, _ workload: String) -> Set<String> {
                Set(
                    host.mesh.records(of: workload).filter { $0["event"].text == "close" }
                        .compactMap { $0["flow_id"].text })
            }
            try await eventually("one flow id on both hosts") {
                !closed(a, "web").intersection(closed(b, "client")).isEmpty
            }

            let stranger = try await b.launch("stranger", ["--call", "web"], curl).outcome()
            #expect(stranger.ending == .exited(7), "\(stranger)")

            #expect(try await b.node()?["announcements"].number == 1)
            let workload = try #require(try await web.status()["workload_pid"].number)
            kill(pid_t(workload), SIGKILL)
            try await eventually("the tombstone of web on the other host") {
                try await b.node()?["announcements"].number == 0
            }
            _ = try await web.outcome()
        }
    }

    @Test("a policy of one host cuts on both, and a host that starts later finds it")
    func policy() async throws {
        try await Row.with("a", "b", "c") { hosts in
            let (a, b, c) = (hosts[0], hosts[1], hosts[2])
            try a.meet("listen: [\"10.77.0.1:7400\"]\n")
            try b.meet("listen: [\"10.77.1.1:7400\"]\nseeds: [\"10.77.0.1:7400\"]\n")
            let web = try await web(a)
            let client = try b.launch("client", ["--call", "web"], ["nc", "-d", "web.mesh", "8080"])
            try await eventually("an idle connection") { try await web.status()["flows_open"].number == 1 }
            try await a.succeed(["mesh", "trust", "policy-key", "--root", a.mesh.folder + "/root"])
            let file = try a.mesh.write(
                "mesh-policy: 1\nunmatched: configs\nrules: [{deny: {from: default/client}}]\n", to: "p.yaml")
            try await a.succeed(["mesh", "policy", "apply", file])
            _ = try await client.outcome()
            for (host, workload) in [(a, "web"), (b, "client")] {
                try await eventually("a cut on record of \(workload): \(host.mesh.records(of: workload))") {
                    host.mesh.records(of: workload).contains {
                        $0["event"].text == "close" && $0["reason"].text == "policy"
                    }
                }
            }
            let held = try await JSON(parsing: b.mesh.host("mesh", "policy", "show", "--json").output)
            #expect(held["epoch"].number == 1, "\(held)")

            // It knows only the host between.
            try c.meet("seeds: [\"10.77.1.1:7400\"]\n")
            let late = try c.launch("late", [], ["sleep", "600"])
            try await eventually("the policy on the third host") {
                try await late.status()["policy_head"]["epoch"].number == 1
            }
        }
    }

    @Test("a host that comes late, and knows only the one between, hears of the others behind it")
    func late() async throws {
        try await Row.with("a", "b", "c") { hosts in
            let (a, b, c) = (hosts[0], hosts[1], hosts[2])
            try a.meet("listen: [\"10.77.0.1:7400\"]\n")
            try b.meet("listen: [\"10.77.1.1:7400\"]\nseeds: [\"10.77.0.1:7400\"]\n")
            _ = try await web(a)
            _ = try b.launch("between", [], ["sleep", "600"])
            try await eventually("web, heard of by the host between") {
                try await b.node()?["announcements"].number == 1
            }
            // Its node runs already when it is told of the others.
            _ = try c.launch("late", [], ["sleep", "600"])
            try await eventually("a node that knows nobody") {
                try await c.node()?["neighbours"].number == 0
            }
            try c.meet("seeds: [\"10.77.1.1:7400\"]\n")
            try await c.succeed(["mesh", "node", "reload"])
            let page = try await c.launch("client", ["--call", "web"], curl).outcome()
            #expect(page.line == "from the other host", "\(page)")
            #expect(try await c.node()?["neighbours"].number == 1)
        }
    }

    @Test("a node takes changed seeds and addresses over while it runs, and keeps its own of a wrong file")
    func reload() async throws {
        try await Row.with("a", "b") { hosts in
            let (a, b) = (hosts[0], hosts[1])
            for host in hosts { _ = try host.launch("sleeper", [], ["sleep", "600"]) }
            func neighbours(_ count: Int) async throws {
                for host in hosts {
                    try await eventually("\(count) neighbours of \(host.name)") {
                        try await host.node()?["neighbours"].number == count
                    }
                }
            }
            func reload(_ host: Host, _ text: String) async throws {
                try host.meet(text)
                try await host.succeed(["mesh", "node", "reload"])
            }
            try await neighbours(0)
            try await reload(b, "seeds: [\"10.77.0.1:7400\"]\n")
            try await reload(a, "listen: [\"10.77.0.1:7400\"]\n")
            try await neighbours(1)
            // Who is connected stays so where nothing listens any more, and can't come back.
            try await reload(a, "listen: [\"10.77.0.1:7401\"]\n")
            try await neighbours(1)
            try await reload(b, "seeds: []\n")
            try await neighbours(0)
            try await reload(b, "seeds: [\"10.77.0.1:7401\"]\n")
            try await neighbours(1)

            try b.meet("seeds: [nonsense]\n")
            let refused = try await b.mesh.host("mesh", "node", "reload")
            #expect(!refused.isSuccess && refused.error.contains("node.yaml:2"), "\(refused)")
            #expect(try await b.node()?["configuration_problem"].text?.contains("node.yaml:2") == true)
            try await neighbours(1)
            try await reload(b, "seeds: [\"10.77.0.1:7401\"]\n")
            #expect(try await b.node()?["configuration_problem"].text == "")
        }
    }

    /// Opens connections from one address to another, says nothing on them, and opens new ones for those that
    /// are closed.
    private static let flood = """
        import resource, select, socket, sys, time
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        source, target, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
        opened, held = 0, {}
        poll = select.poll()
        while True:
            while len(held) < 1200:
                s = socket.socket()
                s.bind((source, 0))
                try:
                    s.connect((target, port))
                except OSError:
                    s.close()
                    time.sleep(0.01)
                    continue
                held[s.fileno()] = s
                poll.register(s, select.POLLIN | select.POLLHUP)
                opened += 1
                if opened == 500:
                    print("flooded", flush=True)
            for descriptor, _ in poll.poll(100):
                poll.unregister(descriptor)
                held.pop(descriptor).close()
        """

    @Test("a flood of connections that say nothing keeps neither a neighbour nor a caller out")
    func flooded() async throws {
        try await Row.with("a", "b") { hosts in
            let (a, b) = (hosts[0], hosts[1])
            try a.meet("listen: [\"10.77.0.1:7400\"]\n")
            let web = try await web(a, ["--listen", "10.77.0.1:7500"])
            var floods: [Running] = []
            for (number, port) in ["7400", "7500"].enumerated() {
                let source = "10.77.0.\(60 + number)"
                try await b.ip("-n", b.network, "address", "add", "\(source)/24", "dev", "m0")
                let words = try b.mesh.python("flood\(number)", HostsTests.flood, source, "10.77.0.1", port)
                floods.append(try b.start(words, as: "flood"))
            }
            for flood in floods { try await flood.says("flooded") }
            try b.meet("seeds: [\"10.77.0.1:7400\"]\n")
            let page = try await b.launch("client", ["--call", "web"], curl).outcome()
            #expect(page.line == "from the other host", "\(page)")
            #expect(web.process.ended == nil && floods.allSatisfy { $0.process.ended == nil })
        }
    }
}
