// Tools that move bytes, messages and names, as they are.

import Foundation
import Testing

@Suite(.timeLimit(.minutes(10)))
struct ToolTests {
    @Test("mosquitto hands a message from publisher to subscriber", arguments: Setting.otherPairs)
    func mosquitto(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("mosquitto", "mosquitto_sub", "mosquitto_pub")
            let config = try mesh.write("listener 1883 0.0.0.0\nallow_anonymous true\n", to: "mosquitto.conf")
            let broker = try mesh.launch(
                "broker", serves: ["1883"], accepts: ["in", "out"], command: ["mosquitto", "-c", config])
            try await broker.listens(on: 1883)
            let subscriber = try mesh.launch(
                "out", calls: ["broker"],
                command: ["mosquitto_sub", "-h", "broker.mesh", "-t", "news", "-C", "1", "-W", "30"])
            let published = try await mesh.run(
                "in", calls: ["broker"],
                command: ["mosquitto_pub", "-h", "broker.mesh", "-t", "news", "-r", "-q", "1", "-m", "hello"])
            #expect(published.isSuccess, "\(published)")
            #expect(try await subscriber.outcome().line == "hello")
        }
    }

    @Test("iperf3 moves bytes both ways, on several streams", arguments: Setting.pairs)
    func iperf(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("iperf3")
            let server = try mesh.launch(
                "speed", serves: ["5201"], accepts: ["client"], command: ["iperf3", "-s"])
            try await server.listens(on: 5201)
            for direction in [[], ["-R"]] {
                let run = try await mesh.run(
                    "client", calls: ["speed"],
                    command: ["iperf3", "-c", "speed.mesh", "-P", "3", "-n", "8M", "-J"] + direction)
                #expect(run.isSuccess, "\(run)")
                let sums = try JSON(parsing: run.output)["end"]
                // It asks for the receiver's count as soon as all is sent, and not once all is there.
                #expect((sums["sum_sent"]["bytes"].number ?? 0) >= 8 << 20, "\(sums)")
                #expect((sums["sum_received"]["bytes"].number ?? 0) > 0, "\(sums)")
            }
        }
    }

    @Test("iperf3 sends datagrams", arguments: Setting.otherPairs)
    func iperfDatagrams(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("iperf3")
            let server = try mesh.launch(
                "speed", serves: ["5201", "5201/udp"], accepts: ["client"], command: ["iperf3", "-s"])
            try await server.listens(on: 5201)
            let run = try await mesh.run(
                "client", calls: ["speed"],
                command: ["iperf3", "-c", "speed.mesh", "-u", "-b", "4M", "-t", "1", "-l", "1200", "-J"])
            let report = try JSON(parsing: run.output)
            let sum = report["end"]["sum"]
            let (sent, lost) = (sum["packets"].number ?? 0, sum["lost_packets"].number ?? 0)
            withKnownIssue("the first datagram or its answer is lost", isIntermittent: true) {
                #expect(sent > 100 && lost * 10 < sent, "\(report)")
            } when: {
                setting.datapath == .slirp
            }
        }
    }

    @Test("dig asks dnsmasq over TCP and UDP", arguments: Setting.pairs)
    func dnsmasq(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("dnsmasq", "dig")
            let server = try mesh.launch(
                "names", serves: ["5353", "5353/udp"], accepts: ["client"],
                command: [
                    "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
                    "--pid-file=\(mesh.work)/pid", "--port=5353", "--address=/example.test/192.0.2.7",
                ])
            try await server.listens(on: 5353)
            func query(_ options: String...) async throws -> Outcome {
                try await mesh.run(
                    "client", calls: ["names"],
                    command: ["dig", "@names.mesh", "-p", "5353", "+short", "+tries=2", "example.test"]
                        + options)
            }
            let stream = try await query("+tcp")
            #expect(stream.line == "192.0.2.7", "\(stream)")
            let datagram = try await query("+notcp")
            #expect(datagram.line == "192.0.2.7", "\(datagram)")
        }
    }

    @Test("socat echoes what another socat sends until its end", arguments: Setting.otherPairs)
    func socat(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("socat")
            let server = try mesh.launch(
                "echo", serves: ["7000"], accepts: ["client"],
                command: ["socat", "TCP-LISTEN:7000,reuseaddr,fork", "EXEC:cat"])
            try await server.listens(on: 7000)
            let command = "head -c 2000000 /dev/zero | tr '\\0' x | socat -t 30 - TCP:echo.mesh:7000 | wc -c"
            let client = try await mesh.run("client", calls: ["echo"], command: ["sh", "-c", command])
            #expect(client.line == "2000000", "\(client)")
        }
    }

    @Test(
        "nc -z is exact: allowed, denied, not served, and down after the first refusal",
        arguments: Setting.all)
    func netcat(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("nc", "socat")
            // 7001 is served by nobody yet; 7002 is served, but not to this caller; 7003 isn't served at all.
            let server = try mesh.launch(
                "echo", serves: ["7000", "7001", "7002"], accepts: ["client:7000,7001"],
                command: [
                    "sh", "-c",
                    """
                    socat TCP-LISTEN:7000,reuseaddr,fork EXEC:cat &
                    until [ -e \(mesh.work)/go ]; do sleep 0.05; done
                    socat TCP-LISTEN:7001,reuseaddr,fork EXEC:cat
                    """,
                ])
            try await server.listens(on: 7000)
            let client = try mesh.launch(
                "client", calls: ["echo"],
                command: [
                    "sh", "-c",
                    """
                    nc -z -w 10 echo.mesh 7000; echo allowed $?
                    nc -z -w 10 echo.mesh 7002; echo denied $?
                    nc -z -w 10 echo.mesh 7003; echo unserved $?
                    nc -z -w 10 echo.mesh 7001
                    while nc -z -w 10 echo.mesh 7001; do sleep 0.05; done; echo down
                    touch \(mesh.work)/go
                    until nc -z -w 10 echo.mesh 7001; do sleep 0.05; done; echo up
                    echo hello | nc -N -w 10 echo.mesh 7001
                    """,
                ])
            let outcome = try await client.outcome()
            #expect(outcome.output == "allowed 0\ndenied 1\nunserved 1\ndown\nup\nhello\n", "\(outcome)")
        }
    }

    @Test("rsync fetches a tree from an rsync daemon", arguments: Setting.pairs)
    func rsync(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("rsync", "diff")
            for number in 0..<20 {
                try mesh.write(
                    String(repeating: "\(number) ", count: number * 3_000), to: "tree/\(number % 3)/\(number)"
                )
            }
            let config = try mesh.write(
                "use chroot = no\nlog file = /dev/stderr\n[tree]\npath = \(mesh.work)/tree\n",
                to: "rsyncd.conf")
            let server = try mesh.launch(
                "files", serves: ["8730"], accepts: ["client"],
                command: ["rsync", "--daemon", "--no-detach", "--port=8730", "--config=\(config)"])
            try await server.listens(on: 8730)
            let client = try await mesh.run(
                "client", calls: ["files"],
                command: ["rsync", "-r", "rsync://files.mesh:8730/tree/", "\(mesh.work)/copy/"])
            #expect(client.isSuccess, "\(client)")
            let same = try await mesh.host("diff", "-r", "\(mesh.work)/tree", "\(mesh.work)/copy")
            #expect(same.isSuccess, "\(same)")
        }
    }

    @Test("ping reaches the gateway", arguments: Setting.all)
    func ping(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("ping")
            let ping = try await mesh.run(command: ["ping", "-c", "2", "-i", "0.2", "-W", "5", "198.18.0.1"])
            #expect(ping.isSuccess, "\(ping)")
            #expect(ping.output.contains("2 received"), "\(ping)")
        }
    }
}
