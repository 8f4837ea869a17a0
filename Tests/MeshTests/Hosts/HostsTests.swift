// Hosts, as network namespaces that veths join: each has its own node, issuer and folders.

import Foundation
import Glibc
import Testing

/// One of them: a mesh whose programs all run in a network namespace of the test's own.
private struct Host {
    let name: String
    let network: String
    let mesh: Mesh

    func start(_ words: [String], as name: String) throws -> Running {
        try mesh.start(["ip", "netns", "exec", network] + words, as: name)
    }

    func launch(_ name: String, _ options: [String], _ command: [String]) throws -> Running {
        try start(["mesh-launch", "--name", name] + options + ["--"] + command, as: name)
    }

    /// What the node holds, by its own word; nil where none runs.
    func node() async throws -> JSON? {
        let outcome = try await mesh.host("mesh", "node", "status", "--json")
        return outcome.isSuccess ? try JSON(parsing: outcome.output) : nil
    }

    func meet(_ text: String) throws {
        try mesh.write("mesh: 1\n" + text, to: mesh.folder + "/config/node.yaml")
    }

    func ip(_ words: String...) async throws { try await succeed(["ip"] + words) }

    func succeed(_ words: [String]) async throws {
        let outcome = try await mesh.start(words, as: words[0]).outcome()
        guard outcome.isSuccess else { throw HarnessError("\(words): \(outcome)") }
    }

    func end() async {
        _ = try? await mesh.start(["ip", "netns", "del", network], as: "ip").outcome()
        await mesh.close()
    }
}

/// Hosts in a row, of one trust domain. Each reaches the next, and those behind it through it: host N has
/// 10.77.N.1 towards the next one, which has 10.77.N.2.
private struct Row {
    private(set) var hosts: [Host] = []

    static func with(_ names: String..., body: ([Host]) async throws -> Void) async throws {
        guard geteuid() == 0, let root = Person(uid: 0) else {
            try Skip.now("network namespaces that a veth joins need root")
        }
        try Skip.unlessInstalled("ip", "curl", "python3", "sysctl")
        await Slots.shared.enter()
        var row = Row()
        do {
            for name in names { try await row.add(name, root) }
            try await row.join()
            try await body(row.hosts)
        } catch {
            for host in row.hosts { host.mesh.tell() }
            await row.end()
            throw error
        }
        await row.end()
    }

    private mutating func add(_ name: String, _ root: Person) async throws {
        let mesh = try Mesh(person: root, datapath: .veth)
        let host = Host(
            name: name, network: mesh.folder.split(separator: "/").last! + "-\(name)", mesh: mesh)
        hosts.append(host)
        try await host.ip("netns", "add", host.network)
        try await host.ip("-n", host.network, "link", "set", "lo", "up")
        try await host.succeed(
            ["ip", "netns", "exec", host.network, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])
        guard hosts.count > 1 else { return }
        try await link(hosts.count - 2, hosts[hosts.count - 2], host)
    }

    private func link(_ number: Int, _ left: Host, _ right: Host) async throws {
        let device = "m\(number)"
        try await left.ip(
            "link", "add", device, "netns", left.network, "type", "veth", "peer", "name", device, "netns",
            right.network)
        for (host, end) in [(left, 1), (right, 2)] {
            let address = "10.77.\(number).\(end)/24"
            try await host.ip("-n", host.network, "address", "add", address, "dev", device)
            try await host.ip("-n", host.network, "link", "set", device, "up")
        }
        try await right.ip("-n", right.network, "route", "add", "default", "via", "10.77.\(number).1")
        for (index, host) in hosts.dropLast(2).enumerated() {
            try await host.ip(
                "-n", host.network, "route", "add", "10.77.\(number).0/24", "via", "10.77.\(index).2")
        }
    }

    private func join() async throws {
        let folder = hosts[0].mesh.folder + "/root"
        try await hosts[0].succeed(["mesh", "trust", "init", "hosts.test", "--root", folder])
        for host in hosts {
            let (request, grant) = (host.mesh.work + "/request", host.mesh.work + "/grant")
            try await host.succeed(["mesh", "trust", "request", "--host", host.name, "--out", request])
            try await hosts[0].succeed(
                ["mesh", "trust", "sign", request, "--root", folder, "--out", grant])
            try await host.succeed(["mesh", "trust", "install", grant])
        }
    }

    private func end() async {
        for host in hosts.reversed() { await host.end() }
        await Slots.shared.leave()
    }
}

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
                let words = try b.mesh.python("flood", HostsTests.flood, source, "10.77.0.1", port)
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
