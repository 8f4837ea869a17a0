import CCrypto
import CSodium

/// Bytes that nobody prints and that are overwritten with zeros when the last reference goes. Those of keys
/// (up to 64) lie in memory that is neither swapped out nor dumped, as far as the process may lock it.
package final class SecretBytes: Sendable, CustomStringConvertible, CustomReflectable {
    package let count: Int
    private nonisolated(unsafe) let storage: UnsafeMutableRawPointer

    /// Takes a copy; the array that it came from is the caller's to forget.
    package convenience init(copying bytes: [UInt8]) {
        self.init(count: bytes.count) { $0.copyBytes(from: bytes) }
    }

    /// `count` bytes, zero at first, that `fill` writes. They never change afterwards.
    package init<Failure: Error>(
        count: Int, fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        self.count = count
        storage = mesh_secret_take(count)
        try fill(UnsafeMutableRawBufferPointer(start: storage, count: count))
    }

    deinit { mesh_secret_give(storage, count) }

    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: storage, count: count))
    }

    package var description: String { "SecretBytes(\(count) bytes)" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// The memory of all secrets of this process.
package enum SecretMemory {
    /// Bytes in pages that the kernel keeps in memory, and in pages for which the limit of locked memory
    /// (RLIMIT_MEMLOCK) left no room: what lies there may be swapped out.
    package static var pages: (locked: Int, unlocked: Int) {
        var (locked, unlocked) = (0, 0)
        mesh_secret_pages(&locked, &unlocked)
        return (locked, unlocked)
    }

    /// Overwrites bytes that a secret was copied from. They must have no other owner.
    package static func wipe(_ bytes: inout [UInt8]) {
        bytes.withUnsafeMutableBytes { if $0.count > 0 { sodium_memzero($0.baseAddress!, $0.count) } }
    }
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
package func isEqualInConstantTime(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    left.count == right.count && sodium_memcmp(left, right, left.count) == 0
}
