// IPv6, which the veth datapath has beside IPv4.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct IPv6Tests {
    @Test("a name has an IPv6 address, which has the name", arguments: Setting.onVeth)
    func names(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("dig")
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let script = """
                dig +short +time=10 AAAA web.mesh > a; cat a
                dig +short +time=10 -x $(cat a)
                getent ahostsv6 web.mesh | head -1 | cut -d' ' -f1
                getent hosts $(cat a) | tr -s ' ' | cut -d' ' -f2
                dig +time=10 +tries=1 AAAA other.mesh | sed -n 's/.*status: \\([A-Z]*\\).*/\\1/p'
                """
            let client = try await mesh.run("client", calls: ["web"], command: ["sh", "-c", script])
            let lines = client.output.split(separator: "\n").map(String.init)
            try #require(lines.count == 5, "\(client)")
            #expect(lines[0].hasPrefix("fd"), "\(client)")
            #expect(lines[1] == "web.mesh.", "\(client)")
            #expect(lines[2] == lines[0], "\(client)")
            #expect(lines[3] == "web.mesh", "\(client)")
            #expect(lines[4] == "NXDOMAIN", "\(client)")
        }
    }

    @Test(
        "curl reaches a server of IPv4 over IPv6, by name, by address and unasked",
        arguments: Setting.onVeth)
    func curl(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("dig")
            _ = try await mesh.nginx("web", port: 8080, accepts: ["client"])
            let script = """
                ask() { curl -sS --max-time 30 -w '%{remote_ip}\\n' "$@"; }
                address=$(dig +short +time=10 AAAA web.mesh)
                ask -6 http://web.mesh:8080/
                ask "http://[$address]:8080/"
                ask http://web.mesh:8080/
                ask -4 http://web.mesh:8080/
                echo $address
                """
            let client = try await mesh.run("client", calls: ["web"], command: ["sh", "-c", script])
            let lines = client.output.split(separator: "\n").map(String.init)
            try #require(lines.count == 9, "\(client)")
            let address = lines[8]
            for line in [0, 2, 4, 6] { #expect(lines[line] == "the page of web", "\(client)") }
            #expect(lines[1] == address && lines[3] == address && lines[5] == address, "\(client)")
            #expect(lines[7].hasPrefix("198.18."), "\(client)")
        }
    }

    @Test(
        "a server of IPv6 alone is reached over both, and sees its caller's IPv6 address",
        arguments: Setting.onVeth, ["::", "::1"])
    func callersAddress(_ setting: Setting, _ address: String) async throws {
        try await Mesh.with(setting) { mesh in
            let source = Peer.namesItsCaller.replacingOccurrences(
                of: "(\"0.0.0.0\", 7000)", with: "(\"\(address)\", 7000), family=socket.AF_INET6"
            ).replacingOccurrences(of: "(address, port)", with: "(address, port, _, _)")
            let server = try mesh.peer(source, accepts: ["client"])
            try await server.listens(on: 7000)
            let script = """
                nc -6 -d -w 20 server.mesh 7000; echo
                nc -4 -d -w 20 server.mesh 7000; echo
                ip -6 -o addr show dev w0 scope global | grep -o 'fd[0-9a-f:]*'
                """
            let client = try await mesh.run("client", calls: ["server"], command: ["sh", "-c", script])
            let lines = client.output.split(separator: "\n").map(String.init)
            try #require(lines.count == 3, "\(client)")
            for line in lines[..<2] {
                let words = line.split(separator: " ").map(String.init)
                try #require(words.count == 3, "\(client)")
                // In the local half, where the server takes none but local callers.
                let seen =
                    address == "::"
                    ? words[0] : words[0].replacingOccurrences(of: ":8000::", with: "::")
                #expect(seen == lines[2] && (address == "::") == (words[0] == lines[2]), "\(client)")
                #expect(words[1] == "client.mesh", "\(client)")
            }
        }
    }

    @Test("datagrams over IPv6 are answered, or refused", arguments: Setting.onVeth)
    func datagrams(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("/usr/bin/python3")
            let echo = """
                import socket
                server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                server.bind(("::", 7000))
                while True:
                    text, caller = server.recvfrom(2000)
                    server.sendto(text + caller[0].encode(), caller)
                """
            let server = try mesh.launch(
                "server", serves: ["7000/udp", "7001/udp"], accepts: ["client"],
                command: try mesh.python("echo", echo))
            try await server.receives(on: 7000)
            let ask = """
                import socket
                def ask(family, port):
                    peer = socket.socket(family, socket.SOCK_DGRAM)
                    peer.settimeout(20)
                    peer.connect(socket.getaddrinfo("server.mesh", port, family)[0][4])
                    peer.send(b"from ")
                    try:
                        own = peer.getsockname()[0]
                        return peer.recv(2000).decode(), own
                    except ConnectionRefusedError:
                        return "refused", own
                answer, own = ask(socket.AF_INET6, 7000)
                print(answer == "from " + own, own[:2])
                print(ask(socket.AF_INET, 7000)[0] == "from " + own)
                print(ask(socket.AF_INET6, 7001)[0])
                """
            let client = try await mesh.run(
                "client", calls: ["server"], command: try mesh.python("ask", ask))
            #expect(client.output == "True fd\nTrue\nrefused\n", "\(client)")
        }
    }

    @Test(
        "what isn't offered is refused, and nothing leads out of the domain's network",
        arguments: Setting.onVeth)
    func refusals(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.readsThenAnswers, accepts: ["client"])
            try await server.listens(on: 7000)
            let script = """
                import errno, ipaddress, socket, sys
                def meet(address, port, scope=0, kind=socket.SOCK_STREAM):
                    peer = socket.socket(socket.AF_INET6, kind)
                    peer.settimeout(20)
                    try:
                        peer.connect((str(address), port, 0, scope))
                        if kind == socket.SOCK_DGRAM:
                            peer.send(b"x")
                            peer.recv(1)
                        return "connected"
                    except OSError as error:
                        return errno.errorcode.get(error.errno, str(error))
                found = socket.getaddrinfo("server.mesh", 7000, socket.AF_INET6)[0][4][0]
                server = int(ipaddress.ip_address(found))
                address = ipaddress.IPv6Address
                print("served", meet(found, 7000))
                print("another port", meet(found, 7001))
                # 16 bits of offset end an address; nobody has one above 65,023.
                print("nobody", meet(address(server | 0xFFFF), 7000))
                print("local half", meet(address(server | 1 << 79), 7000))
                print("another domain", meet(address(server ^ 1 << 81), 7000))
                print("outside", meet("2001:db8::1", 80))
                print("datagram", meet(address(server | 0xFFFF), 7000, 0, socket.SOCK_DGRAM))
                # The mesh side's own address: nothing is behind it.
                device = socket.if_nametoindex("w0")
                gateway = [*range(1, 1025), 7000]
                print("gateway", {meet("fe80::1", port, device) for port in gateway} & {"connected"})
                """
            let client = try await mesh.run(
                "client", calls: ["server"], command: try mesh.python("refusals", script))
            let expected = """
                served connected
                another port ECONNREFUSED
                nobody ECONNREFUSED
                local half ECONNREFUSED
                another domain ENETUNREACH
                outside ENETUNREACH
                datagram ECONNREFUSED
                gateway set()

                """
            #expect(client.output == expected, "\(client)")
            let stranger = try await mesh.run(
                "stranger", calls: ["server"],
                command: ["nc", "-6", "-zv", "-w", "20", "server.mesh", "7000"])
            #expect(stranger.error.contains("Connection refused"), "\(stranger)")
        }
    }
}
