// A state's folder on a real disk: the operations of `Disk.swift`, one at a time.

import Glibc
import SidecarProtocol

/// Owned by one process at a time, by a lock on a file inside, and used by one thread at a time.
///
/// The folder has mode 0700 and its files 0600. Paths are taken apart once, when it is opened; what happens
/// after that happens to this folder, wherever it is moved.
package final class StateFolder {
    package let path: String
    private let folder: Int32
    /// -1: it is only read, beside whoever has it.
    private let lock: Int32
    /// The files used last, open; the last one is the most recent.
    private var open: [(name: String, descriptor: Int32)] = []

    private static let lockName = "lock"
    private static let openMaximum = 4

    /// Makes the folder, and those above it, where they aren't there.
    package init(path: String) throws(StateFolderError) {
        self.path = path
        try StateFolder.make(path)
        folder = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { throw StateFolderError("open(\(path))") }
        do {
            try StateFolder.checkOwner(of: folder, path)
            lock = try StateFolder.takeLock(in: folder, path)
        } catch {
            close(folder)
            throw error
        }
    }

    /// For lists and reads alone, without the lock.
    package init(reading path: String) throws(StateFolderError) {
        self.path = path
        lock = -1
        folder = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard folder >= 0 else { throw StateFolderError("open(\(path))") }
    }

    deinit {
        for file in open { close(file.descriptor) }
        if lock >= 0 { close(lock) }
        close(folder)
    }

    private static func make(_ path: String) throws(StateFolderError) {
        var prefix = path.hasPrefix("/") ? "" : "."
        var refusal: StateFolderError?
        for part in path.split(separator: "/") {
            let above = prefix.isEmpty ? "/" : prefix
            prefix += "/" + part
            if mkdir(prefix, 0o700) == 0 {
                // The new name survives a crash only when the folder that holds it was synced.
                let parent = Glibc.open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                if parent >= 0 {
                    fsync(parent)
                    close(parent)
                }
                refusal = nil
            } else {
                refusal = errno == EEXIST ? nil : StateFolderError("mkdir(\(prefix))")
                if let refusal, ![EACCES, EROFS].contains(refusal.code) { throw refusal }
            }
        }
        // What is there above may be closed to us; what is wanted itself may not.
        if let refusal { throw refusal }
    }

    private static func checkOwner(of folder: Int32, _ path: String) throws(StateFolderError) {
        var status = stat()
        guard fstat(folder, &status) == 0 else { throw StateFolderError("stat(\(path))") }
        guard status.st_uid == geteuid() else {
            throw StateFolderError(
                "\(path) belongs to user \(status.st_uid); give it to \(geteuid())", code: EPERM)
        }
        guard status.st_mode & 0o077 == 0 || fchmod(folder, 0o700) == 0 else {
            throw StateFolderError("chmod(\(path), 0700)")
        }
    }

    private static func takeLock(in folder: Int32, _ path: String) throws(StateFolderError) -> Int32 {
        let lock = openat(folder, lockName, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw StateFolderError("open(\(path)/\(lockName))") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(lock)
            throw StateFolderError("\(path) is in use by another process", code: code)
        }
        return lock
    }

    // MARK: Operations

    package func perform(_ job: DiskJob) -> DiskOutcome {
        var outcome = DiskOutcome(job: job.id, answers: [])
        do {
            for operation in job.operations { outcome.answers.append(try perform(operation)) }
        } catch {
            outcome.failure = error
        }
        return outcome
    }

    package func perform(_ operation: DiskOperation) throws(DiskFailure) -> DiskAnswer {
        switch operation {
        case .list: return .files(try list())
        case .read(let file, let offset, let count): return .bytes(try read(file, offset, count))
        case .write(let file, let offset, let bytes): try write(file, offset, bytes)
        case .preallocate(let file, let size): try preallocate(file, size)
        case .sync(let file):
            let descriptor = try descriptor(of: file, makes: false)
            try check(fdatasync(descriptor) == 0, "fdatasync", file)
        case .rename(let from, let to):
            forget(to)
            try check(renameat(folder, from, folder, to) == 0, "rename", from)
            for index in open.indices where open[index].name == from { open[index].name = to }
        case .remove(let file):
            forget(file)
            try check(unlinkat(folder, file, 0) == 0 || errno == ENOENT, "unlink", file)
        case .syncFolder: try check(fsync(folder) == 0, "fsync", ".")
        }
        return .done
    }

    /// 8 bytes, big-endian.
    func inode(of file: String) throws(DiskFailure) -> [UInt8] {
        var status = stat()
        try check(fstatat(folder, file, &status, AT_SYMLINK_NOFOLLOW) == 0, "stat", file)
        return (0..<8).map { UInt8(truncatingIfNeeded: status.st_ino >> (56 - 8 * $0)) }
    }

    private func check(_ isDone: Bool, _ call: String, _ file: String) throws(DiskFailure) {
        guard !isDone else { return }
        let code = errno
        let isFull = code == ENOSPC || code == EDQUOT
        let error = StateFolderError("\(call)(\(path)/\(file))", code: code)
        throw DiskFailure(isFull ? .noSpace : .failed, detail: error.description)
    }

    private func list() throws(DiskFailure) -> [DiskFile] {
        let copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let entries = fdopendir(copy) else {
            try check(false, "opendir", ".")
            return []
        }
        defer { closedir(entries) }
        var files: [DiskFile] = []
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var status = stat()
            guard name != StateFolder.lockName, fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0,
                status.st_mode & S_IFMT == S_IFREG
            else { continue }
            files.append(DiskFile(name: name, size: Int(status.st_size)))
        }
        return files.sorted { $0.name < $1.name }
    }

    private func read(_ file: String, _ offset: Int, _ count: Int) throws(DiskFailure) -> [UInt8] {
        if faccessat(folder, file, F_OK, AT_SYMLINK_NOFOLLOW) != 0, errno == ENOENT { return [] }
        let descriptor = try descriptor(of: file, makes: false)
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let address = buffer.baseAddress.map { $0 + filled }
                let got = pread(descriptor, address, count - filled, off_t(offset + filled))
                if got < 0, errno == EINTR { continue }
                if got < 0 { code = errno }
                if got <= 0 { return }
                filled += got
            }
        }
        errno = code
        try check(code == 0, "pread", file)
        return bytes
    }

    private func write(_ file: String, _ offset: Int, _ bytes: [UInt8]) throws(DiskFailure) {
        let descriptor = try descriptor(of: file, makes: true)
        let isDone = bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count {
                let rest = UnsafeRawBufferPointer(rebasing: buffer[written...])
                let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + written))
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return false }
                written += count
            }
            return true
        }
        try check(isDone, "pwrite", file)
    }

    /// What it couldn't get in full it gives back: a snapshot that frees more may need it.
    private func preallocate(_ file: String, _ size: Int) throws(DiskFailure) {
        let descriptor = try descriptor(of: file, makes: true)
        var status = stat()
        try check(fstat(descriptor, &status) == 0, "stat", file)
        var code = EINTR
        while code == EINTR { code = posix_fallocate(descriptor, 0, off_t(size)) }
        guard code != 0 else { return }
        ftruncate(descriptor, status.st_size)
        errno = code
        try check(false, "fallocate", file)
    }

    // MARK: Descriptors

    private func descriptor(of file: String, makes: Bool) throws(DiskFailure) -> Int32 {
        if let index = open.lastIndex(where: { $0.name == file }) {
            if index != open.count - 1 { open.append(open.remove(at: index)) }
            return open[open.count - 1].descriptor
        }
        let access = lock < 0 ? O_RDONLY : O_RDWR | (makes ? O_CREAT : 0)
        let flags = access | O_NOFOLLOW | O_CLOEXEC
        let descriptor = openat(folder, file, flags, 0o600)
        try check(descriptor >= 0, "open", file)
        if open.count == StateFolder.openMaximum { close(open.removeFirst().descriptor) }
        open.append((file, descriptor))
        return descriptor
    }

    private func forget(_ file: String) {
        guard let index = open.firstIndex(where: { $0.name == file }) else { return }
        close(open.remove(at: index).descriptor)
    }
}
