// The workload's executable: the file that is hashed is the file that is executed.
//
// Theory of operation
//
//   The launcher opens the command's file once, before anything else. The digest is that of the descriptor, and
//   the workload's process executes the descriptor (execveat(2)), so that whatever is put in the file's place
//   meanwhile isn't run. A file that is written in place meanwhile has another stamp, and isn't run either.
//
//   A script is no such thing: the kernel hands its interpreter a path. Its certificate has the script's digest
//   and says which interpreter runs it, with that one's digest. Both files' stamps are compared right before the
//   path is executed; what is left is the moment between that and the interpreter's open(2).
//
//   A kernel before 6.14 calls a process that executes a descriptor by the descriptor's number, and pgrep(1)
//   wouldn't find it: there a program is executed by its path, after the same comparison. So is one that is
//   called by a link everywhere, since a descriptor knows its file's own name only.

import CLinuxShims
import Glibc
import SidecarProtocol

struct ExecutableImage {
    /// What the command's first word leads to.
    let path: String
    /// Nil where the file can't be read: it is executed by its path, and has no digest.
    let file: OpenFile?
    let interpreter: Interpreter?

    struct Interpreter {
        let path: String
        let file: OpenFile?
    }

    /// Never fails: what is wrong with the file, executing it will say.
    static func open(_ path: String) -> ExecutableImage {
        guard let file = OpenFile(path) else {
            return ExecutableImage(path: path, file: nil, interpreter: nil)
        }
        let head = file.head()
        var interpreter: String?
        if let named = ScriptInterpreter.named(in: head) {
            interpreter = named.path
        } else if !head.starts(with: [0x7F] + Array("ELF".utf8)), !head.contains(0) {
            // Text without a first line that says more: execvp(3) has the shell run it.
            interpreter = "/bin/sh"
        }
        return ExecutableImage(
            path: path, file: file,
            interpreter: interpreter.map { Interpreter(path: $0, file: OpenFile($0)) })
    }

    /// Its digest, and its interpreter's; nil where it can't be read, or is too large.
    func granted(cache: String) -> GrantedExecutable? {
        guard let file, let digest = ExecutableDigest.of(file, cache: cache) else { return nil }
        let script = interpreter.flatMap {
            ScriptInterpreter(
                path: $0.path, digest: $0.file.flatMap { ExecutableDigest.of($0, cache: cache) })
        }
        return GrantedExecutable(digest: digest, interpreter: script)
    }

    /// Descriptors that the workload's process needs until it executes.
    var descriptors: [Int32] { file.map { [$0.descriptor] } ?? [] }

    /// The path's last part is a link, whose name the process is to have: `sh`, and not `dash`.
    private var isLink: Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
    }

    /// Becomes the program; returns only where that fails, with the reason in errno.
    func execute(_ arguments: CStrings, _ environment: CStrings) {
        guard let file, let here = OpenFile(path) else {
            return executePath(arguments, environment)
        }
        guard interpreter == nil, KernelRelease.namesExecutedDescriptors, !isLink else {
            guard here.stamp == file.stamp, interpreter?.file?.isUnchanged != false else {
                errno = ESTALE
                return
            }
            return executePath(arguments, environment)
        }
        // The descriptor of this mount namespace, where it is the same file: through a foreign one the kernel
        // honours no set-user-ID bit.
        let image = here.stamp == file.stamp ? here.descriptor : file.descriptor
        var status = stat()
        guard fstat(image, &status) == 0, FileStamp(status) == file.stamp else {
            errno = ESTALE
            return
        }
        _ = mesh_execute_descriptor(image, arguments.pointers, environment.pointers)
        // Of a format whose interpreter wants a path: binfmt_misc(5).
        if errno == ENOEXEC || errno == ENOENT { executePath(arguments, environment) }
    }

    private func executePath(_ arguments: CStrings, _ environment: CStrings) {
        _ = mesh_execute(path, arguments.pointers, environment.pointers)
    }
}

/// What changes when a file is another, or is written to.
struct FileStamp: Hashable {
    let device: UInt
    let inode: UInt
    let size: Int
    let modified: [Int]

    init(_ status: stat) {
        device = status.st_dev
        inode = status.st_ino
        size = status.st_size
        modified = [
            status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
        ]
    }
}

/// An open file, and how it was then.
struct OpenFile {
    let path: String
    let descriptor: Int32
    let stamp: FileStamp

    /// Nil where it can't be read, or is no regular file.
    init?(_ path: String) {
        let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            if descriptor >= 0 { close(descriptor) }
            return nil
        }
        self.path = path
        self.descriptor = descriptor
        stamp = FileStamp(status)
    }

    /// Whether its path still leads to it, as it was.
    var isUnchanged: Bool {
        var status = stat()
        return stat(path, &status) == 0 && FileStamp(status) == stamp
    }

    func head() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 256) { buffer, count in
            count = max(0, pread(descriptor, buffer.baseAddress, 256, 0))
        }
    }
}

enum KernelRelease {
    /// Since 6.14 such a process has the file's name.
    static let namesExecutedDescriptors: Bool = {
        var name = utsname()
        guard uname(&name) == 0 else { return false }
        let release = withUnsafeBytes(of: name.release) {
            String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        return isAtLeast(release, major: 6, minor: 14)
    }()

    static func isAtLeast(_ release: String, major: Int, minor: Int) -> Bool {
        let numbers = release.split(separator: ".").prefix(2).map { Int($0.prefix { $0.isNumber }) ?? 0 }
        guard numbers.count == 2 else { return false }
        return (numbers[0], numbers[1]) >= (major, minor)
    }
}
