// Files and folders that nobody but their user may write. What isn't so is refused by name, with what to
// do about it, and never repaired or replaced in silence.

import Glibc

/// A failure with a file: what was to be done, why it couldn't be, and what the user can do.
struct FileError: Error, CustomStringConvertible {
    let path: String
    let problem: String
    let fix: String

    var description: String { "\(path): \(problem); \(fix)" }

    init(_ path: String, _ problem: String, fix: String) {
        self.path = path
        self.problem = problem
        self.fix = fix
    }

    /// A system call on `path` that failed with the current errno.
    init(_ path: String, call: String, _ code: Int32 = errno) {
        let fix =
            switch code {
            case ENOSPC, EDQUOT: "free some disk space"
            case EACCES, EPERM: "give it back to user \(geteuid()), with permission to write"
            case EROFS: "name a folder that can be written by MESH_STATE_DIR or MESH_RUNTIME_DIR"
            case EMFILE, ENFILE: "raise the limit of open files (ulimit -n)"
            default: "see that the path is a place where user \(geteuid()) can write"
            }
        self.init(path, "\(call): \(String(cString: strerror(code)))", fix: fix)
    }
}

enum OwnFiles {
    /// The whole file, or nil where there is none.
    ///
    /// - Parameter isSecret: refuses a file that others could read.
    static func read(
        _ path: String, byteCountMaximum: Int, isSecret: Bool = false
    ) throws(FileError) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw FileError(path, call: "open")
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw FileError(path, call: "fstat") }
        try check(path, status, kind: S_IFREG, isSecret: isSecret)
        guard status.st_size <= byteCountMaximum else {
            throw FileError(
                path, "\(status.st_size) bytes, where at most \(byteCountMaximum) make sense",
                fix: "restore it from a backup")
        }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(file, $0.baseAddress! + filled, $0.count - filled)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileError(path, call: "read") }
            guard count > 0 else { break }
            filled += count
        }
        return Array(bytes.prefix(filled))
    }

    /// Makes or replaces the file in one step: after a crash it is the old or the new one, whole.
    ///
    /// - Parameter isDurable: false where a loss of power may lose the file, and nothing else may.
    static func replace(
        _ path: String, with bytes: [UInt8], isDurable: Bool = true
    ) throws(FileError) {
        let fresh = path + ".new"
        unlink(fresh)
        try write(fresh, bytes, isDurable: isDurable)
        guard rename(fresh, path) == 0 else {
            let error = FileError(path, call: "rename")
            unlink(fresh)
            throw error
        }
        if isDurable { try synchronize(folder: parent(of: path)) }
    }

    /// Makes a file that mustn't be there yet, and waits until it is on the disk.
    static func write(
        _ path: String, _ bytes: [UInt8], isDurable: Bool = true
    ) throws(FileError) {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw FileError(path, call: "open") }
        defer { close(file) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(file, $0.baseAddress! + written, $0.count - written)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw FileError(path, call: "write") }
            written += count
        }
        guard !isDurable || fsync(file) == 0 else { throw FileError(path, call: "fsync") }
    }

    /// Removes a file; one that isn't there is fine.
    static func remove(_ path: String) throws(FileError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw FileError(path, call: "unlink") }
    }

    /// Waits until a rename or a new file of the folder is on the disk.
    static func synchronize(folder path: String) throws(FileError) {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw FileError(path, call: "open") }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw FileError(path, call: "fsync") }
    }

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }
}

// MARK: - Folders

extension OwnFiles {
    /// Makes the folder and those above it that are missing, and sees that it is this user's own.
    ///
    /// - Parameter mode: of the folders that are made; 0700 but for the system's node.
    static func makeFolder(_ path: String, mode: mode_t = 0o700) throws(FileError) {
        try makeMissing(path, mode: mode)
        try checkFolder(path)
    }

    private static func makeMissing(_ path: String, mode: mode_t) throws(FileError) {
        guard mkdir(path, mode) != 0, errno != EEXIST else { return }
        guard errno == ENOENT, path != "/" else { throw FileError(path, call: "mkdir") }
        try makeMissing(parent(of: path), mode: mode)
        guard mkdir(path, mode) == 0 || errno == EEXIST else { throw FileError(path, call: "mkdir") }
    }

    /// Removes a folder and the files in it, folders below it included, without following a link.
    ///
    /// - Returns: false where there was none.
    @discardableResult
    static func removeFolder(_ path: String) throws(FileError) -> Bool {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return false }
            throw FileError(path, call: "open")
        }
        guard let folder = fdopendir(descriptor) else { throw FileError(path, call: "fdopendir") }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            let inner = path + "/" + name
            if unlink(inner) == 0 || errno == ENOENT { continue }
            guard errno == EISDIR || errno == EPERM else { throw FileError(inner, call: "unlink") }
            try removeFolder(inner)
        }
        guard rmdir(path) == 0 || errno == ENOENT else { throw FileError(path, call: "rmdir") }
        return true
    }

    private static func checkFolder(_ path: String) throws(FileError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw FileError(path, call: "lstat") }
        try check(path, status, kind: S_IFDIR, isSecret: false)
    }

    private static func check(
        _ path: String, _ status: stat, kind: mode_t, isSecret: Bool
    ) throws(FileError) {
        guard status.st_mode & S_IFMT == kind else {
            let wanted = kind == S_IFDIR ? "a folder" : "a file"
            throw FileError(path, "isn't \(wanted)", fix: "move it away")
        }
        guard status.st_uid == geteuid() else {
            throw FileError(
                path, "belongs to user \(status.st_uid), not to \(geteuid())",
                fix: "move it away, or give it back with chown")
        }
        guard status.st_mode & (S_IWGRP | S_IWOTH) == 0 else {
            throw FileError(path, "others may write it", fix: "chmod go-w it, if you trust what is there")
        }
        guard !isSecret || status.st_mode & 0o077 == 0 else {
            throw FileError(
                path, "others may read this secret", fix: "chmod 600 it, if nobody has read it yet")
        }
    }
}
