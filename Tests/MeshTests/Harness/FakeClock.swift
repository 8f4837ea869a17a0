// Wall clocks that a test sets while programs run, by libfaketime.

import Foundation
import Glibc
import Testing

struct FakeClock {
    let mesh: Mesh
    private let file: String

    /// A clock that is right.
    init(_ mesh: Mesh, named name: String = "clock") throws {
        self.mesh = mesh
        file = "\(mesh.work)/\(name)"
        try set("+0")
    }

    /// The words behind this clock. A Swift program looks for its arguments below its environment, which
    /// libfaketime moves unless `faketime` has prepared it; and its correction of monotonic waits ends them
    /// at once where that clock isn't faked.
    func behind(_ words: [String]) -> [String] {
        [
            "faketime", "-m", "--exclude-monotonic", "-f", "+0", "env", "-u", "FAKETIME",
            "FAKETIME_TIMESTAMP_FILE=\(file)", "FAKETIME_NO_CACHE=1", "FAKETIME_FORCE_MONOTONIC_FIX=0",
        ] + words
    }

    /// - Parameter offset: such as `-1d`, to the true time. Never half written.
    func set(_ offset: String) throws {
        let new = try mesh.write(offset + "\n", to: file + ".new")
        try #require(rename(new, file) == 0)
    }
}
