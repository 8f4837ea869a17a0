import Foundation
import Testing

extension LaunchTests {
    @Suite("Datapaths")
    struct DatapathTests {
        /// Hides /dev/net/tun from a launch by root.
        private static let withoutTUN = [
            "/usr/bin/unshare", "--mount", "/bin/sh", "-c",
            "mount --bind /dev/null /dev/net/tun && exec \"$@\"", "sh",
        ]

        @Test(
            "on slirp the TAP is the only device, and the sidecar gets W and TAP alone",
            arguments: Caller.possible)
        func slirp(caller: Caller) throws {
            guard caller == .root || access("/dev/net/tun", R_OK | W_OK) == 0 else {
                return print("SKIPPED: slirp as \(caller) needs /dev/net/tun to be everybody's")
            }
            let bench = try Bench(caller)
            let finished = try bench.script(
                "ls /sys/class/net; ip route show default; ip route get 198.18.40.40",
                options: ["--datapath", "slirp"])
            #expect(finished.lines.prefix(2) == ["lo", "tap0"], "\(finished.errors)")
            #expect(finished.output.contains("default via 198.18.0.1 dev tap0"))
            #expect(finished.output.contains("198.18.40.40 via 198.18.0.1 dev tap0 src 198.18."))
            let network = try #require(bench.notes().first { ($0["message"] as? [Any])?.first as? Int == 2 })
            #expect((network["message"] as? [Any])?[1] as? String == "slirp")
            let descriptors = try #require(network["descriptors"] as? [String])
            #expect(descriptors.count == 2)
            #expect(descriptors[0].hasPrefix("net:") && descriptors[1] == "/dev/net/tun")
            bench.expectNoLeftovers()
        }

        @Test("without /dev/net/tun veth works alone, and slirp is refused with the fix")
        func withoutTUN() throws {
            guard Caller.root.isPossible, access("/dev/net/tun", F_OK) == 0 else { return }
            let bench = try Bench(.root)
            let veth = try bench.start(["--", "ls", "/sys/class/net"], wrapper: DatapathTests.withoutTUN)
                .finish()
            #expect(veth.lines == ["lo", "w0"], "\(veth.errors)")
            let network = try #require(bench.notes().first { ($0["message"] as? [Any])?.first as? Int == 2 })
            #expect((network["message"] as? [Any])?[1] as? String == "veth")
            #expect((network["message"] as? [Any])?[2] as? Bool == false)
            #expect((network["descriptors"] as? [String])?.count == 2)
            let slirp = try bench.start(
                ["--datapath", "slirp", "--", "true"], wrapper: DatapathTests.withoutTUN
            ).finish()
            #expect(slirp.end == .exited(125))
            #expect(slirp.errors.contains("/dev/net/tun"))
            bench.expectNoLeftovers()
        }

        @Test("a kernel that forbids user namespaces is an error with the fix")
        func forbidden() throws {
            guard Caller.root.isPossible else { return }
            let bench = try Bench(.root)
            let wrapper = [
                "/usr/bin/unshare", "--user", "--map-root-user", "/bin/sh", "-c",
                "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"", "sh",
            ]
            let finished = try bench.start(["--", "true"], wrapper: wrapper).finish()
            #expect(finished.end == .exited(125))
            #expect(finished.errors.contains("raise the sysctl user.max_user_namespaces"))
            bench.expectNoLeftovers()
        }

        @Test(
            "it works in a user namespace of one id, as in a rootless container", arguments: Caller.possible)
        func nested(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.start(
                ["--", "/bin/sh", "-c", "id -u; ls /sys/class/net | grep -c w0"],
                wrapper: ["/usr/bin/unshare", "--user", "--map-root-user"]
            ).finish()
            #expect(finished.lines == ["0", "1"], "\(finished.errors)")
            bench.expectNoLeftovers()
        }
    }
}
