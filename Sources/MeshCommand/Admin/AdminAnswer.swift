// HTTP/1.1 as an admin socket speaks it (RFC 9112): one request, one answer, then the connection ends.

struct AdminRequest: Sendable {
    var method = "GET"
    var path: String
    var body: [UInt8] = []

    static func get(_ path: String) -> AdminRequest { AdminRequest(path: path) }

    static func post(_ path: String, _ body: [UInt8] = []) -> AdminRequest {
        AdminRequest(method: "POST", path: path, body: body)
    }

    var encoded: [UInt8] {
        Array(
            """
            \(method) \(path) HTTP/1.1\r
            Host: mesh\r
            Connection: close\r
            Content-Length: \(body.count)\r
            \r

            """.utf8) + body
    }
}

struct AdminAnswer: Hashable, Sendable {
    let status: Int
    let body: [UInt8]

    var isOK: Bool { (200..<300).contains(status) }
    var text: String { String(decoding: body, as: UTF8.self) }
    var json: JSON? { JSON(parsing: body) }

    enum Reading: Hashable {
        case complete(AdminAnswer)
        case incomplete
        case malformed
    }

    /// An answer is at most this long: the flows of 10,000 connections and much room.
    static let bytesMaximum = 32 << 20

    /// - Parameters:
    ///   - bytes: what has come so far.
    ///   - isEnd: whether the other side has closed.
    static func read(_ bytes: [UInt8], isEnd: Bool) -> Reading {
        guard let head = end(ofHead: bytes) else {
            return isEnd || bytes.count > 65_536 ? .malformed : .incomplete
        }
        let lines = String(decoding: bytes[..<head], as: UTF8.self).split(separator: "\r\n")
        guard let first = lines.first, first.hasPrefix("HTTP/1."), first.utf8.count >= 12,
            let status = Int(first.dropFirst(9).prefix(3)), (100..<600).contains(status)
        else { return .malformed }
        var length: Int?
        var isChunked = false
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { return .malformed }
            let value = parts[1].drop { $0 == " " }
            switch parts[0].lowercased() {
            case "content-length":
                guard let count = Int(value), (0...bytesMaximum).contains(count) else { return .malformed }
                length = count
            case "transfer-encoding": isChunked = value.lowercased() == "chunked"
            default: break
            }
        }
        return body(bytes[(head + 4)...], status: status, length: length, isChunked: isChunked, isEnd: isEnd)
    }

    private static func end(ofHead bytes: [UInt8]) -> Int? {
        bytes.indices.first { bytes[$0...].starts(with: "\r\n\r\n".utf8) }
    }

    private static func body(
        _ rest: ArraySlice<UInt8>, status: Int, length: Int?, isChunked: Bool, isEnd: Bool
    ) -> Reading {
        if isChunked {
            guard let (body, isComplete) = chunks(rest) else { return .malformed }
            if isComplete { return .complete(AdminAnswer(status: status, body: body)) }
            return isEnd ? .malformed : .incomplete
        }
        if let length {
            guard rest.count >= length else { return isEnd ? .malformed : .incomplete }
            return .complete(AdminAnswer(status: status, body: Array(rest.prefix(length))))
        }
        return isEnd ? .complete(AdminAnswer(status: status, body: Array(rest))) : .incomplete
    }

    /// The chunks' content so far, and whether the last one has come; nil where they aren't chunks.
    private static func chunks(_ bytes: ArraySlice<UInt8>) -> (body: [UInt8], isComplete: Bool)? {
        var rest = bytes
        var body: [UInt8] = []
        while let lineEnd = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let digits = rest[..<lineEnd].prefix { Character(Unicode.Scalar($0)).isHexDigit }
            guard let size = Int(String(decoding: digits, as: UTF8.self), radix: 16),
                (0...bytesMaximum).contains(size)
            else { return nil }
            if size == 0 { return (body, true) }
            rest = rest[(lineEnd + 1)...]
            guard rest.count >= size + 2 else { return (body, false) }
            body += rest.prefix(size)
            rest = rest.dropFirst(size + 2)
        }
        return rest.count > 32 ? nil : (body, false)
    }
}
