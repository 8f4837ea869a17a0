// A small HTTP server for a scraper: `GET /metrics`, one request a connection.
//
// Theory of operation
//
//   One thread polls. Connections are few (a scraper or two) and each is allowed little: 16 at once, 8 KiB
//   of request, five seconds. An answer is written in one go, to a socket whose send timeout bounds it.

import Glibc
import SidecarProtocol

struct MetricsServer {
    /// As it is listened on.
    let address: String
    private let listener: Int32

    private struct Connection {
        let descriptor: Int32
        /// In seconds of the wall clock.
        let deadline: Int
        var request: [UInt8] = []
    }

    private static let connectionsMaximum = 16
    private static let requestBytesMaximum = 8_192
    private static let patienceSeconds = 5

    /// - Parameter address: `127.0.0.1:9464` or `[::1]:9464`.
    init(_ address: String) throws(Complaint) {
        let fix = "give an address and port such as 127.0.0.1:9464"
        let host: String
        let port: UInt16
        do throws(ConfigurationError) {
            (host, port) = try ConfigurationGrammar.hostAndPort(address, fix: fix)
        } catch {
            throw Complaint(error.what, fix: error.fix, exitCode: 64)
        }
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0, let found = list else {
            throw Complaint("\"\(host)\" is not an address", fix: fix, exitCode: 64)
        }
        defer { freeaddrinfo(list) }
        listener = socket(
            found.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard bind(listener, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0,
            Glibc.listen(listener, 16) == 0, fcntl(listener, F_SETFL, O_NONBLOCK) == 0
        else {
            throw Complaint(
                "\(address) can't be listened on: \(errorText(errno))", fix: "choose another port or address")
        }
        self.address = address
    }

    /// Answers until the process ends. `metrics` gives the text, or nil where it can't be had.
    func serve(_ metrics: () -> String?) -> Never {
        var connections: [Connection] = []
        while true {
            var polled = connections.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
            let hasRoom = connections.count < MetricsServer.connectionsMaximum
            if hasRoom { polled.append(pollfd(fd: listener, events: Int16(POLLIN), revents: 0)) }
            poll(&polled, nfds_t(polled.count), connections.isEmpty ? -1 : 1_000)
            let now = WallClock.now()
            var kept: [Connection] = []
            for (var connection, entry) in zip(connections, polled) {
                let goesOn =
                    entry.revents == 0 || MetricsServer.proceed(&connection, metrics)
                if goesOn, connection.deadline > now {
                    kept.append(connection)
                } else {
                    close(connection.descriptor)
                }
            }
            connections = kept
            if hasRoom, polled.last?.revents != 0, let new = accepted(now) { connections.append(new) }
        }
    }

    private func accepted(_ now: Int) -> Connection? {
        let descriptor = accept(listener, nil, nil)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        var limit = timeval(tv_sec: MetricsServer.patienceSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        return Connection(descriptor: descriptor, deadline: now + MetricsServer.patienceSeconds)
    }

    /// Reads what has come, and answers a whole request; false once the connection is done with.
    private static func proceed(_ connection: inout Connection, _ metrics: () -> String?) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = recv(connection.descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        if count < 0 { return errno == EAGAIN || errno == EINTR }
        connection.request += buffer[..<count]
        guard let response = response(to: connection.request, metrics) else {
            return count > 0 && connection.request.count <= requestBytesMaximum
        }
        sendAll(connection.descriptor, response)
        return false
    }

    /// Nil where the request isn't whole yet.
    static func response(to request: [UInt8], _ metrics: () -> String?) -> [UInt8]? {
        let text = String(decoding: request, as: UTF8.self)
        guard text.contains("\r\n\r\n") || text.contains("\n\n") else { return nil }
        let words = text.prefix { !$0.isNewline }.split(separator: " ")
        guard words.count == 3, words[2].hasPrefix("HTTP/1.") else {
            return response("400 Bad Request", "this is not HTTP/1\n", isHead: false)
        }
        guard words[0] == "GET" || words[0] == "HEAD" else {
            return response("405 Method Not Allowed", "use GET\n", isHead: false)
        }
        let isHead = words[0] == "HEAD"
        guard words[1].prefix(while: { $0 != "?" }) == "/metrics" else {
            return response("404 Not Found", "metrics are at /metrics\n", isHead: isHead)
        }
        guard let body = metrics() else {
            return response("503 Service Unavailable", "the instances can't be read\n", isHead: isHead)
        }
        return response("200 OK", body, isHead: isHead)
    }

    private static func response(_ status: String, _ body: String, isHead: Bool) -> [UInt8] {
        let head =
            "HTTP/1.1 \(status)\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
            + "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n"
        return Array((isHead ? head : head + body).utf8)
    }

    private static func sendAll(_ descriptor: Int32, _ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
