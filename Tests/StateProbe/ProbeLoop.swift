import Glibc
import SidecarProtocol

struct Options {
    var port: UInt16?
    var path: String?
    var allowsDebug = false
    var records = false
    var seed: UInt64 = 1
    var consistency = StateConfiguration.Consistency.none

    init?(_ words: ArraySlice<String>) {
        var words = words
        while let word = words.popFirst() {
            switch word {
            case "--debug": allowsDebug = true
            case "--record": records = true
            case "--port": port = words.popFirst().flatMap { UInt16($0) }
            case "--unix": path = words.popFirst()
            case "--seed": seed = words.popFirst().flatMap { UInt64($0) } ?? 1
            case "--consistency":
                consistency =
                    words.popFirst().flatMap { StateConfiguration.Consistency(rawValue: $0) } ?? .none
            default: return nil
            }
        }
        guard port != nil || path != nil else { return nil }
    }
}

/// One poll loop over the listening socket and its connections.
final class ProbeLoop {
    private var server: StateServer
    private let listener: Int32
    /// What is waited for: the listener first, then a connection each.
    private var watched: [pollfd] = []
    private var ids: [Int32: ClientID] = [:]
    private var sockets: [ClientID: Int32] = [:]
    /// What a socket didn't take.
    private var unsent: [Int32: [UInt8]] = [:]
    private var closing: Set<Int32> = []
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 16)

    init(_ options: Options) {
        var configuration = StateConfiguration()
        configuration.allowsDebug = options.allowsDebug
        configuration.consistency = options.consistency
        configuration.port = options.port ?? 0
        server = StateServer(configuration: configuration, seed: options.seed, now: ProbeLoop.now())
        server.keyspace.isRecording = options.records
        var hooks = StateHooks()
        hooks.sleep = { usleep(UInt32(clamping: $0.nanoseconds / 1000)) }
        server.setHooks(hooks)
        listener = options.path.map(ProbeLoop.listen(path:)) ?? ProbeLoop.listen(port: options.port ?? 0)
        watched = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        print("listening")
    }

    private static func now() -> Now {
        func time(_ clock: clockid_t) -> UInt64 {
            var time = timespec()
            clock_gettime(clock, &time)
            return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        }
        return Now(
            monotonic: MonotonicTime(nanoseconds: time(CLOCK_MONOTONIC)),
            wall: WallTime(milliseconds: Int64(time(CLOCK_REALTIME) / 1_000_000)))
    }

    func run() -> Never {
        while true {
            var wait: Int32 = -1
            if let deadline = server.nextDeadline {
                let span = deadline - ProbeLoop.now().monotonic
                wait = Int32(clamping: (span.nanoseconds + 999_999) / 1_000_000)
            }
            poll(&watched, nfds_t(watched.count), wait)
            let now = ProbeLoop.now()
            if watched[0].revents != 0 { accept(now) }
            for index in stride(from: watched.count - 1, to: 0, by: -1) where watched[index].revents != 0 {
                let (socket, events) = (watched[index].fd, Int32(watched[index].revents))
                watched[index].revents = 0
                if events & POLLOUT != 0 { flush(socket) }
                if events & ~POLLOUT != 0 { read(socket, now) }
            }
            if let deadline = server.nextDeadline, deadline <= now.monotonic { server.advance(to: now) }
            if server.keyspace.isRecording { _ = server.takeMutations() }
            write()
        }
    }

    private func accept(_ now: Now) {
        let socket = Glibc.accept(listener, nil, nil)
        guard socket >= 0 else { return }
        _ = fcntl(socket, F_SETFL, O_NONBLOCK)
        var one: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
        guard let id = server.open(address: "127.0.0.1:\(socket)", localAddress: "127.0.0.1:0", now: now)
        else {
            close(socket)
            return
        }
        ids[socket] = id
        sockets[id] = socket
        watched.append(pollfd(fd: socket, events: Int16(POLLIN), revents: 0))
    }

    private func read(_ socket: Int32, _ now: Now) {
        guard let id = ids[socket], server.wantsInput(id) else { return }
        let count = recv(socket, input.baseAddress, input.count, 0)
        if count > 0 {
            server.receive(UnsafeRawBufferPointer(rebasing: input[..<count]), from: id, now: now)
        } else if count == 0 || errno != EAGAIN {
            server.close(id, now: now)
            end(socket)
        }
    }

    private func write() {
        guard server.hasOutput else { return }
        server.takeOutput { id, bytes, closes in
            guard let socket = sockets[id] else { return }
            if closes { closing.insert(socket) }
            if unsent[socket] != nil {
                unsent[socket]?.append(contentsOf: bytes)
                return
            }
            var sent = 0
            while sent < bytes.count {
                let count = send(socket, bytes.baseAddress! + sent, bytes.count - sent, 0)
                if count < 0 { break }
                sent += count
            }
            if sent < bytes.count {
                unsent[socket] = Array(bytes[sent...])
                watch(socket, POLLIN | POLLOUT)
            }
        }
        for socket in unsent.keys { if let id = ids[socket] { server.setPaused(id, true) } }
        for socket in closing where unsent[socket] == nil { end(socket) }
    }

    private func flush(_ socket: Int32) {
        guard let bytes = unsent[socket] else { return }
        let count = send(socket, bytes, bytes.count, 0)
        if count < 0 {
            if errno == EAGAIN { return }
            unsent[socket] = nil
        } else if count < bytes.count {
            unsent[socket] = Array(bytes[count...])
            return
        } else {
            unsent[socket] = nil
        }
        watch(socket, POLLIN)
        if let id = ids[socket] { server.setPaused(id, false) }
        if closing.contains(socket) { end(socket) }
    }

    private func end(_ socket: Int32) {
        closing.remove(socket)
        unsent[socket] = nil
        if let id = ids.removeValue(forKey: socket) { sockets[id] = nil }
        watched.removeAll { $0.fd == socket }
        close(socket)
    }

    // MARK: Sockets

    private func watch(_ socket: Int32, _ events: Int32) {
        guard let index = watched.firstIndex(where: { $0.fd == socket }) else { return }
        watched[index].events = Int16(events)
    }

    private static func listen(port: UInt16) -> Int32 {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var one: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isBound, Glibc.listen(socket, 511) == 0 else { fail("port \(port)") }
        return socket
    }

    private static func listen(path: String) -> Int32 {
        let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unlink(path)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8).prefix(107)) }
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isBound, Glibc.listen(socket, 511) == 0 else { fail(path) }
        return socket
    }

    private static func fail(_ place: String) -> Never {
        perror(place)
        exit(1)
    }
}
