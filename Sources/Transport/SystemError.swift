import Glibc

/// A system call that failed: `bind(198.18.3.7:80): Address already in use`.
package struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call, with the value that it was about.
    package let stage: String
    /// errno.
    package let code: Int32

    package init(_ stage: String, code: Int32 = errno) {
        self.stage = stage
        self.code = code
    }

    package var description: String { "\(stage): \(String(cString: strerror(code)))" }
}
