import CLinuxShims
import Glibc
import Testing

/// A host and a workload in namespaces of their own (`world.py`), and what the test holds of them.
final class World {
    /// The channel's end where the world has started a stack, else the workload's TAP.
    let descriptor: Int32
    private let process: pid_t
    private let input: Int32
    private let output: LineReader

    static let own = "198.18.5.6"

    /// Whether this kernel lets the tests make namespaces and a TAP.
    static let isPermitted: Bool = {
        guard let world = try? World(datapath: nil) else { return false }
        return world.descriptor >= 0
    }()

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// - Parameter datapath: of the stack that the world starts in its host; nil: none.
    init(datapath: String?) throws {
        let folder = World.temporaryFolder()
        defer { rmdir(folder) }
        let path = folder + "/s"
        let listener = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
        defer {
            close(listener)
            unlink(path)
        }
        guard World.listen(listener, path) else { throw Failure(description: "can't listen at \(path)") }
        var arguments = [
            "unshare", "-Urn", "python3", World.folder + "/world.py", path, World.own,
        ]
        if let datapath { arguments += [World.probe, datapath] }
        (process, input, output) = try World.spawn(arguments)
        descriptor = World.take(listener)
        guard output.line(within: 10) == "ready" else {
            throw Failure(description: "the world didn't come up")
        }
    }

    deinit {
        close(input)
        if descriptor >= 0 { close(descriptor) }
        kill(process, SIGKILL)
        waitpid(process, nil, 0)
    }

    /// Carries a command out in the workload's namespace, and returns its answer.
    func run(_ command: String) -> String {
        start(command)
        return answer()
    }

    func start(_ command: String) {
        let line = Array((command + "\n").utf8)
        _ = write(input, line, line.count)
    }

    func answer() -> String { output.line(within: 30) ?? "no answer" }

    /// Repeats a command until it is answered by `wanted`, for a while.
    func isEventually(_ command: String, _ wanted: String) -> Bool {
        for _ in 0..<500 {
            if run(command) == wanted { return true }
            usleep(20_000)
        }
        return false
    }

    // MARK: Making one

    static let folder = String(#filePath.dropLast("/World.swift".count))

    /// The probe lies beside the tests.
    static let probe: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let path = String(decoding: buffer[0..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let folder = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
        return folder + "/UserlandStackProbe"
    }()

    static func temporaryFolder() -> String {
        var template = Array("/tmp/mesh-world-XXXXXX".utf8CString)
        return template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
    }

    private static func listen(_ listener: Int32, _ path: String) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        } == 0 && Glibc.listen(listener, 1) == 0
    }

    /// The descriptor that the world sends, or -1.
    private static func take(_ listener: Int32) -> Int32 {
        var wait = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        guard poll(&wait, 1, 10_000) == 1 else { return -1 }
        let connection = accept(listener, nil, nil)
        defer { close(connection) }
        var byte: UInt8 = 0
        var descriptor: Int32 = -1
        var count = 0
        var sender: pid_t = 0
        let size = mesh_receive(connection, &byte, 1, &descriptor, 1, &count, &sender)
        return size == 1 && count == 1 ? descriptor : -1
    }

    /// Starts a program with pipes for standard input and output.
    static func spawn(_ arguments: [String]) throws -> (pid_t, Int32, LineReader) {
        var input: [Int32] = [0, 0]
        var output: [Int32] = [0, 0]
        guard pipe(&input) == 0, pipe(&output) == 0 else {
            throw Failure(description: "no pipes")
        }
        // Other worlds' processes must not keep these ends open.
        for end in input + output { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input[0], 0)
        posix_spawn_file_actions_adddup2(&actions, output[1], 1)
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var process: pid_t = 0
        let failure = posix_spawnp(&process, arguments[0], &actions, nil, &pointers, environ)
        close(input[0])
        close(output[1])
        guard failure == 0 else { throw Failure(description: "can't start \(arguments): error \(failure)") }
        return (process, input[1], LineReader(descriptor: output[0]))
    }
}

/// Lines from a pipe, with a deadline.
final class LineReader {
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Nil at the pipe's end, or when no line comes in time.
    func line(within seconds: Int) -> String? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: buffer[..<end], as: UTF8.self)
                buffer.removeSubrange(...end)
                return line
            }
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&wait, 1, Int32(seconds * 1000)) == 1 else { return nil }
            var chunk = [UInt8](repeating: 0, count: 4096)
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return nil }
            buffer += chunk[0..<count]
        }
    }
}
