// Scripts of the workload's state, run by a process of their own.

import CLinuxShims
import Glibc
import Logging
import SidecarProtocol
import Transport

/// The process that runs scripts as the keyspace's engine, on the state's thread.
///
/// A script is atomic, so the thread waits while it runs. The process counts its instructions and ends it when
/// it has had too many. Should it not be done in time all the same, the process is ended; so it is when it
/// says what it may not say. The next script starts another. What a script has written before stays.
final class ScriptClient: ScriptEngine {
    /// Why the process is of no more use.
    private struct Failure: Error {
        let reason: String
        init(_ reason: String) { self.reason = reason }
        init(_ error: SystemError) { self.init("the script was ended: \(error)") }
    }

    private let starter: any ScriptStarter
    private let log: (Int, String) -> Void
    private let patience: MonotonicTime.Span
    private var channel: Int32 = -1
    private var deadline = MonotonicTime(nanoseconds: 0)

    /// - Parameters:
    ///   - patience: how long a script may take.
    ///   - log: takes what scripts log, with Redis's level, 0 to 3.
    init(
        starter: any ScriptStarter, patience: MonotonicTime.Span = Limits.scriptPatience,
        log: @escaping (Int, String) -> Void
    ) {
        self.starter = starter
        self.patience = patience
        self.log = log
    }

    deinit { if channel >= 0 { close(channel) } }

    static func level(_ number: Int) -> Logger.Level {
        switch number {
        case ...1: .debug
        case 2: .notice
        default: .warning
        }
    }

    // MARK: As an engine

    func problem(of script: ByteString) -> String? {
        do throws(Failure) {
            try open()
            try send("C", script.bytes)
            let answer = try receive()
            switch answer.kind {
            case "K": return nil
            case "X":
                let text = ScriptClient.line(answer.body[...])
                return text.hasPrefix("ERR ") ? String(text.dropFirst(4)) : text
            default: throw refusal(answer.kind, answer.body)
            }
        } catch {
            end()
            return error.reason
        }
    }

    func run(
        _ script: ByteString, keys: [ByteString], arguments: [ByteString], version: UInt8,
        call: (ContiguousArray<ByteString>) -> [UInt8]
    ) -> [UInt8] {
        var body: [UInt8] = [version == 3 ? 1 : 0]
        ScriptClient.append(script, to: &body)
        for list in [keys, arguments] {
            ScriptClient.append(list.count, to: &body)
            for item in list { ScriptClient.append(item, to: &body) }
        }
        do throws(Failure) {
            try open()
            try send("E", body)
            return try converse(call)
        } catch {
            end()
            return Array("-ERR \(error.reason)\r\n".utf8)
        }
    }

    /// Serves the script's calls until it is done.
    private func converse(_ call: (ContiguousArray<ByteString>) -> [UInt8]) throws(Failure) -> [UInt8] {
        var lines = 0
        while true {
            let (kind, body) = try receive()
            switch kind {
            case "Q": try send("R", call(try request(body.dropFirst())))
            case "L":
                lines += 1
                guard lines <= Limits.scriptLogLinesMaximum else { continue }
                log(Int(body.first ?? 48) - 48, ScriptClient.line(body.dropFirst()))
            case "D": return body
            case "X": return Array("-\(ScriptClient.line(body[...]))\r\n".utf8)
            default: throw refusal(kind, body)
            }
        }
    }

    /// An array of bulk strings, as the process writes them.
    private func request(_ bytes: ArraySlice<UInt8>) throws(Failure) -> ContiguousArray<ByteString> {
        var parser = RequestParser()
        bytes.withUnsafeBytes { parser.append($0) }
        guard case .request = parser.next() else {
            throw Failure("the script was ended: its call can't be read")
        }
        return parser.arguments
    }

    /// The process can't serve, and says why; or it says what it may not.
    private func refusal(_ kind: Unicode.Scalar, _ body: [UInt8]) -> Failure {
        Failure(
            kind == "F"
                ? ScriptClient.line(body[...])
                : "the script was ended: its process sent a message \(kind.value)")
    }

