// What TCP promises to programs, across two sidecars.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct FlowTests {
    @Test("a caller's half-close reaches the callee, whose answer still comes back", arguments: Setting.pairs)
    func callerHalfCloses(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.readsThenAnswers)
            try await server.listens(on: 7000)
            for size in [0, 1, 3_000_000] {
                let client = try await mesh.ask(Peer.sendsThenReads, "\(size)")
                #expect(client.line == "got \(size)", "\(client)")
            }
        }
    }

    @Test(
        "a callee's banner and half-close arrive before the caller has said a word",
        arguments: Setting.otherPairs)
    func calleeHalfCloses(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.speaksThenReads)
            try await server.listens(on: 7000)
            let client = try await mesh.ask(Peer.listensThenSends, "2000000")
            #expect(client.line == "SSH-2.0-banner", "\(client)")
            try await server.says("read 2000000")
        }
    }

    @Test("a callee's reset is a reset at the caller, and on record", arguments: Setting.pairs)
    func calleeResets(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.resets)
            try await server.listens(on: 7000)
            let client = try await mesh.ask(Peer.meetsTheEnd, "wait")
            withKnownIssue("libslirp turns a reset into an end", isIntermittent: true) {
                #expect(client.line == "reset", "\(client)")
            } when: {
                setting.datapath == .slirp
            }
            let (caller, callee) = try await mesh.closedFlow(from: "client", to: "server")
            #expect(caller["reason"].text == "workload-reset")
            #expect(callee["reason"].text == "workload-reset")
        }
    }

    @Test("a caller's reset is a reset at the callee", arguments: Setting.otherPairs)
    func callerResets(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.tellsTheEnd)
            try await server.listens(on: 7000)
            let input = Pipe()
            _ = try mesh.launch(
                "client", calls: ["server"], input: input.fileHandleForReading.fileDescriptor,
                command: mesh.python("client", Peer.meetsTheEnd, "server.mesh", "reset"))
            // libslirp tells the host of an end where its guest resets.
            try await server.says(setting.datapath == .slirp ? " 1" : "reset 1")
            try input.fileHandleForWriting.close()
        }
    }

    @Test("what a program sent before it ended arrives", arguments: Setting.all)
    func lastBytes(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.readsThenAnswers)
            try await server.listens(on: 7000)
            for size in [10, 200_000, 4_000_000] {
                let client = try await mesh.ask(Peer.sendsAndEnds, "\(size)")
                #expect(client.isSuccess, "\(client)")
                try await server.says("read \(size)\n")
            }
        }
    }

    @Test(
        "a reader that doesn't read stalls its sender alone, and costs bounded memory", arguments: Setting.all
    )
    func backPressure(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.floodsOrEchoes)
            try await server.listens(on: 7000)
            let input = Pipe()
            let late = try mesh.launch(
                "client", calls: ["server"], input: input.fileHandleForReading.fileDescriptor,
                command: [
                    "sh", "-c",
                    """
                    exec 3<&0
                    /usr/bin/python3 -u late.py server.mesh <&3 &
                    until [ -e \(mesh.work)/go ]; do sleep 0.05; done
                    /usr/bin/python3 -u many.py server.mesh 20 </dev/null
                    wait
                    """,
                ])
            try mesh.write(Peer.readsLate, to: "late.py")
            try mesh.write(Peer.echoesMany, to: "many.py")
            try await server.says("stalled at")
            try mesh.write("", to: "go")
            // On the same session, past the flow that is stuck.
            try await late.says("all open")
            for end in [late, server] {
                let sidecar = try #require(try await end.status()["sidecar_pid"].number)
                #expect(Processes.memory(of: sidecar) < 96 << 20)
            }
            let stalled = try #require(
                server.output.split(separator: "\n").compactMap { Int($0.dropFirst("stalled at ".count)) }
                    .first)
            #expect(stalled < 64 << 20, "\(stalled) bytes were taken from a sender that nobody reads")
            try input.fileHandleForWriting.close()
            try await late.says("read \(stalled + 7) the end")
        }
    }

    @Test("many flows between two programs share one session", arguments: Setting.otherPairs)
    func oneSession(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.floodsOrEchoes)
            try await server.listens(on: 7000)
            let input = Pipe()
            let client = try mesh.launch(
                "client", calls: ["server"], input: input.fileHandleForReading.fileDescriptor,
                command: mesh.python("client", Peer.echoesMany, "server.mesh", "200"))
            try await client.says("all open")
            for end in [server, client] {
                let status = try await end.status()
                #expect(status["flows_open"].number == 200)
                #expect(status["peers"].list.count == 1)
                guard geteuid() == 0, let sidecar = status["sidecar_pid"].number else { continue }
                #expect(Sockets.connections(of: sidecar).count == 1)
            }
            try input.fileHandleForWriting.close()
            #expect(try await client.outcome().isSuccess)
            try await eventually("the end of all flows") {
                try await server.status()["flows_open"].number == 0
            }
        }
    }
}

extension Mesh {
    /// One of the tests' own servers on port 7000, which takes calls of `client`.
    func peer(_ source: String, accepts: [String] = ["client"]) throws -> Running {
        try Skip.unlessInstalled("/usr/bin/python3")
        return try launch("server", serves: ["7000"], accepts: accepts, command: python("server", source))
    }

    /// Runs one of the tests' own clients of it.
    func ask(_ source: String, _ argument: String, as name: String = "client") async throws -> Outcome {
        let words = try python(name, source, "server.mesh", argument)
        return try await run(name, calls: ["server"], command: words)
    }
}
