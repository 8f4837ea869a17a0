import Glibc

/// A system call on a state's folder that failed.
package struct StateFolderError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call, with the value that it was about.
    package let stage: String
    /// errno. EWOULDBLOCK: another process has the folder.
    package let code: Int32

    init(_ stage: String, code: Int32 = errno) {
        self.stage = stage
        self.code = code
    }

    package var description: String {
        isInUse ? stage : "\(stage): \(String(cString: strerror(code)))"
    }

    package var isInUse: Bool { code == EWOULDBLOCK }
}
