import Foundation
import Testing

extension LaunchTests {
    @Suite("Isolation")
    struct IsolationTests {
        @Test("the workload sees only its own processes", arguments: Caller.possible)
        func processes(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.script("echo $$; cat /proc/[0-9]*/comm; ls /proc | grep -c '^[0-9]'")
            #expect(finished.lines.first == "2")
            let names = Set(finished.lines.dropFirst().dropLast())
            #expect(names.isSubset(of: ["mesh-launch", "sh", "cat", "ls", "grep"]), "\(names)")
        }

        @Test(
            "it can't read, trace, signal or enter its init, nor the network's owner",
            arguments: Caller.possible)
        func initIsOutOfReach(caller: Caller) throws {
            let bench = try Bench(caller)
            let script = """
                import ctypes, errno, os, signal
                libc = ctypes.CDLL(None, use_errno=True)
                def attempt(name, call):
                    try:
                        result = call()
                        print(name, "allowed" if result is None or result >= 0 else errno.errorcode[ctypes.get_errno()])
                    except OSError as error:
                        print(name, errno.errorcode[error.errno])
                attempt("trace", lambda: libc.ptrace(16, 1, 0, 0))
                attempt("memory", lambda: os.open("/proc/1/mem", os.O_RDWR))
                attempt("environment", lambda: os.open("/proc/1/environ", os.O_RDONLY))
                attempt("descriptors", lambda: len(os.readlink("/proc/1/fd/0")))
                attempt("root", lambda: len(os.listdir("/proc/1/root")))
                for kind in ("user", "net", "mnt", "pid"):
                    attempt(kind, lambda: os.open("/proc/1/ns/" + kind, os.O_RDONLY))
                pidfd = os.pidfd_open(1)
                attempt("descriptor by pidfd", lambda: libc.syscall(438, pidfd, 0, 0))
                attempt("namespaces by pidfd", lambda: libc.setns(pidfd, 0x40000000))
                # The owner of W is A.
                attempt("owner", lambda: __import__("fcntl").ioctl(os.open("/proc/self/ns/net", os.O_RDONLY), 0xb701))
                for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGSEGV):
                    os.kill(1, number)
                print("alive", os.getppid())
                """
            let finished = try bench.run(["--", "python3", "-c", script])
            #expect(finished.end == .exited(0), "\(finished.errors)")
            for line in finished.lines where !line.hasPrefix("alive") {
                #expect(
                    ["EACCES", "EPERM", "ENOENT"].contains { line.hasSuffix(" " + $0) }, "\(line)")
            }
            #expect(finished.lines.last == "alive 1")
        }

        @Test("it can't change its network", arguments: Caller.possible)
        func network(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.script(
                """
                for change in 'link set w0 down' 'route del default' 'addr add 10.0.0.1/8 dev w0' \\
                    'link del w0' 'link add d0 type dummy' 'rule add from all lookup 99'; do
                    ip $change 2>/dev/null && echo "allowed: $change"
                done
                python3 - <<'END'
                import socket
                for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, 255), (socket.AF_PACKET, socket.SOCK_RAW, 768)):
                    try:
                        socket.socket(family, kind, protocol); print("allowed: raw", family)
                    except PermissionError: pass
                s = socket.socket()
                try:
                    s.bind(("198.18.9.9", 0)); print("allowed: foreign source")
                except OSError: pass
                for address in (("127.0.0.1", 22), ("198.18.200.200", 80)):
                    try: socket.create_connection(address, 1); print("allowed:", address)
                    except OSError: pass
                END
                true
                """)
            #expect(finished.output == "", "\(finished.errors)")
        }

        @Test(
            "it has low ports, ping, a loopback of both families and its own VIP", arguments: Caller.possible)
        func comforts(caller: Caller) throws {
            let bench = try Bench(caller)
            let script = """
                import socket
                for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")):
                    s = socket.socket(family); s.bind((address, 80)); s.listen()
                    socket.create_connection(("127.0.0.1" if address == "::" else address, 80)).close()
                    s.close()
                own = socket.gethostbyname("web.shop.mesh")
                assert own == socket.gethostbyname("web.mesh")
                probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                for target in ("198.18.0.53", "198.18.40.40", "8.8.8.8"):
                    probe.connect((target, 9)); print(probe.getsockname()[0] == own)
                echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
                echo.settimeout(5)
                echo.sendto(b"\\x08\\0\\0\\0\\0\\0\\0\\x01", ("198.18.40.40", 0)); print(len(echo.recv(100)) > 0)
                print(socket.gethostbyname(socket.gethostname()))
                """
            let finished = try bench.run(["--name", "shop/web", "--", "python3", "-c", script])
            #expect(finished.errors.isEmpty)
            #expect(finished.lines.prefix(4) == ["True", "True", "True", "True"])
        }

