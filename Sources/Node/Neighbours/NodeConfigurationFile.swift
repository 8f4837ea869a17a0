// The node's config file, by a short-lived `mesh config compile-node`: the YAML parser would cost this
// process more memory than all else in it.

import CLinuxShims
import Glibc
import SidecarProtocol

enum NodeConfigurationFile {
    enum Outcome: Sendable {
        /// There is no file: this host's node meets nobody.
        case absent
        case read(NodeConfiguration)
        /// What is wrong, in the compiler's words, with file and line.
        case invalid(String)
    }

    static func load(_ paths: MeshPaths) -> Outcome {
        let file = paths.nodeConfigurationFile
        guard access(file, F_OK) == 0 else { return .absent }
        guard let mesh = beside() else { return .invalid("\(file): there is no mesh beside mesh-node") }
        guard let child = run([mesh, "config", "compile-node", file]) else {
            return .invalid("\(file): \(mesh) can't be started: \(String(cString: strerror(errno)))")
        }
        guard child.status == 0 else {
            let said = String(decoding: child.error.prefix(Limits.logLineBytesMaximum / 2), as: UTF8.self)
            return .invalid(said.isEmpty ? "\(file): \(mesh) ended with \(child.status)" : said)
        }
        do { return .read(try NodeConfiguration(canonical: child.output)) } catch {
            return .invalid(
                "\(file): what \(mesh) made of it can't be read (\(error)); install both of one version")
        }
    }

    /// The `mesh` of this installation.
    private static func beside() -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes {
            readlink("/proc/self/exe", $0.baseAddress!.assumingMemoryBound(to: CChar.self), $0.count)
        }
        guard count > 0 else { return nil }
        let own = String(decoding: buffer[..<count], as: UTF8.self)
        guard let slash = own.lastIndex(of: "/") else { return nil }
        let path = own[...slash] + "mesh"
        return access(String(path), X_OK) == 0 ? String(path) : nil
    }

    private struct Child {
        var status: Int32
        var output: [UInt8]
        var error: [UInt8]
    }

    /// What it writes is far less than a pipe holds, so that the two can be read one after the other.
    private static func run(_ words: [String]) -> Child? {
        var (output, error): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        guard pipe(&output) == 0 else { return nil }
        guard pipe(&error) == 0 else {
            for end in output { close(end) }
            return nil
        }
        for end in output + error { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        defer { for end in [output[0], error[0]] { close(end) } }
        let processID = spawn(words, output: output[1], error: error[1])
        let code = errno
        for end in [output[1], error[1]] { close(end) }
        guard let processID else {
            errno = code
            return nil
        }
        let (written, said) = (drain(output[0]), drain(error[0]))
        var status: Int32 = 0
        while waitpid(processID, &status, 0) < 0 && errno == EINTR {}
        return Child(status: status, output: written, error: said)
    }

    private static func spawn(_ words: [String], output: Int32, error: Int32) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO)
        let arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var processID: pid_t = 0
        let code = posix_spawn(&processID, words[0], &actions, nil, arguments, mesh_environment())
        errno = code
        return code == 0 ? processID : nil
    }

    /// All that comes until its end, of which the first 64 KiB are kept.
    private static func drain(_ descriptor: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return bytes }
            if bytes.count < Limits.configurationBytesMaximum { bytes += buffer[..<count] }
        }
    }
}
