import Glibc
import SidecarProtocol

/// Whole files, read in one go and never beyond a limit.
enum FileContent {
    static func read(_ path: String, atMost limit: Int) throws(Complaint) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Complaint(
                "\(path) can't be read: \(errorText(errno))", fix: "check its name and permissions",
                exitCode: 2)
        }
        defer { close(descriptor) }
        return try read(descriptor, named: path, atMost: limit)
    }

    static func standardInput(atMost limit: Int) throws(Complaint) -> [UInt8] {
        try read(STDIN_FILENO, named: "standard input", atMost: limit)
    }

    /// Up to `limit` bytes, or all there are.
    static func read(_ descriptor: Int32, named name: String, atMost limit: Int) throws(Complaint) -> [UInt8]
    {
        var content: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while content.count < limit {
            let count = Glibc.read(descriptor, &buffer, min(buffer.count, limit - content.count))
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw Complaint(
                    "\(name) can't be read: \(errorText(errno))", fix: "give a plain file", exitCode: 2)
            }
            content += buffer[..<count]
        }
        return content
    }
}

enum StandardOutput {
    static func write(_ bytes: [UInt8]) throws(Complaint) {
        guard writeAll(STDOUT_FILENO, bytes) else {
            throw Complaint(
                "standard output can't be written: \(errorText(errno))", fix: "check where it leads")
        }
    }
}

enum StandardError {
    /// A failure to complain is nobody's to hear.
    static func write(_ text: String) { _ = writeAll(STDERR_FILENO, Array(text.utf8)) }
}

/// False with errno where not everything could be written.
func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
    var offset = 0
    while offset < bytes.count {
        let count = bytes[offset...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0 {
            if errno == EINTR { continue }
            return false
        }
        offset += count
    }
    return true
}

func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }
