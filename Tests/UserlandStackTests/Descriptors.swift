import Glibc

/// Reading and writing a flow's descriptor, with deadlines.
extension Int32 {
    func waitForData() -> Bool {
        var wait = pollfd(fd: self, events: Int16(POLLIN), revents: 0)
        return poll(&wait, 1, 10_000) == 1
    }

    /// What comes first, as text; empty at the end.
    func text() -> String {
        guard waitForData() else { return "nothing" }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = read(self, &buffer, buffer.count)
        return count < 0 ? "error \(errno)" : String(decoding: buffer[0..<count], as: UTF8.self)
    }

    func write(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.write(self, bytes, bytes.count)
    }

    /// Reads until `most` bytes have come or nothing more does; returns how many.
    func count(to most: Int) -> Int {
        var buffer = [UInt8](repeating: 0, count: 262_144)
        var total = 0
        while total < most, waitForData() {
            let count = read(self, &buffer, buffer.count)
            guard count > 0 else { break }
            total += count
        }
        return total
    }

    func writeZeros(_ total: Int) {
        let zeros = [UInt8](repeating: 0, count: 262_144)
        var left = total
        while left > 0 {
            var wait = pollfd(fd: self, events: Int16(POLLOUT), revents: 0)
            guard poll(&wait, 1, 10_000) == 1 else { return }
            let count = Glibc.write(self, zeros, Swift.min(left, zeros.count))
            guard count > 0 || errno == EAGAIN else { return }
            left -= Swift.max(0, count)
        }
    }
}
