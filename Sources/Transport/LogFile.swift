// The log of a process without a terminal: lines on standard error, which is a file in its folder.

import Glibc
import Logging
import SidecarProtocol

extension Logger {
    /// A logger that writes lines to standard error: `2026-03-01T12:34:56.789Z info  listening on …`.
    ///
    /// - Parameters:
    ///   - rotating: the file that standard error is. Past `Limits.logBytesMaximum` it is renamed to
    ///     `PATH.1` and begun anew; nil never rotates.
    package static func lines(_ label: String, level: Logger.Level, rotating path: String?) -> Logger {
        Logger(label: label) { _ in LogFile(path: path, logLevel: level) }
    }
}

private struct LogFile: LogHandler {
    let path: String?
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    init(path: String?, logLevel: Logger.Level) {
        self.path = path
        self.logLevel = logLevel
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = "\(Now.current().wall.rfc3339) \(event.level.rawValue) \(event.message)"
        for (key, value) in (event.metadata ?? [:]).sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(value)"
        }
        write(line)
        rotate()
    }

    /// One write a line, so that lines of several threads stay whole. A failure has nowhere to go.
    private func write(_ line: String) {
        // Names of peers and files may hold anything; a line stays a line.
        var bytes = line.utf8.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: "?") : $0 }
        bytes.append(UInt8(ascii: "\n"))
        _ = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private func rotate() {
        guard let path else { return }
        var status = stat()
        guard fstat(STDERR_FILENO, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            Int(status.st_size) > Limits.logBytesMaximum, rename(path, path + ".1") == 0
        else { return }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { return }
        dup2(file, STDERR_FILENO)
        close(file)
    }
}
