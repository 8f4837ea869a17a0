// What users' machines do to a mesh: floods, too few descriptors, a wrong clock, a full disk.

import Foundation
import Glibc
import Testing

@Suite(.timeLimit(.minutes(10)))
struct FaultTests {
    /// The caller's sidecar may have 1,024 descriptors, so some 770 flows; 10,000 connections come at once.
    @Test(
        "10,000 connections at once against a limit: those beyond it are refused, the rest live",
        arguments: Setting.pairs)
    func flood(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let server = try mesh.peer(Peer.holdsAndCounts)
            try await server.listens(on: 7000)
            try mesh.write(Peer.floods, to: "floods.py")
            let client = try mesh.start(
                [
                    "prlimit", "--nofile=1024:1024", "mesh-launch", "--datapath", setting.datapath.rawValue,
                    "--name", "client", "--call", "server", "--", "/usr/bin/python3", "-u",
                    "\(mesh.work)/floods.py", "20", "500",
                ], as: "client")
            let outcome = try await client.outcome(within: .seconds(120))
            let words = outcome.line.split(separator: " ").compactMap { Int($0) }
            try #require(outcome.isSuccess && words.count == 3, "\(outcome)")
            // Open at once, refused or reset, and whether one more got through afterwards.
            #expect(words[0] > 100 && words[0] < 1_024, "\(outcome)")
            #expect(words[0] + words[1] == 10_000, "\(outcome)")
            #expect(words[2] == 1, "\(outcome)")
            #expect(try await server.status()["ready"].isTrue)
        }
    }

    @Test("a clock that is two hours ahead gets no session, and its sidecar says why", arguments: Setting.one)
    func clockAhead(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            try Skip.unlessInstalled("faketime")
            let server = try mesh.peer(Peer.readsThenAnswers)
            try await server.listens(on: 7000)
            let client = try mesh.start(
                [
                    "faketime", "-f", "+2h", "mesh-launch", "--datapath", setting.datapath.rawValue, "--name",
                    "client", "--call", "server", "--", "nc", "-w", "5", "server.mesh", "7000",
                ], as: "client")
            let outcome = try await client.outcome(within: .seconds(60))
            #expect(!outcome.isSuccess, "\(outcome)")
            #expect(outcome.error.contains("clock"), "\(outcome)")
        }
    }

    /// Its records wait, which is said; its flows go on, and the records come when there is space.
    @Test(
        "a full disk holds up records and no flow, and clears by itself", arguments: [Setting(.veth, .root)])
    func fullDisk(_ setting: Setting) async throws {
        try await Mesh.with(setting) { mesh in
            let folder = mesh.state + "/records"
            mkdir(mesh.state, 0o700)
            mkdir(folder, 0o700)
            let mounted = try await mesh.host("mount", "-t", "tmpfs", "-o", "size=64k", "mesh-test", folder)
            try #require(mounted.isSuccess, "\(mounted)")
            do {
                try await fillAndClear(mesh, folder)
                _ = try await mesh.host("umount", "-l", folder)
            } catch {
                _ = try await mesh.host("umount", "-l", folder)
                throw error
            }
        }
    }

    private func fillAndClear(_ mesh: Mesh, _ folder: String) async throws {
        let server = try mesh.peer(Peer.readsThenAnswers)
        try await server.listens(on: 7000)
        _ = try await mesh.host("sh", "-c", "head -c 1M /dev/zero > \(folder)/filler 2>/dev/null; true")
        let client = try await mesh.ask(Peer.sendsThenReads, "100000")
        #expect(client.line == "got 100000", "\(client)")
        try await eventually("records to wait for the disk") { try await metric("pressed", of: server) == 1 }
        unlink(folder + "/filler")
        try await eventually("the disk to clear") { try await metric("pressed", of: server) == 0 }
        let again = try await mesh.ask(Peer.sendsThenReads, "100000")
        #expect(again.line == "got 100000", "\(again)")
        let (caller, callee) = try await mesh.closedFlow(from: "client", to: "server")
        #expect(caller["flow_id"].text == callee["flow_id"].text)
        #expect(try await metric("gaps_total", of: server) == 0)
    }

    private func metric(_ name: String, of server: Running) async throws -> Int {
        let folder = try await server.instanceFolder()
        let text = AdminSocket.text("/metrics", of: folder) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("mesh_records_\(name)") }
        return line.flatMap { Double($0.split(separator: " ").last ?? "") }.map { Int($0) } ?? -1
    }
}

extension Peer {
    /// Keeps every connection until its other end ends it, and answers each byte.
    static let holdsAndCounts = """
        import asyncio, resource
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        async def hold(reader, writer):
            try:
                while part := await reader.read(100):
                    writer.write(part)
                    await writer.drain()
            except OSError:
                pass
            writer.close()
        async def main():
            server = await asyncio.start_server(hold, "0.0.0.0", 7000, backlog=4096)
            async with server:
                await server.serve_forever()
        asyncio.run(main())
        """

    /// So many processes open so many connections each, all at once, and keep those that answer. Prints how
    /// many answered, how many didn't, and whether one more gets through once all are closed.
    static let floods = """
        import asyncio, multiprocessing, socket, sys, time
        processes, each = int(sys.argv[1]), int(sys.argv[2])
        address = (socket.gethostbyname("server.mesh"), 7000)
        async def one(held):
            try:
                reader, writer = await asyncio.open_connection(*address)
                writer.write(b"x")
                if await reader.read(1) == b"x":
                    held.append(writer)
                    return True
            except OSError:
                pass
            return False
        async def many():
            held = []
            answers = await asyncio.gather(*(one(held) for _ in range(each)))
            return sum(answers), held
        def flood(count, all_done):
            async def run():
                found, held = await many()
                with count.get_lock():
                    count.value += found
                await asyncio.to_thread(all_done.wait)
                for writer in held:
                    writer.close()
            asyncio.run(run())
        count = multiprocessing.Value("i", 0)
        all_done = multiprocessing.Barrier(processes)
        workers = [multiprocessing.Process(target=flood, args=(count, all_done)) for _ in range(processes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        through = 0
        for _ in range(100):
            try:
                with socket.create_connection(address, 5) as again:
                    again.sendall(b"y")
                    if again.recv(1) == b"y":
                        through = 1
                        break
            except OSError:
                time.sleep(0.1)
        print(count.value, processes * each - count.value, through)
        """
}
