import Foundation
import Glibc
import Synchronization
import Testing

/// A pseudo-terminal, and somebody who types into it.
final class Terminal: Sendable {
    /// The side that programs get.
    let path: String
    private let master: Int32
    /// Everything that was written to it and not expected yet.
    private let seen = Mutex<String>("")

    init() throws {
        // As posix_openpt(3), unlockpt(3) and ptsname(3) do, which Swift's Glibc leaves out.
        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)
        var unlocked: Int32 = 0
        var number: Int32 = 0
        let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)
        guard master >= 0, ioctl(master, setLock, &unlocked) == 0, ioctl(master, getNumber, &number) == 0
        else {
            throw HarnessError("there is no pseudo-terminal: errno \(errno)")
        }
        path = "/dev/pts/\(number)"
    }

    deinit { close(master) }

    /// Gives the programs' side to a user, as login does.
    func give(to person: Person) {
        chown(path, person.uid, person.gid)
    }

    func type(_ text: String) {
        _ = text.withCString { write(master, $0, strlen($0)) }
    }

    /// Waits for a text among what comes, and forgets everything up to it.
    func expect(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        try await eventually(
            "'\(text)' on the terminal, which shows: \(seen.withLock { $0 })", sourceLocation: sourceLocation
        ) {
            take()
            return seen.withLock { seen in
                guard let range = seen.range(of: text) else { return false }
                seen.removeSubrange(..<range.upperBound)
                return true
            }
        }
    }

    private func take() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(master, &buffer, buffer.count)
            guard count > 0 else { return }
            seen.withLock { $0 += String(decoding: buffer[..<count], as: UTF8.self) }
        }
    }
}
