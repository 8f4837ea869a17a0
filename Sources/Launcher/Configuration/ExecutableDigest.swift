// The SHA-256 of the workload's executable, which its certificate will name.

import Glibc
import SidecarProtocol

enum ExecutableDigest {
    /// Larger files go without: their first launch would wait for the hash.
    static let bytesMaximum = 64 << 20

    /// A file that changed so lately may change again without another stamp: the kernel's clock for them ticks
    /// every few milliseconds. Its digest isn't kept.
    private static let settled = 2

    /// Nil where the file can't be read to its end, or is too large. A file that hasn't changed since it was
    /// hashed isn't read again.
    static func of(_ file: OpenFile, cache: String) -> [UInt8]? {
        guard file.stamp.size <= bytesMaximum else { return nil }
        let folder = cache + "/digests"
        let stamp = file.stamp
        let kept =
            "\(folder)/\(stamp.device)-\(stamp.inode)-\(stamp.size)-"
            + stamp.modified.map(String.init).joined(separator: "-")
        if let digest = SmallFile.read(kept), digest.count == 32 { return digest }
        guard let digest = hash(file.descriptor) else { return nil }
        guard time(nil) - max(stamp.modified[0], stamp.modified[2]) >= settled else { return digest }
        do throws(LaunchFailure) {
            try Folders.make(cache, owner: geteuid(), setting: "MESH_CACHE_DIR")
            try Folders.make(folder, owner: geteuid(), setting: "MESH_CACHE_DIR")
            let draft = "\(folder)/draft-\(getpid())"
            try SmallFile.make(draft, digest)
            rename(draft, kept)
        } catch {
            // Without a cache the next launch hashes again.
        }
        return digest
    }

    private static func hash(_ file: Int32) -> [UInt8]? {
        var hash = SHA256.Incremental()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 16)
        defer { buffer.deallocate() }
        var offset = 0
        while true {
            // By position: the descriptor is shared with processes that may read it, too.
            let count = pread(file, buffer.baseAddress, buffer.count, offset)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return hash.finalize() }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += count
        }
    }
}
