// What an attacker finds who has taken a process of the mesh over, or looks at it from outside.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct HardeningTests {
    /// CAP_NET_BIND_SERVICE and CAP_NET_RAW, in the namespace of the workload's networks.
    private static let sidecarRights: UInt64 = 1 << 10 | 1 << 13
    /// CAP_DAC_READ_SEARCH, CAP_NET_BIND_SERVICE and CAP_SYS_PTRACE, of root's alone.
    private static let nodeRights: UInt64 = 1 << 2 | 1 << 10 | 1 << 19

    @Test("every process of a running mesh is closed in, on all its threads", arguments: Setting.all)
    func closedIn(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            // Something for the TAP, so that the userland stack starts.
            let script = "while :; do nc -w 1 -z 192.0.2.1 9; sleep 0.2; done"
            let client = try mesh.launch("client", command: ["sh", "-c", script])
            try await client.isReady()
            let launcher = Int(client.process.pid)
            let stack = try await awaited("the userland stack") {
                Processes.children(of: launcher).first { Processes.isStack($0) }
            }
            let sidecar = try #require(try await client.status()["sidecar_pid"].number)
            let node = try #require(mesh.nodeProcess())
            let issuer = try #require(Processes.children(of: node).first)
            let processes: [(String, Int, UInt64)] = [
                ("sidecar", sidecar, Self.sidecarRights), ("stack", stack, 0),
                ("node", node, Self.nodeRights), ("issuer", issuer, Self.nodeRights),
            ]
            for (name, process, rights) in processes {
                try await eventually("\(name) to be closed in") {
                    Self.threads(of: process).allSatisfy { Self.isClosedIn($0, keeping: rights) }
                }
                let limits = ProcessFile.read("/proc/\(process)/limits")
                #expect(limits.contains(#/Max core file size +0 +0 /#), "\(name)")
            }
            // What can't be traced belongs to the root of its user namespace: of the host's, for these.
            for process in [node, issuer] {
                var status = stat()
                #expect(stat("/proc/\(process)/mem", &status) == 0 && status.st_uid == 0)
            }
        }
    }

    private static func threads(of process: Int) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
        return names.map { ProcessFile.read("/proc/\(process)/task/\($0)/status") }
    }

    private static func isClosedIn(_ status: String, keeping rights: UInt64) -> Bool {
        func field(_ name: String) -> Substring? {
            status.split(separator: "\n").first { $0.hasPrefix(name + ":") }?.split(separator: "\t").last
        }
        func set(_ name: String) -> UInt64? { field(name).flatMap { UInt64($0, radix: 16) } }
        return field("Seccomp") == "2" && field("NoNewPrivs") == "1" && set("CapAmb") == 0
            && set("CapInh") == 0 && set("CapPrm").map { $0 & ~rights } == 0
    }

    @Test(
        "a sidecar's key lies in locked memory alone, and is gone once it was replaced",
        .enabled(if: geteuid() == 0, "reading another process's memory needs root"),
        arguments: Setting.pairs)
    func keys(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let client = try mesh.launch(
                "client", environment: ["MESH_LEAF_SECONDS": "6"], command: ["sleep", "600"])
            try await client.isReady()
            let sidecar = try #require(try await client.status()["sidecar_pid"].number)
            let memory = ProcessMemory(sidecar)
            #expect((ProcessFile.read("/proc/\(sidecar)/status").firstMatch(of: /VmLck:\s+(\d+)/)?.1) != "0")
            // Its static key and its signing key.
            let secrets = memory.secrets()
            try #require(secrets.count >= 2)
            for secret in secrets {
                let places = memory.places(of: secret)
                #expect(places.count == 1 && places.allSatisfy(\.isLocked), "\(places)")
            }
            try await eventually("the first keys to be gone", within: .seconds(60)) {
                secrets.allSatisfy { memory.places(of: $0).isEmpty }
            }
            #expect(memory.secrets().count >= 2, "the next keys are there")
        }
    }

    @Test("a sidecar that crashes leaves no core file", arguments: Setting.one)
    func core(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let words = ["mesh-launch", "--datapath", mesh.datapath.rawValue, "--", "sleep", "600"]
            let client = try mesh.start(
                ["sh", "-c", "ulimit -c unlimited; exec \"$@\"", "sh"] + words, as: "client")
            try await client.isReady()
            let sidecar = try #require(try await client.status()["sidecar_pid"].number)
            kill(pid_t(sidecar), SIGSEGV)
            try await eventually("the next sidecar") {
                try await client.status()["sidecar_pid"].number.map { $0 != sidecar } == true
            }
            let files = try FileManager.default.contentsOfDirectory(atPath: mesh.work)
            #expect(!files.contains { $0.hasPrefix("core") }, "\(files)")
        }
    }
}

extension Processes {
    static func isStack(_ process: Int) -> Bool {
        ProcessFile.read("/proc/\(process)/cmdline").contains("userland-stack")
    }
}

/// The memory of another process, through /proc, as root may read it.
private struct ProcessMemory {
    struct Place {
        let address: UInt
        let isLocked: Bool
    }

    private struct Area {
        let range: Range<UInt>
        let isLocked: Bool
        let bytes: [UInt8]
    }

    private let process: Int

    init(_ process: Int) { self.process = process }

    /// The middle of each 32 bytes in locked pages that look random: a library's own copies may differ at
    /// the ends, where X25519 sets bits.
    func secrets() -> [[UInt8]] {
        areas().filter(\.isLocked).flatMap { area in
            stride(from: 64, to: area.bytes.count - 31, by: 32).compactMap { at -> [UInt8]? in
                let slot = Array(area.bytes[at..<at + 32])
                return Set(slot).count > 20 ? Array(slot[4..<28]) : nil
            }
        }
    }

    func places(of secret: [UInt8]) -> [Place] {
        areas().flatMap { area -> [Place] in
            var places: [Place] = []
            area.bytes.withUnsafeBytes { bytes in
                var at = 0
                let last = bytes.count - secret.count
                while at <= last,
                    let found = memchr(bytes.baseAddress! + at, Int32(secret[0]), last - at + 1)
                {
                    let offset = UnsafeRawPointer(found) - bytes.baseAddress!
                    if memcmp(found, secret, secret.count) == 0 {
                        places.append(
                            Place(address: area.range.lowerBound + UInt(offset), isLocked: area.isLocked))
                    }
                    at = offset + 1
                }
            }
            return places
        }
    }

    /// Everything that can be written, which is where a key may have been.
    private func areas() -> [Area] {
        let memory = open("/proc/\(process)/mem", O_RDONLY)
        guard memory >= 0 else { return [] }
        defer { close(memory) }
        var areas: [Area] = []
        var range: Range<UInt>?
        for line in ProcessFile.read("/proc/\(process)/smaps").split(separator: "\n") {
            if let match = line.firstMatch(of: /^([0-9a-f]+)-([0-9a-f]+) rw/) {
                range = UInt(match.1, radix: 16)!..<UInt(match.2, radix: 16)!
            } else if line.firstMatch(of: /^[0-9a-f]+-[0-9a-f]+\s/) != nil {
                range = nil
            } else if line.hasPrefix("VmFlags:"), let area = range {
                var bytes = [UInt8](repeating: 0, count: area.count)
                let count = pread(memory, &bytes, bytes.count, off_t(area.lowerBound))
                guard count > 0 else { continue }
                areas.append(
                    Area(
                        range: area, isLocked: line.split(separator: " ").contains("lo"),
                        bytes: Array(bytes.prefix(count))))
            }
        }
        return areas
    }
}
