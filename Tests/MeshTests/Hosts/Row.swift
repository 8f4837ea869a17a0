// Hosts, as network namespaces that veths join: each has its own node, issuer and folders.

import Foundation
import Glibc
import Testing

/// One of them: a mesh whose programs all run in a network namespace of the test's own.
struct Host {
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

/// Hosts in a row, of one trust domain, apart from strangers. Each reaches the next, and those behind it through it: host N has
/// 10.77.N.1 towards the next one, which has 10.77.N.2.
struct Row {
    private(set) var hosts: [Host] = []

    /// - Parameter strangers: hosts with a trust domain of their own, which bears the same name.
    static func with(
        _ names: String..., strangers: Set<String> = [], body: ([Host]) async throws -> Void
    ) async throws {
        guard geteuid() == 0, let root = Person(uid: 0) else {
            try Skip.now("network namespaces that a veth joins need root")
        }
        try Skip.unlessInstalled("ip", "curl", "python3", "sysctl")
        await Slots.shared.enter()
        var row = Row()
        do {
            for name in names { try await row.add(name, root) }
            try await row.join(strangers)
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

    private func join(_ strangers: Set<String>) async throws {
        let members = hosts.filter { !strangers.contains($0.name) }
        try await join(members)
        for stranger in hosts where strangers.contains(stranger.name) { try await join([stranger]) }
    }

    private func join(_ hosts: [Host]) async throws {
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