    /// Text without what would end a line, or trick a terminal.
    private static func line(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.prefix(Limits.scriptTextMaximum).map { $0 < 32 ? 32 : $0 }, as: UTF8.self)
    }

    // MARK: The channel

    /// A new script's time begins.
    private func open() throws(Failure) {
        deadline = Now.current().monotonic + patience
        if channel >= 0, isClosed { end() }
        guard channel < 0 else { return }
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Failure(SystemError("socketpair")) }
        defer { close(ends[1]) }
        // A call that waits is looked after again and again.
        var patience = timeval(tv_sec: 0, tv_usec: 100_000)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(ends[0], SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        do throws(SystemError) { try starter.startScripts(channel: ends[1]) } catch {
            close(ends[0])
            throw Failure(error)
        }
        channel = ends[0]
    }

    /// The process has ended since the last script. Between scripts it has nothing to say either.
    private var isClosed: Bool {
        var byte: UInt8 = 0
        let count = recv(channel, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
        return count >= 0 || errno != EAGAIN
    }

    private func end() {
        guard channel >= 0 else { return }
        close(channel)
        channel = -1
        starter.endScripts()
    }

    private func send(_ kind: Unicode.Scalar, _ body: [UInt8]) throws(Failure) {
        guard body.count < Limits.scriptMessageMaximum else {
            throw Failure(
                "the script was ended: it asked for \(body.count) bytes, more than \(Limits.scriptMessageMaximum)"
            )
        }
        var message: [UInt8] = []
        message.reserveCapacity(body.count + 5)
        ScriptClient.append(body.count + 1, to: &message)
        message.append(UInt8(truncatingIfNeeded: kind.value))
        message += body
        var offset = 0
        while offset < message.count {
            let sent = message.withUnsafeBytes {
                Glibc.send(
                    channel, $0.baseAddress! + offset, $0.count - offset, Int32(MSG_NOSIGNAL))
            }
            if sent > 0 { offset += sent } else { try goOn() }
        }
    }

    private func receive() throws(Failure) -> (kind: Unicode.Scalar, body: [UInt8]) {
        let head = try read(5)
        let count = head.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        guard count >= 1, count <= Limits.scriptMessageMaximum else {
            throw Failure("the script was ended: its process sent a message of \(count) bytes")
        }
        return (Unicode.Scalar(head[4]), try read(count - 1))
    }

    private func read(_ count: Int) throws(Failure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var offset = 0
        while offset < count {
            let got = bytes.withUnsafeMutableBytes {
                Glibc.read(channel, $0.baseAddress! + offset, count - offset)
            }
            if got == 0 { throw Failure("the script was ended: its process is gone") }
            if got > 0 { offset += got }
            if got < 0 || offset < count || count == 5 { try goOn(after: got) }
        }
        return bytes
    }

    /// After a call that may have failed: whether there is time to try again.
    private func goOn(after result: Int = -1) throws(Failure) {
        if result < 0, errno != EINTR, errno != EAGAIN {
            throw Failure(SystemError("its process"))
        }
        guard Now.current().monotonic < deadline else {
            throw Failure("the script was ended: it isn't done after \(patience.seconds) s")
        }
    }

    private static func append(_ count: Int, to bytes: inout [UInt8]) {
        for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: count >> shift)) }
    }

    private static func append(_ text: ByteString, to bytes: inout [UInt8]) {
        append(text.count, to: &bytes)
        bytes += text.bytes
    }
}

extension Limits {
    /// What one script may execute: about a second of the processor.
    static let scriptInstructionsMaximum: UInt64 = 200_000_000
    /// How long a script may take, whatever it does.
    static let scriptPatience = MonotonicTime.Span.seconds(5)
    /// What a script is given or gives at once: all its arguments, a command's reply, its own reply.
    static let scriptMessageMaximum = 64 << 20
    /// Address space of the process, so that a script's memory is bounded.
    static let scriptMemoryMaximum: rlim_t = 1 << 30
    /// Lines that a script may log.
    static let scriptLogLinesMaximum = 100
    /// Bytes of an error or a logged line.
    static let scriptTextMaximum = 4096
}
