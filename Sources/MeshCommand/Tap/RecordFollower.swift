// What sidecars append to their records, as they do, over rotation.

import Glibc

/// Follows one records file: reads what is appended, and goes on in the file that takes its name.
///
/// The sidecar closes a full file and renames it before it opens the next one. So once the name means
/// another file, the old one is whole: it is read to its end, and then the new one from its beginning.
final class RecordFollower {
    private let path: String
    private var descriptor: Int32
    /// A line whose end hasn't come yet.
    private var partial: [UInt8] = []
    /// In a line that is too long to be a record.
    private var isSkipping = false

    /// - Parameter fromEnd: whether what is there already is passed over.
    init(path: String, fromEnd: Bool) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if fromEnd, descriptor >= 0 { lseek(descriptor, 0, SEEK_END) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// The whole lines that came since the last call.
    func lines() -> [[UInt8]] {
        var lines: [[UInt8]] = []
        read(&lines)
        // No more than a few files can have been filled since.
        for _ in 0..<8 where isReplaced {
            // What came between the reading and the renaming.
            read(&lines)
            let next = open(path, O_RDONLY | O_CLOEXEC)
            guard next >= 0 else { break }
            if descriptor >= 0 { close(descriptor) }
            descriptor = next
            partial = []
            isSkipping = false
            read(&lines)
        }
        return lines
    }

    private var isReplaced: Bool {
        guard let now = FileIdentity(path: path) else { return false }
        return FileIdentity(descriptor: descriptor) != now
    }

    private func read(_ lines: inout [[UInt8]]) {
        guard descriptor >= 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        // A turn has an end, also where the file grows as fast as it is read.
        var budget = 16 << 20
        while budget > 0 {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            budget -= count
            var rest = buffer[..<count]
            while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
                if !isSkipping { lines.append(partial + rest[..<newline]) }
                partial = []
                isSkipping = false
                rest = rest[(newline + 1)...]
            }
            if !isSkipping { partial += rest }
            if partial.count > LineScan.lineBytesMaximum {
                partial = []
                isSkipping = true
            }
        }
    }
}
