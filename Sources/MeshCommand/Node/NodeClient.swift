// One question to mesh-node, over its topics socket: 4 bytes of length, big-endian, then a message.

import Glibc
import SidecarProtocol

struct NodeClient: ~Copyable {
    enum Reading: Equatable {
        case message(NodeMessage)
        /// The node has closed: it has ended.
        case end
        case silence
        case malformed
    }

    private let descriptor: Int32

    /// Nil where no node runs.
    init?(_ paths: MeshPaths) throws(Complaint) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw NodeClient.complaint("no socket can be had", errno) }
        guard !connectUnix(descriptor, to: paths.topicsSocket) else { return }
        // What follows ends this value, and `deinit` closes the socket: a second close could be of another's.
        let code = errno
        guard [ENOENT, ECONNREFUSED, ENOTDIR].contains(code) else {
            throw NodeClient.complaint("the node at \(paths.topicsSocket) can't be reached", code)
        }
        return nil
    }

    deinit { close(descriptor) }

    /// Sends a message; a node that has gone meanwhile shows in the reading that follows.
    func send(_ message: ClientMessage) {
        let body = message.encoded()
        let length = UInt32(body.count)
        let frame = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + body
        // MSG_NOSIGNAL: a node that ends must not end this process too.
        _ = frame.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    /// The next message, within so many seconds.
    func receive(within seconds: Int) -> Reading {
        let deadline = monotonicMilliseconds() + seconds * 1000
        switch bytes(4, before: deadline) {
        case .failure(let reading): return reading
        case .success(let head):
            let length = head.reduce(0) { $0 << 8 | Int($1) }
            guard length <= Limits.nodeFrameBytesMaximum else { return .malformed }
            switch bytes(length, before: deadline) {
            case .failure(let reading): return reading == .end ? .malformed : reading
            case .success(let body):
                guard let message = try? NodeMessage(canonical: body) else { return .malformed }
                return .message(message)
            }
        }
    }

    private enum Outcome {
        case success([UInt8])
        case failure(Reading)
    }

    private func bytes(_ count: Int, before deadline: Int) -> Outcome {
        var out: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: max(1, count))
        while out.count < count {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = deadline - monotonicMilliseconds()
            guard left > 0 else { return .failure(.silence) }
            guard poll(&entry, 1, Int32(clamping: left)) > 0 else { continue }
            let got = recv(descriptor, &buffer, count - out.count, 0)
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { return .failure(out.isEmpty ? .end : .malformed) }
            out += buffer[..<got]
        }
        return .success(out)
    }

    private static func complaint(_ what: String, _ code: Int32) -> Complaint {
        Complaint("\(what): \(errorText(code))", fix: "run this as the user whose mesh it is")
    }
}
