// Asking admin sockets. All of them at once: one that hangs must not hide the others, nor cost its
// timeout once for each.

import Glibc

enum AdminFailure: Error, Hashable {
    /// Nobody listens: the instance has ended, or doesn't yet.
    case gone
    case unreachable(Int32)
    case silent
    case malformed

    var description: String {
        switch self {
        case .gone: "has ended"
        case .unreachable(let code): "can't be reached: \(errorText(code))"
        case .silent: "doesn't answer"
        case .malformed: "answered with something that isn't HTTP"
        }
    }
}

enum AdminClient {
    /// How long a sidecar may take, in milliseconds.
    @TaskLocal static var patience = 2_000

    static func ask(_ socket: String, _ request: AdminRequest) -> Result<AdminAnswer, AdminFailure> {
        ask([(socket, request)])[0]
    }

    /// The answers, in the order of the questions.
    static func ask(
        _ questions: [(socket: String, request: AdminRequest)], patience: Int = AdminClient.patience
    ) -> [Result<AdminAnswer, AdminFailure>] {
        var exchanges = questions.map { AdminExchange(socket: $0.socket, request: $0.request) }
        let deadline = monotonicMilliseconds() + patience
        while true {
            let open = exchanges.indices.filter { exchanges[$0].result == nil }
            let left = deadline - monotonicMilliseconds()
            guard !open.isEmpty, left > 0 else { break }
            var polled = open.map { exchanges[$0].poll }
            let count = poll(&polled, nfds_t(polled.count), Int32(clamping: left))
            if count < 0, errno != EINTR { break }
            guard count > 0 else { continue }
            for (index, entry) in zip(open, polled) where entry.revents != 0 { exchanges[index].proceed() }
        }
        return exchanges.indices.map { index in
            exchanges[index].finish(.failure(.silent))
            return exchanges[index].result ?? .failure(.silent)
        }
    }
}

/// One question on its way.
private struct AdminExchange {
    private(set) var result: Result<AdminAnswer, AdminFailure>?
    private var descriptor: Int32 = -1
    private var outgoing: ArraySlice<UInt8>
    private var incoming: [UInt8] = []

    init(socket path: String, request: AdminRequest) {
        outgoing = request.encoded[...]
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        if descriptor < 0 || fcntl(descriptor, F_SETFL, O_NONBLOCK) < 0 || !connectUnix(descriptor, to: path)
        {
            let code = errno
            finish(.failure([ECONNREFUSED, ENOENT, ENOTDIR].contains(code) ? .gone : .unreachable(code)))
        }
    }

    var poll: pollfd {
        pollfd(fd: descriptor, events: Int16(outgoing.isEmpty ? POLLIN : POLLIN | POLLOUT), revents: 0)
    }

    mutating func proceed() {
        send()
        receive()
    }

    mutating func finish(_ result: Result<AdminAnswer, AdminFailure>) {
        if self.result == nil { self.result = result }
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    private mutating func send() {
        guard !outgoing.isEmpty, result == nil else { return }
        let count = outgoing.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count > 0 { outgoing = outgoing.dropFirst(count) }
        // A sidecar may refuse early and close; what it said is still to be read.
        if count < 0, errno != EAGAIN, errno != EINTR { outgoing = [] }
    }

    private mutating func receive() {
        guard result == nil else { return }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        incoming += buffer[..<max(0, count)]
        switch AdminAnswer.read(incoming, isEnd: count <= 0) {
        case .complete(let answer): finish(.success(answer))
        case .malformed: finish(.failure(incoming.isEmpty ? .gone : .malformed))
        case .incomplete:
            if incoming.count > AdminAnswer.bytesMaximum { finish(.failure(.malformed)) }
        }
    }
}

/// Connects to a unix socket; false with errno where that fails.
func connectUnix(_ descriptor: Int32, to path: String) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
        errno = ENAMETOOLONG
        return false
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
        }
    }
}
