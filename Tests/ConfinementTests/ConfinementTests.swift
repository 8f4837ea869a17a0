import Foundation
import Glibc
import Testing

/// Which attempts succeed in a process that is closed in as the real ones are, by their own code.
@Suite("Sidecar, node and issuer are closed in")
struct ConfinementTests {
    private func attempts(as role: String) throws -> [String: String] {
        let probe = Process()
        let output = Pipe()
        probe.executableURL = Bundle.main.executableURL?.deletingLastPathComponent()
            .appending(path: "ConfinementProbe")
        if let option = CommandLine.arguments.firstIndex(of: "--test-bundle-path") {
            probe.executableURL = URL(filePath: CommandLine.arguments[option + 1])
                .deletingLastPathComponent().appending(path: "ConfinementProbe")
        }
        probe.arguments = [role]
        probe.standardOutput = output
        try probe.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        probe.waitUntilExit()
        var results: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            results[words[0]] = words[1]
        }
        return results
    }

    private func names(_ results: [String: String], _ verdict: String) -> Set<String> {
        Set(results.filter { $0.value == verdict }.keys)
    }

    @Test("without it the same attempts succeed", .enabled(if: geteuid() == 0, "needs root"))
    func attemptsCanSucceed() throws {
        let results = try attempts(as: "none")
        #expect(results.count == 34)
        for name in ["raw", "packet", "code", "child", "kill", "dumpable", "core", "owner", "override"] {
            #expect(results[name] == "allowed", "\(name)")
        }
    }

    /// What every one of them may do.
    private static let ordinary: Set<String> = ["thread", "read", "memory"]
    /// Refused to all: code made from data, other processes, other users' rights, other families' sockets.
    private static let refused: Set<String> = [
        "raw", "packet", "vsock", "audit", "crypto", "code", "late-code", "memory-file", "child", "kill",
        "stop", "dumpable", "core", "user", "owner", "device", "link", "attribute", "user-namespace",
        "mount-namespace", "shared-memory", "watch-files", "type-for-user", "override",
        "network-administration", "modules", "new-process",
    ]
    private static let deadly: Set<String> = [
        "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "bpf", "keyctl", "add_key",
        "request_key", "init_module", "finit_module", "delete_module", "mount", "umount2", "pivot_root",
        "unshare", "chroot", "io_uring_setup", "userfaultfd", "perf_event_open", "kexec_load", "reboot",
    ]

    @Test(
        "a sidecar may use the network, and neither execute, fork nor reach another process",
        .enabled(if: geteuid() == 0, "needs root"))
    func sidecar() throws {
        let results = try attempts(as: "sidecar")
        #expect(names(results, "allowed") == Self.ordinary.union(["tcp", "unix", "ping"]))
        #expect(names(results, "denied") == Self.refused.union(["spawn"]))
        #expect(
            names(results, "killed").isSuperset(of: Self.deadly.union(["execve", "execveat", "seccomp"])))
        #expect(names(results, "open").isEmpty)
    }

    @Test("the issuer has no network besides", .enabled(if: geteuid() == 0, "needs root"))
    func issuer() throws {
        let results = try attempts(as: "issuer")
        #expect(names(results, "allowed") == Self.ordinary)
        #expect(names(results, "denied") == Self.refused.union(["tcp", "unix", "ping", "spawn"]))
        #expect(
            names(results, "killed").isSuperset(of: Self.deadly.union(["execve", "execveat", "seccomp"])))
        #expect(names(results, "open").isEmpty)
    }

    @Test("what runs scripts has its memory and nothing else", .enabled(if: geteuid() == 0, "needs root"))
    func scripts() throws {
        let results = try attempts(as: "scripts")
        #expect(names(results, "allowed") == ["memory"])
        #expect(
            names(results, "denied")
                == Self.refused.union(["tcp", "unix", "ping", "spawn", "thread", "read"]))
        #expect(
            names(results, "killed").isSuperset(of: Self.deadly.union(["execve", "execveat", "seccomp"])))
        #expect(names(results, "open").isEmpty)
    }

    @Test(
        "the node may use the network, and execute what stays under its list",
        .enabled(if: geteuid() == 0, "needs root"))
    func node() throws {
        let results = try attempts(as: "node")
        #expect(
            names(results, "allowed") == Self.ordinary.union(["tcp", "unix", "spawn", "execve", "seccomp"]))
        #expect(names(results, "denied") == Self.refused.union(["ping"]))
        #expect(names(results, "killed").isSuperset(of: Self.deadly))
        #expect(names(results, "open").isEmpty)
    }

    @Test("an ordinary user's processes are closed in as well", arguments: ["sidecar", "node", "issuer"])
    func withoutRoot(role: String) throws {
        let results = try attempts(as: role)
        #expect(
            results["child"] == "denied" && results["code"] == "denied" && results["dumpable"] == "denied")
        #expect(results["ptrace"] == "killed" && results["thread"] == "allowed")
    }
}
