import Glibc

enum StandardStreams {
    /// The launcher's own word, on standard error.
    static func complain(_ text: String) {
        write(Array("mesh-launch: \(text)\n".utf8), to: 2)
    }

    static func write(_ bytes: [UInt8], to stream: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(stream, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
