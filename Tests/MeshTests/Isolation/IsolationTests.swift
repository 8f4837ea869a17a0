// What a program can't do from behind its sidecar, root inside too.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct IsolationTests {
    @Test("a program sees no process but its own, and its init", arguments: Setting.all)
    func processes(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let script = """
                ps -eo pid= | wc -l
                ls -d /proc/[0-9]* | wc -l
                ps -eo comm= | sort -u
                """
            let outcome = try await mesh.run("w", command: ["sh", "-c", script])
            let lines = outcome.output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            #expect(!lines.contains("mesh-sidecar") && !lines.contains("mesh-node"), "\(outcome)")
            // init, the shell, ps or ls, and the counter.
            #expect(lines.prefix(2).allSatisfy { (Int($0) ?? 99) <= 5 }, "\(outcome)")
        }
    }

    @Test("a program can't trace, read or enter what stands above it", arguments: Setting.all)
    func above(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let script = """
                import ctypes, os
                libc = ctypes.CDLL(None, use_errno=True)
                print("ptrace", libc.ptrace(16, 1, 0, 0))
                for name in ["mem", "environ", "root/etc/passwd", "cwd", "fd/0", "maps"]:
                    try:
                        path = "/proc/1/" + name
                        print(name, "link", os.readlink(path)) if name in ("cwd",) else open(path, "rb").read(1)
                        print(name, "read")
                    except OSError as error:
                        print(name, "denied")
                for name, kind in [("user", 0x10000000), ("mnt", 0x20000), ("net", 0x40000000), ("pid", 0x20000000)]:
                    try:
                        print(name, libc.setns(os.open("/proc/1/ns/" + name, os.O_RDONLY), kind))
                    except OSError:
                        print(name, -1)
                vector = (ctypes.c_char_p * 2)(b"x", None)
                print("bpf", libc.syscall(321, 5, 0, 0))
                """
            let outcome = try await mesh.run("w", command: try mesh.python("above", script))
            let expected = """
                ptrace -1
                mem denied
                environ denied
                root/etc/passwd denied
                cwd denied
                fd/0 denied
                maps denied
                user -1
                mnt -1
                net -1
                pid -1
                bpf -1

                """
            #expect(outcome.output == expected, "\(outcome)")
        }
    }

    @Test("a program can't change its network, its name service or its masks", arguments: Setting.all)
    func network(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("ip")
            let script = """
                ip route add 10.0.0.0/8 dev lo 2>&1 && echo BAD
                ip link set lo down 2>&1 && echo BAD
                ip addr add 10.1.1.1/32 dev lo 2>&1 && echo BAD
                ip link add d0 type dummy 2>&1 && echo BAD
                (echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start) 2>&1 && echo BAD
                (echo nameserver 1.1.1.1 > /etc/resolv.conf) 2>&1 && echo BAD
                umount -l /etc/resolv.conf 2>&1 && echo BAD
                umount -l /proc/sys 2>&1 && echo BAD
                umount -l \(mesh.state) 2>&1 && echo BAD
                mount -t tmpfs none \(mesh.runtime) 2>/dev/null; ls -A \(mesh.runtime) \(mesh.state)
                cat /etc/resolv.conf
                """
            let outcome = try await mesh.run("w", command: ["sh", "-c", script])
            #expect(!outcome.output.contains("BAD"), "\(outcome)")
            #expect(outcome.output.hasSuffix("\nnameserver 198.18.0.53\n"), "\(outcome)")
        }
    }

    @Test("raw and packet sockets are refused", arguments: Setting.all)
    func rawSockets(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let script = """
                import socket
                for kind in [(socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET, socket.SOCK_RAW, 768),
                             (socket.AF_INET6, socket.SOCK_RAW, 58), (socket.AF_PACKET, socket.SOCK_DGRAM, 768)]:
                    try:
                        socket.socket(*kind)
                        print("made")
                    except PermissionError:
                        print("refused")
                """
            let outcome = try await mesh.run("w", command: try mesh.python("raw", script))
            #expect(outcome.output == "refused\nrefused\nrefused\nrefused\n", "\(outcome)")
        }
    }

    @Test("keys, sockets and other programs' folders are hidden", arguments: Setting.all)
    func masks(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let other = try mesh.launch("other", serves: ["7000"], command: ["sleep", "60"])
            try await other.isReady()
            let socket = try await other.instanceFolder() + "/admin.sock"
            #expect(FileManager.default.fileExists(atPath: mesh.state + "/trust/root.key"))
            let secret = try mesh.write("x", to: mesh.folder + "/config/secret")
            let folders = [
                mesh.state, mesh.folder + "/config", "/var/cache/mesh", "$HOME/.cache/mesh", "/run/mesh",
                "/run/dbus", "/run/systemd",
            ]
            let script = """
                for path in \(folders.joined(separator: " ")); do ls -A $path 2>/dev/null; done
                cat \(mesh.state)/trust/root.key \(mesh.state)/issuer/issuer.key \(secret) 2>/dev/null
                curl -s -m 5 --unix-socket \(socket) http://x/status
                curl -s -m 5 --unix-socket \(mesh.runtime)/node/topics.sock http://x/
                curl -s -m 5 --unix-socket \(mesh.runtime)/node/issuer.sock http://x/
                ls -A \(mesh.runtime)/node
                echo end
                """
            let outcome = try await mesh.run("w", command: ["sh", "-c", script])
            #expect(outcome.output == "end\n", "\(outcome)")
        }
    }
}
