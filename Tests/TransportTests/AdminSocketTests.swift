import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol
import Testing

@testable import Transport

@Suite("Admin socket")
struct AdminSocketTests {
    @Test("a request is answered by its method and path, and the socket is its owner's alone")
    func answers() async throws {
        try await withSocket { path in
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
            let answer = try exchange(path, "GET /a?b=c HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(answer.hasSuffix("\r\n\r\nget /a 0"))
        }
    }

    @Test("a body comes whole up to the limit, and is refused past it")
    func bodies() async throws {
        try await withSocket { path in
            for (count, status) in [
                (Limits.adminBodyBytesMaximum, "200"), (Limits.adminBodyBytesMaximum + 1, "413"),
            ] {
                let head =
                    "POST /b HTTP/1.1\r\nhost: x\r\ncontent-length: \(count)\r\nconnection: close\r\n\r\n"
                let answer = try exchange(path, head + String(repeating: "x", count: count))
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            }
        }
    }

    @Test("a method that isn't one of this socket is refused with the right ones")
    func methods() async throws {
        try await withSocket { path in
            let answer = try exchange(path, "DELETE /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 405 "))
        }
    }

    @Test("what isn't HTTP is answered as a bad request and closed")
    func garbage() async throws {
        try await withSocket { path in
            let answer = try exchange(path, "\u{1}\u{2}garbage\r\n\r\n")
            #expect(answer.hasPrefix("HTTP/1.1 400 "))
        }
    }

    private func withSocket(_ body: (String) throws -> Void) async throws {
        let path = "/tmp/mesh-admin-\(getpid())-\(UInt32.random(in: 0 ... .max)).sock"
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let open = loop.flatSubmit { () -> EventLoopFuture<NIOLoopBound<AdminSocket>> in
            do {
                return try AdminSocket.open(path: path, on: loop) { request in
                    .text(200, "\(request.method) \(request.path) \(request.body.count)")
                }.assumeIsolated().map { NIOLoopBound($0, eventLoop: loop) }.nonisolated()
            } catch {
                return loop.makeFailedFuture(error)
            }
        }
        let socket = try await open.get()
        try body(path)
        try await loop.submit { socket.value.close() }.get()
        #expect(access(path, F_OK) != 0)
        try await group.shutdownGracefully()
    }

    /// Sends a request and reads until the other end closes.
    private func exchange(_ path: String, _ request: String) throws -> String {
        let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(connected == 0)
        var rest = Array(request.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { break }
            rest = rest.dropFirst(count)
        }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(socket, &chunk, chunk.count)
            guard count > 0 else { break }
            answer += chunk.prefix(count)
        }
        return String(decoding: answer, as: UTF8.self)
    }
}
