import Testing

@testable import SidecarProtocol

@Suite("Requests as clients send them")
struct RequestParserTests {
    /// What a parser makes of pieces: the requests, and the error that ended them.
    static func read(_ pieces: [[UInt8]], bulkMaximum: Int = 1 << 20) -> ([[ByteString]], String?) {
        var parser = RequestParser()
        parser.bulkBytesMaximum = bulkMaximum
        var requests: [[ByteString]] = []
        for piece in pieces {
            piece.withUnsafeBytes { parser.append($0) }
            loop: while true {
                switch parser.next() {
                case .incomplete: break loop
                case .request: requests.append(Array(parser.arguments))
                case .violation(let text): return (requests, text)
                }
            }
        }
        return (requests, nil)
    }

    private static func read(_ text: String) -> ([[ByteString]], String?) { read([Array(text.utf8)]) }

    static let mixed =
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhe\r\no\r\nPING\r\n*0\r\n\r\n"
        + "set a \"b \\x41\\n\" 'c d'\r\n*1\r\n$0\r\n\r\n*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n"

    @Test("an array of bulk strings and lines are read, empty ones are passed over")
    func reads() {
        let (requests, error) = Self.read(Self.mixed)
        #expect(error == nil)
        #expect(
            requests == [
                ["SET", "k", "he\r\no"], ["PING"], ["set", "a", "b A\n", "c d"], [""], ["ECHO", "\r\n"],
            ])
    }

    @Test("wherever the input is divided, the requests are the same")
    func divided() {
        let bytes = Array(Self.mixed.utf8)
        let whole = Self.read([bytes])
        for first in 0...bytes.count {
            for second in first...bytes.count {
                let pieces = [
                    Array(bytes[..<first]), Array(bytes[first..<second]), Array(bytes[second...]),
                ]
                let divided = Self.read(pieces)
                #expect(divided.0 == whole.0 && divided.1 == whole.1, "\(first), \(second)")
            }
        }
        #expect(Self.read(bytes.map { [$0] }).0 == whole.0)
    }

    @Test(
        "a long argument arrives whole, however it is divided", arguments: [1, 1000, 32_767, 32_768, 70_000])
    func long(piece: Int) {
        var numbers = SeededNumbers(state: 7)
        let value = numbers.bytes(100_000)
        let bytes = Array("*2\r\n$4\r\nECHO\r\n$100000\r\n".utf8) + value + Array("\r\nPING\r\n".utf8)
        let pieces = stride(from: 0, to: bytes.count, by: piece).map {
            Array(bytes[$0..<min($0 + piece, bytes.count)])
        }
        let (requests, error) = Self.read(pieces)
        #expect(error == nil && requests == [["ECHO", ByteString(value)], ["PING"]])
    }

    @Test(
        "what no client may send is told in Redis's words",
        arguments: [
            ("*x\r\n", "invalid multibulk length"), ("*1048577\r\n", "invalid multibulk length"),
            ("*1\r\n:1\r\n", "expected '$', got ':'"), ("*1\r\n$-1\r\n", "invalid bulk length"),
            ("*1\r\n$1048577\r\n", "invalid bulk length"), ("*1\r\n$01\r\n", "invalid bulk length"),
            ("set \"a\r\n", "unbalanced quotes in request"), ("set 'a'b\r\n", "unbalanced quotes in request"),
        ])
    func violations(text: String, error: String) {
        #expect(Self.read(text).1 == error)
    }

    @Test("the limits hold at their value, and not one past it")
    func limits() {
        #expect(Self.read("*\(Limits.stateArgumentsMaximum)\r\n").1 == nil)
        #expect(Self.read("*1\r\n$1048576\r\n").1 == nil)
        let line = [UInt8](repeating: UInt8(ascii: "a"), count: Limits.stateInlineBytesMaximum)
        #expect(Self.read([line]).1 == nil)
        #expect(Self.read([line + [97]]).1 == "too big inline request")
        #expect(Self.read([Array("*".utf8) + line]).1 == "too big mbulk count string")
        #expect(Self.read([Array("*1\r\n$".utf8) + line]).1 == "too big bulk count string")
    }

    @Test("one who hasn't said who it is may only send what that takes")
    func unauthenticated() {
        for (text, error) in [
            ("*11\r\n", "unauthenticated multibulk length"),
            ("*1\r\n$16385\r\n", "unauthenticated bulk length"),
        ] {
            var parser = RequestParser()
            parser.isUnauthenticated = true
            Array(text.utf8).withUnsafeBytes { parser.append($0) }
            #expect(parser.next() == .violation(error))
        }
    }

    @Test("an announced length takes no memory until its bytes arrive")
    func announced() {
        var parser = RequestParser()
        Array("*2\r\n$4\r\nECHO\r\n$536870912\r\n".utf8).withUnsafeBytes { parser.append($0) }
        #expect(parser.next() == .incomplete)
        #expect(parser.pendingBytes < 100)
    }
}
