import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// Files of a few kilobytes in the instance's folder.
enum SmallFile {
    /// Nil where there is none, or it can't be read.
    static func read(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(file, &chunk, chunk.count)
            guard count >= 0 else { return nil }
            if count == 0 { return bytes }
            bytes += chunk.prefix(count)
            guard bytes.count <= Limits.smallFileBytesMaximum else { return nil }
        }
    }

    /// Replaces the file by rename, so that a reader finds the old one or the new one, whole.
    static func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw SystemError("open(\(temporary))") }
        let written = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        let code = errno
        close(file)
        guard written == bytes.count else {
            throw SystemError("write(\(temporary))", code: written < 0 ? code : ENOSPC)
        }
        guard rename(temporary, path) == 0 else { throw SystemError("rename(\(path))") }
    }

    /// Removes a folder and the files in it; folders inside stay.
    static func removeFolder(_ path: String) {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != "." && name != ".." { unlink(path + "/" + name) }
            }
            closedir(folder)
        }
        rmdir(path)
    }
}
