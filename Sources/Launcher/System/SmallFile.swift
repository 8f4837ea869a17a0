// Whole files, read and written at once.

import Glibc

enum SmallFile {
    /// The content, of at most `limit` bytes; nil with errno where it can't be read.
    static func read(_ path: String, limit: Int = 1 << 20) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while content.count <= limit {
            let count = Glibc.read(file, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return content }
            content += chunk[..<count]
        }
        errno = EFBIG
        return nil
    }

    static func text(_ path: String) -> String? {
        read(path).flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// Writes into a file of /proc, which takes a value in one write(2).
    static func set(_ path: String, to value: String) -> Bool {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        let bytes = Array(value.utf8)
        return write(file, bytes, bytes.count) == bytes.count
    }

    /// Makes or replaces a file of ours.
    static func make(_ path: String, _ content: [UInt8], mode: mode_t = 0o600) throws(LaunchFailure) {
        let file = try checked(
            open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode), "can't write \(path)")
        defer { close(file) }
        var rest = content[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            try checked(count, "can't write \(path)") {
                $0 == ENOSPC || $0 == EDQUOT ? "make room on that disk" : ""
            }
            rest = rest.dropFirst(count)
        }
    }
}
