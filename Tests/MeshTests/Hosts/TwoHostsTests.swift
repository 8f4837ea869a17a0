// Two hosts, as network namespaces that a veth joins: each has its own node, issuer and folders.

import Foundation
import Glibc
import Testing

/// One of the two: a mesh whose programs all run in a network namespace of the test's own.
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
}

@Suite("Two hosts")
struct TwoHostsTests {
    @Test("workloads of two hosts find, trust and call each other; a stranger is refused; an end is told")
    func together() async throws {
        guard geteuid() == 0, let root = Person(uid: 0) else {
            try Skip.now("network namespaces that a veth joins need root")
        }
        try Skip.unlessInstalled("ip", "curl", "python3")
        let a = Host(
            name: "a", network: "mesh-a-\(getpid())", mesh: try Mesh(person: root, datapath: .veth))
        let b = Host(
            name: "b", network: "mesh-b-\(getpid())", mesh: try Mesh(person: root, datapath: .veth))
        do {
            try await join(a, b)
            try await talk(a, b)
        } catch {
            await end(a, b)
            throw error
        }
        await end(a, b)
    }

    private func talk(_ a: Host, _ b: Host) async throws {
        try a.mesh.write("mesh: 1\nlisten: [\"10.77.0.1:7400\"]\n", to: a.mesh.folder + "/config/node.yaml")
        try b.mesh.write("mesh: 1\nseeds: [\"10.77.0.1:7400\"]\n", to: b.mesh.folder + "/config/node.yaml")
        try a.mesh.write("from the other host\n", to: "www/index.html")
        let web = try a.launch(
            "web", ["--serve", "8080", "--accept", "client:8080"],
            ["python3", "-m", "http.server", "8080", "-d", a.mesh.work + "/www"])
        try await web.listens(on: 8080)

        let curl = ["curl", "-sS", "-m", "15", "http://web.mesh:8080/"]
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

    // MARK: The two hosts

    private func join(_ a: Host, _ b: Host) async throws {
        try await ip(a, "netns", "add", a.network)
        try await ip(a, "netns", "add", b.network)
        try await ip(
            a, "link", "add", "m0", "netns", a.network, "type", "veth", "peer", "name", "m0", "netns",
            b.network)
        for (host, address) in [(a, "10.77.0.1/24"), (b, "10.77.0.2/24")] {
            try await ip(a, "-n", host.network, "address", "add", address, "dev", "m0")
            try await ip(a, "-n", host.network, "link", "set", "m0", "up")
            try await ip(a, "-n", host.network, "link", "set", "lo", "up")
        }
        let folder = a.mesh.folder + "/root"
        try await succeed(a, "mesh", "trust", "init", "two.test", "--root", folder)
        for host in [a, b] {
            let (request, grant) = (host.mesh.work + "/request", host.mesh.work + "/grant")
            try await succeed(host, "mesh", "trust", "request", "--host", host.name, "--out", request)
            try await succeed(a, "mesh", "trust", "sign", request, "--root", folder, "--out", grant)
            try await succeed(host, "mesh", "trust", "install", grant)
        }
    }

    private func ip(_ host: Host, _ words: String...) async throws {
        let outcome = try await host.mesh.start(["ip"] + words, as: "ip").outcome()
        guard outcome.isSuccess else { throw HarnessError("ip \(words): \(outcome)") }
    }

    private func succeed(_ host: Host, _ words: String...) async throws {
        let outcome = try await host.mesh.start(words, as: words[0]).outcome()
        guard outcome.isSuccess else { throw HarnessError("\(words): \(outcome)") }
    }

    private func end(_ a: Host, _ b: Host) async {
        for host in [b, a] {
            _ = try? await host.mesh.start(["ip", "netns", "del", host.network], as: "ip").outcome()
            await host.mesh.close()
        }
    }
}
