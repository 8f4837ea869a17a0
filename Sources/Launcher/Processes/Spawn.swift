// Short-lived programs that the launcher waits for.

import CLinuxShims
import Glibc

enum Spawn {
    /// Runs a program to its end.
    ///
    /// - Parameters:
    ///   - words: its path and its arguments.
    ///   - input: what it finds as standard input; nothing by default.
    ///   - output: gets its standard output, at most `outputLimit` bytes.
    /// - Returns: its wait status.
    static func run(
        _ words: [String], input: Int32? = nil, output: inout [UInt8], outputLimit: Int = 1 << 20
    ) throws(LaunchFailure) -> Int32 {
        var ends: [Int32] = [-1, -1]
        try checked(pipe(&ends), "pipe")
        let arguments = CStrings(words)
        let child = try checked(mesh_fork(), "can't start \(words[0])", fix: ProcessLimits.fix)
        if child == 0 {
            let stdin = input ?? open("/dev/null", O_RDONLY)
            dup2(stdin, 0)
            dup2(ends[1], 1)
            exec(arguments)
        }
        close(ends[1])
        defer { close(ends[0]) }
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(ends[0], &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0, output.count <= outputLimit else { break }
            output += chunk[..<count]
        }
        return WaitStatus.wait(for: child)
    }

    /// Starts a program that outlives the launcher, as nobody's child, and doesn't wait for it.
    static func detach(_ words: [String]) throws(LaunchFailure) {
        let arguments = CStrings(words)
        let child = try checked(mesh_fork(), "can't start \(words[0])", fix: ProcessLimits.fix)
        if child == 0 {
            setsid()
            guard mesh_fork() == 0 else { _exit(0) }
            let null = open("/dev/null", O_RDWR)
            for stream: Int32 in 0...2 { dup2(null, stream) }
            chdir("/")
            // Swift would start a tracer after a crash, which the node's filter doesn't let it.
            setenv("SWIFT_BACKTRACE", "enable=no", 0)
            exec(arguments)
        }
        _ = WaitStatus.wait(for: child)
    }

    /// The end of a child's path: no descriptor above the streams, no blocked or ignored signal.
    private static func exec(_ arguments: CStrings) -> Never {
        _ = mesh_close_range(3, .max)
        var none = sigset_t()
        sigemptyset(&none)
        mesh_reset_signals(&none, &none)
        execv(arguments.pointers[0]!, arguments.pointers)
        _exit(ExitCode.notFound)
    }
}

enum ProcessLimits {
    static func fix(_ code: Int32) -> String {
        code == EAGAIN ? "raise the limit of processes (ulimit -u, or the unit's TasksMax)" : ""
    }
}

/// Strings as C wants them after a fork: a null-terminated array that is never freed.
struct CStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

    init(_ strings: [String]) {
        pointers = .allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
        pointers[strings.count] = nil
    }
}