        @Test(
            "its ids, groups, umask, folder, arguments and environment are its caller's",
            arguments: Caller.possible)
        func surroundings(caller: Caller) throws {
            let bench = try Bench(caller)
            bench.environment["KEPT"] = "a b"
            let finished = try bench.script(
                "id -u; id -g; umask; pwd; echo $KEPT; echo \"[$MESH_STATE_URL]\"")
            // Asking umask(2) would change it, for every test of this process.
            let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Umask:") })
            let mask = try #require(line.split(whereSeparator: \.isWhitespace).last)
            #expect(
                finished.lines == [
                    "\(caller.userID)", "\(caller.groupID)", String(mask), "/tmp", "a b",
                    "[]",
                ])
            let stateful = try bench.script(
                "echo $MESH_STATE_URL", options: ["--name", "stateful", "--consistency", "eventual"])
            #expect(stateful.output == "redis://state.mesh:6379\n")
        }

        @Test("with its caller's ids it has no capability and gains none", arguments: Caller.possible)
        func capabilities(caller: Caller) throws {
            let bench = try Bench(caller)
            let finished = try bench.script(
                "grep -E 'Cap(Prm|Eff|Amb)|NoNewPrivs' /proc/self/status", options: ["--user", "keep"])
            #expect(
                finished.lines == [
                    "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000",
                    "NoNewPrivs:\t1",
                ])
        }

        @Test("descriptors that its caller left open are closed", arguments: Caller.possible)
        func descriptors(caller: Caller) throws {
            let bench = try Bench(caller)
            let wrapper = ["/bin/sh", "-c", "exec \"$@\" 3</etc/passwd 9</etc", "sh"]
            let finished = try bench.start(["--", "ls", "/proc/self/fd"], wrapper: wrapper).finish()
            // The last is the listing's own.
            #expect(finished.lines == ["0", "1", "2", "3"])
        }

        @Test("root inside can change its ids to others that the host has")
        func rootChangesIDs() throws {
            guard Caller.root.isPossible else { return }
            let bench = try Bench(.root)
            let finished = try bench.script("setpriv --reuid=33 --regid=33 --clear-groups id")
            #expect(finished.output.contains("uid=33"))
        }

        @Test("an ordinary user can be root inside, by the ranges set aside for it")
        func subordinateRoot() throws {
            guard Caller.root.isPossible, access("/usr/bin/newuidmap", X_OK) == 0 else {
                return print("SKIPPED: user: root for an ordinary user needs root and newuidmap")
            }
            let account = try TemporaryAccount()
            let bench = try Bench(.root)
            for part in ["", "run", "state", "state/trust", "state/trust/bundle", "config", "cache", "bin"] {
                chown(bench.path(part), account.userID, account.userID)
            }
            let become = [
                "/usr/bin/setpriv", "--reuid=\(account.name)", "--regid=\(account.name)", "--init-groups",
            ]
            let script = ["--user", "root", "--", "/bin/sh", "-c"]
            let finished = try bench.start(
                script + [
                    "id -u; setpriv --reuid=33 --regid=33 --clear-groups id -u; tail -n +2 /proc/self/uid_map | grep -c 65536"
                ],
                wrapper: become
            ).finish()
            #expect(finished.lines.prefix(2) == ["0", "33"], "\(finished.errors)")
            #expect(Int(finished.lines.last ?? "") ?? 0 >= 1, "\(finished.output)")
            account.dropRanges()
            let refused = try bench.start(script + ["true"], wrapper: become).finish()
            #expect(refused.end == .exited(125))
            #expect(refused.errors.contains("usermod --add-subuids"))
            bench.expectNoLeftovers()
        }

        @Test("started by root for a Unix user, it is that user's, with folders of its own")
        func namedUser() throws {
            guard Caller.root.isPossible, let entry = getpwnam("nobody") else { return }
            let bench = try Bench(.root)
            let user = entry.pointee.pw_uid
            let finished = try bench.script(
                "id -un; echo $USER $HOME; grep NoNewPrivs /proc/self/status", options: ["--user", "nobody"])
            #expect(
                try bench.script("echo [$MESH_RUNTIME_DIR]", options: ["--user", "nobody"]).output
                    == "[\(bench.path("run"))]\n", "its environment stays")
            let home = String(cString: entry.pointee.pw_dir)
            #expect(finished.lines == ["nobody", "nobody \(home)", "NoNewPrivs:\t1"], "\(finished.errors)")
            let start = try #require(bench.messages(1).first)
            #expect(start[4] as? String == bench.path("run") + "/user/\(user)")
            #expect(start[5] as? String == bench.path("state") + "/user/\(user)")
            #expect(Host.link(bench.path("run/user/\(user)/node")) == bench.path("run/node"))
            let nobody = try bench.script("true", options: ["--user", "no-such-user"])
            #expect(nobody.end == .exited(125))
            #expect(nobody.errors.contains("no-such-user"))
            bench.expectNoLeftovers()
        }
    }
}

/// An account of the host for as long as a test lasts, with ids set aside for it.
private final class TemporaryAccount {
    let name = "mesh-launch-test"
    let userID: uid_t

    init() throws {
        TemporaryAccount.run(["/usr/sbin/useradd", "--no-create-home", "--user-group", name])
        TemporaryAccount.run(
            [
                "/usr/sbin/usermod", "--add-subuids", "2000000-2065535", "--add-subgids", "2000000-2065535",
                name,
            ])
        userID = try #require(getpwnam(name)).pointee.pw_uid
    }

    func dropRanges() {
        let ranges = ["/etc/subuid", "/etc/subgid"]
        for file in ranges {
            guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { continue }
            let kept = text.split(separator: "\n").filter { !$0.hasPrefix(name + ":") }
            try? (kept.map { $0 + "\n" }.joined()).write(toFile: file, atomically: false, encoding: .utf8)
        }
    }

    deinit { TemporaryAccount.run(["/usr/sbin/userdel", name]) }

    private static func run(_ words: [String]) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: words[0])
        process.arguments = Array(words.dropFirst())
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return }
        process.waitUntilExit()
    }
}
