import Glibc
import Testing

@Suite("The sandbox of the userland stack")
struct SandboxTests {
    /// What the probe's attack reports: name of each try, and whether it succeeded.
    private func attack(_ extent: String, _ datapath: String) throws -> [String: Bool] {
        let secret = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
        defer { secret.deallocate() }
        let (process, input, output) = try World.spawn(
            [World.probe, "attack", extent, datapath, "\(UInt(bitPattern: secret))"])
        defer {
            close(input)
            waitpid(process, nil, 0)
        }
        var results: [String: Bool] = [:]
        while let line = output.line(within: 10) {
            let words = line.split(separator: " ")
            results[String(words[0])] = words[1] == "allowed"
        }
        return results
    }

    private static let harmless = ["tcp", "udp", "mmap"]

    @Test("without the sandbox the same attempts succeed", .enabled(if: geteuid() == 0, "needs root"))
    func attemptsCanSucceed() throws {
        let results = try attack("none", "slirp")
        #expect(results.count == 34)
        for name in ["open", "process_vm_readv", "ptrace", "pidfd_getfd", "raw", "signal", "exec", "mount"] {
            #expect(results[name] == true, "\(name)")
        }
    }

    @Test(
        "inside, everything is denied but memory and the sockets of egress", .enabled(if: World.isPermitted))
    func everythingIsDenied() throws {
        let results = try attack("filter", "veth")
        #expect(results.count == 34)
        #expect(Set(results.filter(\.value).keys) == Set(Self.harmless))
    }

    @Test("the slirp datapath has unix stream sockets besides", .enabled(if: World.isPermitted))
    func slirpHasUnixSockets() throws {
        let results = try attack("filter", "slirp")
        #expect(Set(results.filter(\.value).keys) == Set(Self.harmless + ["unix"]))
    }

    @Test("namespaces alone keep files and the sidecar out of reach", .enabled(if: World.isPermitted))
    func namespacesAlone() throws {
        let results = try attack("sandbox", "veth")
        for name in [
            "open", "openat2", "create", "proc-mem", "proc-ns", "process_vm_readv", "process_vm_writev",
            "ptrace", "pidfd_getfd", "raw", "packet", "mount", "chroot",
        ] {
            #expect(results[name] == false, "\(name)")
        }
    }
}
