// A child process of a test, whose end is waited for by its id: tests kill, and are killed, at any moment.

import Glibc
import Synchronization
import Testing

final class Subprocess {
    let processID: pid_t
    /// What the child writes to standard error or output; -1 where nobody reads it.
    let output: Int32
    let error: Int32
    private let input: Int32
    private(set) var exitStatus: Int32?

    /// One child at a time: nobody else's child may inherit these pipes' ends.
    private static let lock = Mutex(())

    init(_ path: String, _ arguments: [String], environment: [String: String]) throws {
        let spawned = try Subprocess.lock.withLock { _ in
            try Subprocess.spawn(path, arguments, environment)
        }
        (processID, input, output, error) = spawned
    }

    deinit {
        if exitStatus == nil {
            kill(processID, SIGKILL)
            wait()
        }
        for descriptor in [input, output, error] { close(descriptor) }
    }

    var isRunning: Bool {
        guard exitStatus == nil else { return false }
        var status: Int32 = 0
        guard waitpid(processID, &status, WNOHANG) == processID else { return true }
        exitStatus = status
        return false
    }

    /// - Returns: the exit code, or nil where a signal ended it.
    @discardableResult
    func wait() -> Int32? {
        var status: Int32 = 0
        if exitStatus == nil, waitpid(processID, &status, 0) == processID { exitStatus = status }
        guard let exitStatus, exitStatus & 0x7F == 0 else { return nil }
        return exitStatus >> 8 & 0xFF
    }

    /// Sends the signal and waits for the end.
    func end(_ signal: Int32) {
        guard exitStatus == nil else { return }
        kill(processID, signal)
        wait()
    }

    func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        #expect(write(input, bytes, bytes.count) == bytes.count)
    }

    /// Everything that it writes to standard error until it closes it.
    func complaint() -> String {
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(error, &chunk, chunk.count)
            guard count > 0 else { return String(decoding: text, as: UTF8.self) }
            text += chunk.prefix(count)
        }
    }

    private static func spawn(
        _ path: String, _ arguments: [String], _ environment: [String: String]
    ) throws -> (pid_t, input: Int32, output: Int32, error: Int32) {
        let pipes = try (0..<3).map { _ in
            var ends: [Int32] = [-1, -1]
            try #require(pipe(&ends) == 0)
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return (reader: ends[0], writer: ends[1])
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, pipes[0].reader, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, pipes[1].writer, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, pipes[2].writer, STDERR_FILENO)
        // Threads of a test runner block signals, and a child would inherit that.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let argv = ([path] + arguments).map { strdup($0) } + [nil]
        let envp = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { for string in argv + envp { free(string) } }
        var processID: pid_t = 0
        let code = posix_spawn(&processID, path, &actions, &attributes, argv, envp)
        close(pipes[0].reader)
        close(pipes[1].writer)
        close(pipes[2].writer)
        try #require(code == 0, "\(path): \(String(cString: strerror(code)))")
        return (processID, pipes[0].writer, pipes[1].reader, pipes[2].reader)
    }
}

/// Lines of a pipe, read with a deadline.
final class LineReader {
    private let descriptor: Int32
    private var bytes: [UInt8] = []

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    /// Nil at the end, and after 20 s without a line.
    func next() -> String? {
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                defer { bytes.removeSubrange(...end) }
                return String(decoding: bytes[..<end], as: UTF8.self)
            }
            guard ContinuousClock.now < deadline else { return nil }
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard Glibc.poll(&poll, 1, 100) > 0 else { continue }
            var chunk = [UInt8](repeating: 0, count: 4096)
            let count = read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return nil }
            bytes += chunk.prefix(count)
        }
    }
}
