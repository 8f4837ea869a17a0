import Glibc
import Testing

@testable import MeshCommand

@Suite struct AdminClientTests {
    @Test("an answer is read with a length, in chunks of any size, and to the end of the connection")
    func framings() {
        let mesh = FakeMesh()
        let text = String(repeating: "0123456789", count: 20_000)
        let sidecar = mesh.start(
            "default/web",
            ["/a": .init(200, text), "/b": .init(409, text, chunk: 7_001), "/c": .init(200, "", chunk: 1)])
        let socket = mesh.folder + "/instances/3f9a01c2d4e5f607/admin.sock"
        let answers = AdminClient.ask([
            (socket, .get("/a")), (socket, .post("/b", [1, 2])), (socket, .get("/c")),
        ])
        #expect(answers[0] == .success(AdminAnswer(status: 200, body: Array(text.utf8))))
        #expect(answers[1] == .success(AdminAnswer(status: 409, body: Array(text.utf8))))
        #expect(answers[2] == .success(AdminAnswer(status: 200, body: [])))
        #expect(sidecar.body(of: "POST /b") == [1, 2])
        let toTheEnd = AdminAnswer.read(Array("HTTP/1.0 200 OK\r\n\r\nall".utf8), isEnd: true)
        #expect(toTheEnd == .complete(AdminAnswer(status: 200, body: Array("all".utf8))))
    }

    @Test("an answer is the same however it is cut, and never complete too early")
    func cuts() {
        let whole = Array(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"
                .utf8)
        let expected = AdminAnswer(status: 200, body: Array("abc0123456789".utf8))
        // The last chunk's line says that it is the end; what follows it is nothing.
        let enough = whole.count - 2
        for count in 0..<whole.count {
            let reading = AdminAnswer.read(Array(whole[..<count]), isEnd: false)
            #expect(reading == (count >= enough ? .complete(expected) : .incomplete), "\(count)")
        }
    }

    @Test(
        "what isn't HTTP, or lies about its length, is refused",
        arguments: [
            "", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc",
        ])
    func refuses(text: String) {
        #expect(AdminAnswer.read(Array(text.utf8), isEnd: true) == .malformed)
    }

    @Test("no damage to an answer ends the process")
    func mutations() {
        var random = SplitMix(state: 7)
        let original = Array(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".utf8)
        for _ in 0..<5_000 {
            var bytes = original
            for _ in 0...Int(random.next() % 4) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            _ = AdminAnswer.read(bytes, isEnd: random.next() % 2 == 0)
        }
    }

    @Test("a sidecar that hangs, one that has ended and one without a socket don't hide the one that answers")
    func others() throws {
        let mesh = FakeMesh()
        mesh.start("default/web")
        mesh.start("default/gone", instance: "aaaaaaaaaaaaaaaa").stop()
        let silent = try listeningSocket(mesh.folder + "/silent.sock")
        defer { close(silent) }
        let instances = mesh.folder + "/instances/"
        let answers = AdminClient.ask(
            [
                (mesh.folder + "/silent.sock", .get("/status")),
                (instances + "aaaaaaaaaaaaaaaa/admin.sock", .get("/")),
                (instances + "bbbb/admin.sock", .get("/")),
                (instances + "3f9a01c2d4e5f607/admin.sock", .get("/status")),
            ], patience: 200)
        #expect(answers[0] == .failure(.silent))
        #expect(answers[2] == .failure(.gone))
        #expect(try answers[3].get().isOK)
        #expect(answers[1] == .failure(.gone))
    }

    @Test("a path that is too long for a socket is an error, not a crash")
    func longPath() {
        let answer = AdminClient.ask("/" + String(repeating: "x", count: 200), .get("/"))
        guard case .failure(.unreachable) = answer else { return #expect(Bool(false), "\(answer)") }
    }
}
