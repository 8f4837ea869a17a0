import Foundation
import Testing

extension LaunchTests {
    @Suite("Masks")
    struct MaskTests {
        @Test("mesh's own folders are empty inside", arguments: Caller.possible)
        func ownFolders(caller: Caller) throws {
            let bench = try Bench(caller)
            for folder in ["run", "state", "config"] { try bench.write("secret", to: folder + "/key") }
            let finished = try bench.script(
                "find \(bench.path("run")) \(bench.path("state")) \(bench.path("config")) -mindepth 1")
            #expect(finished.output.isEmpty, "\(finished.output)")
            #expect(finished.end == .exited(0))
        }

        @Test(
            "the session's folder is empty inside, but for a socket that is admitted",
            arguments: Caller.possible)
        func sessionFolder(caller: Caller) throws {
            let bench = try Bench(caller)
            let session = bench.path("session")
            try FileManager.default.createDirectory(
                atPath: session + "/deep", withIntermediateDirectories: true)
            chown(session, caller.userID, gid_t.max)
            chmod(session, 0o700)
            let listeners = try ["bus", "deep/wanted"].map {
                try Listener(session + "/" + $0, owner: caller.userID)
            }
            bench.environment["XDG_RUNTIME_DIR"] = session
            let look = "find \(session) -mindepth 1 -type s; find \(session) -mindepth 1 -type f"
            #expect(try bench.script(look).output.isEmpty)
            let script = """
                import socket
                for name in ("deep/wanted", "bus"):
                    try:
                        socket.socket(socket.AF_UNIX).connect("\(session)/" + name); print(name, "connected")
                    except OSError as error: print(name, type(error).__name__)
                """
            let admitted = try bench.run([
                "--socket", session + "/deep/wanted", "--", "python3", "-c", script,
            ])
            #expect(
                admitted.lines == ["deep/wanted connected", "bus FileNotFoundError"], "\(admitted.errors)")
            let absent = try bench.run(["--socket", session + "/absent", "--", "true"])
            #expect(absent.end == .exited(125))
            #expect(absent.errors.contains("\(session)/absent isn't there"))
            withExtendedLifetime(listeners) {}
        }

        @Test("names are resolved by the sidecar alone", arguments: Caller.possible)
        func nameFiles(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.script(
                "cat /etc/resolv.conf; grep -c web.mesh /etc/hosts; echo x >> /etc/resolv.conf || echo kept",
                options: ["--name", "web"])
            #expect(finished.lines == ["nameserver 198.18.0.53", "1", "kept"])
        }

        @Test("a config file that lies elsewhere can be read, and not be written")
        func configurationFile() throws {
            let bench = try Bench(Caller.possible[0])
            try ConfigurationFileTests.prepare(bench, name: "web")
            let finished = try bench.run(
                [
                    "--config", bench.path("web.yaml"), "--", "/bin/sh", "-c",
                    "cat \(bench.path("web.yaml")); echo x >> \(bench.path("web.yaml")) || echo kept",
                ])
            #expect(finished.lines == ["mesh: 1", "kept"], "\(finished.errors)")
        }

        @Test(
            "the kernel's files can't be written, and nothing can be unmounted, as root inside too",
            arguments: Caller.possible)
        func locked(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.script(
                """
                for file in net/ipv4/ip_unprivileged_port_start net/ipv4/ping_group_range kernel/core_pattern; do
                    (echo 1 > /proc/sys/$file) 2>/dev/null && echo "written: $file"
                done
                (echo h > /proc/sysrq-trigger) 2>/dev/null && echo "written: sysrq-trigger"
                for place in /proc/sys /proc /sys /etc/resolv.conf /run/dbus \(bench.path("state")); do
                    umount $place 2>/dev/null && echo "unmounted: $place"
                    umount -l $place 2>/dev/null && echo "unmounted lazily: $place"
                    mount -o remount,bind,rw $place 2>/dev/null && [ $place != /run/dbus ] \\
                        && [ $place != /proc ] && [ $place != \(bench.path("state")) ] && echo "remounted: $place"
                done
                true
                """)
            #expect(finished.output.isEmpty, "\(finished.output)")
        }

        @Test(
            "root inside can't lay a mask open from a namespace or mount of its own",
            arguments: Caller.possible)
        func nested(caller: Caller) throws {
            let bench = try Bench(caller)
            try bench.write("secret", to: "state/key")
            let finished = try bench.script(
                """
                unshare --user --map-root-user --mount --pid --fork sh -c '
                    mkdir /tmp/view.$$
                    mount -t proc proc /tmp/view.$$ 2>/dev/null && echo "a fresh /proc"
                    mount --bind / /tmp/view.$$ 2>/dev/null && cat /tmp/view.$$\(bench.path("state"))/key 2>/dev/null
                    umount \(bench.path("state")) 2>/dev/null
                    cat \(bench.path("state"))/key 2>/dev/null
                    (echo 1 > /proc/sys/net/ipv4/ip_unprivileged_port_start) 2>/dev/null && echo written
                    umount -l /tmp/view.$$ 2>/dev/null; rmdir /tmp/view.$$'
                true
                """)
            #expect(finished.output.isEmpty, "\(finished.output)")
        }

        @Test("/sys shows the workload's devices and the host's control groups", arguments: Caller.possible)
        func devices(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.script("ls /sys/class/net; ls /sys/fs/cgroup | head -1 | grep -c .")
            #expect(finished.lines.contains("w0"))
            #expect(!finished.lines.contains("eth0"))
            let groups = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/fs/cgroup")) ?? []
            #expect(finished.lines.last == (groups.isEmpty ? "0" : "1"))
        }

        @Test("a working folder under a mask is refused, and one beside stays", arguments: Caller.possible)
        func workingFolder(caller: Caller) throws {
            let bench = try Bench(caller)
            let inside = bench.path("state/inner")
            try FileManager.default.createDirectory(atPath: inside, withIntermediateDirectories: true)
            chown(inside, caller.userID, gid_t.max)
            let refused = try bench.run(["--", "ls"], from: inside)
            #expect(refused.end == .exited(125))
            #expect(refused.errors.contains("the working folder \(inside) is hidden"))
            try bench.write("secret", to: "state/key")
            let empty = try bench.run(["--", "ls"], from: bench.path("state"))
            #expect(empty.end == .exited(0) && empty.output.isEmpty)
        }

        @Test("a resolv.conf that leads under a mask is made again")
        func linkedResolver() throws {
            guard Caller.root.isPossible else { return }
            let bench = try Bench(.root)
            let stage = """
                mkdir -p \(bench.path("etc")) && cp -a /etc/. \(bench.path("etc")) &&
                ln -sf ../run/systemd/resolve/stub-resolv.conf \(bench.path("etc"))/resolv.conf &&
                mount --bind \(bench.path("etc")) /etc &&
                mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir /run/systemd/resolve &&
                echo nameserver 127.0.0.53 > /run/systemd/resolve/stub-resolv.conf && exec "$@"
                """
            let finished = try bench.start(
                ["--", "cat", "/etc/resolv.conf"],
                wrapper: ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", stage, "sh"]
            ).finish()
            #expect(finished.output == "nameserver 198.18.0.53\n", "\(finished.errors)")
            #expect(!FileManager.default.fileExists(atPath: "/run/systemd/resolve/stub-resolv.conf"))
        }
    }
}

/// A unix socket that listens.
private final class Listener {
    private let socket: Int32

    init(_ path: String, owner: uid_t) throws {
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0 && listen(socket, 8) == 0)
        chown(path, owner, gid_t.max)
    }

    deinit { close(socket) }
}
