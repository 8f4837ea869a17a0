import Foundation
import Glibc

/// The plainest client of an admin socket: one request a connection.
enum AdminSocket {
    /// The JSON answer, or nil where nobody answers (yet, or any more).
    static func get(_ path: String, of instance: String) throws -> JSON? {
        text(path, of: instance).flatMap { try? JSON(parsing: $0) }
    }

    /// The answer's body, or nil where nobody answers.
    static func text(_ path: String, of instance: String) -> String? {
        guard
            let answer = ask("GET \(path) HTTP/1.1\r\nHost: sidecar\r\nConnection: close\r\n\r\n", instance),
            let end = answer.range(of: "\r\n\r\n"), answer.hasPrefix("HTTP/1.1 200")
        else { return nil }
        return String(answer[end.upperBound...])
    }

    private static func ask(_ request: String, _ instance: String) -> String? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var limit = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) {
            $0.copyBytes(from: Array("\(instance)/admin.sock".utf8))
        }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0, send(descriptor, request, request.utf8.count, Int32(MSG_NOSIGNAL)) > 0
        else { return nil }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            answer += buffer[..<count]
        }
        return String(decoding: answer, as: UTF8.self)
    }
}
