// Where programs lie: mesh's own, beside the launcher; the workload's, on the PATH.

import Glibc

struct Programs: Equatable, Sendable {
    /// The folder of the launcher's own executable.
    let folder: String

    static func beside() throws(LaunchFailure) -> Programs {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try checked(
            readlink("/proc/self/exe", &buffer, buffer.count - 1), "can't read /proc/self/exe",
            fix: { _ in "mount /proc" })
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let end = path.lastIndex(of: "/") ?? path.startIndex
        return Programs(folder: String(path[..<end]))
    }

    /// One of mesh's own programs: beside the launcher, else on the PATH.
    func own(_ name: String) throws(LaunchFailure) -> String {
        let near = folder + "/" + name
        if access(near, X_OK) == 0 { return near }
        if case .found(let path) = Programs.search(name) { return path }
        throw LaunchFailure(
            "\(name) is neither in \(folder) nor on the PATH", fix: "install all of mesh's programs together")
    }

    enum Search: Equatable {
        case found(String)
        case notExecutable(String)
        case notFound
    }

    /// What execvp(3) would run.
    static func search(_ name: String) -> Search {
        if name.utf8.contains(UInt8(ascii: "/")) { return judge(name) }
        var denied: String?
        let list = Folders.environment("PATH") ?? "/usr/local/bin:/usr/bin:/bin"
        for folder in list.split(separator: ":", omittingEmptySubsequences: false) {
            let path = (folder.isEmpty ? "." : folder) + "/" + name
            switch judge(path) {
            case .found: return .found(path)
            case .notExecutable: denied = denied ?? path
            case .notFound: continue
            }
        }
        return denied.map { .notExecutable($0) } ?? .notFound
    }

    private static func judge(_ path: String) -> Search {
        var status = stat()
        guard stat(path, &status) == 0 else { return errno == EACCES ? .notExecutable(path) : .notFound }
        let isFile = status.st_mode & S_IFMT == S_IFREG
        return isFile && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0
            ? .found(path) : .notExecutable(path)
    }
}
