// The SHA-256 of the workload's executable, which its certificate will name (as attested by itself).

import Glibc
import SidecarProtocol

enum ExecutableDigest {
    /// Larger files go without: their first launch would wait for the hash.
    static let bytesMaximum = 64 << 20

    /// Nil where the file can't be read, or is too large. A file that hasn't changed since it was hashed
    /// isn't read again.
    static func of(_ path: String, cache: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_size <= bytesMaximum else { return nil }
        let folder = cache + "/digests"
        let kept =
            "\(folder)/\(status.st_dev)-\(status.st_ino)-\(status.st_size)-\(status.st_mtim.stamp)"
            + "-\(status.st_ctim.stamp)"
        if let digest = SmallFile.read(kept), digest.count == 32 { return digest }
        guard let digest = hash(file) else { return nil }
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
        while true {
            let count = read(file, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return hash.finalize() }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}

extension timespec {
    fileprivate var stamp: String { "\(tv_sec).\(tv_nsec)" }
}
