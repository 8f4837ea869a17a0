import Glibc
import SidecarProtocol

/// Why a launch can't go on: what failed, with which value, and what to do.
package struct LaunchFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
    package let exitCode: Int32

    package init(_ what: String, fix: String, exitCode: Int32 = ExitCode.ownFailure) {
        description = fix.isEmpty ? what : "\(what); \(fix)"
        self.exitCode = exitCode
    }

    package init(_ error: ConfigurationError) {
        self.init(error.what, fix: error.fix)
    }
}

package enum ExitCode {
    /// Mesh's own failure.
    package static let ownFailure: Int32 = 125
    package static let notExecutable: Int32 = 126
    package static let notFound: Int32 = 127
}

/// The text of an errno, as libc words it.
func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// Passes a system call's result on, or says what failed.
///
/// - Parameters:
///   - stage: what was tried, with its value.
///   - fix: what to do, from the errno; may be empty.
@discardableResult
func checked<T: SignedInteger>(
    _ result: T, _ stage: @autoclosure () -> String, fix: (Int32) -> String = { _ in "" }
) throws(LaunchFailure) -> T {
    guard result < 0 else { return result }
    let code = errno
    throw LaunchFailure("\(stage()): \(errorText(code))", fix: fix(code))
}
