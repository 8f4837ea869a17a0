// The log of rights on the disk (SavedRights has its format).

import Glibc
import SidecarProtocol

/// Written by one issuer at a time.
struct RightsFile {
    private let path: String
    private var descriptor: Int32 = -1
    private var byteCount = 0
    /// What the log says already, by process.
    private var known: [Int32: SavedRights] = [:]

    /// From so many bytes on, a log that is mostly history is written anew.
    private static let compactionBytes = 1 << 20

    init(path: String) { self.path = path }

    /// What the former issuer left, or nothing: then it says why.
    func read() -> [SavedRights] {
        do {
            guard
                let bytes = try OwnFiles.read(path, byteCountMaximum: Limits.issuerRightsBytesMaximum)
            else { return [] }
            let (rights, isTorn) = try SavedRights.read(log: bytes)
            if isTorn { NodeProgram.say("\(path): the last line was cut off, and is left out") }
            return rights
        } catch {
            NodeProgram.say("\(path) is refused, and begun anew: \(error)")
            return []
        }
    }

    /// Begins a log that says just this.
    mutating func rewrite(_ rights: [SavedRights]) {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
        known = Dictionary(rights.map { ($0.processID, $0) }) { $1 }
        let bytes = rights.flatMap(\.lines)
        do {
            try OwnFiles.replace(path, with: bytes, isDurable: false)
        } catch {
            return NodeProgram.say("rights aren't kept for the next issuer: \(error)")
        }
        descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        byteCount = bytes.count
    }

    /// Adds what the log doesn't say yet of one process.
    ///
    /// - Parameter all: what every process holds now, for a log that must be written anew.
    mutating func save(_ rights: SavedRights, all: () -> [SavedRights]) {
        let before = known[rights.processID].flatMap { $0.startTime == rights.startTime ? $0 : nil }
        var lines: [UInt8] = []
        for instance in rights.instances where before?.instances.contains(instance) != true {
            lines += rights.line(.instance(instance))
        }
        for grant in rights.grants where before?.grants.contains(grant) != true {
            lines += rights.line(.grant(grant))
        }
        guard !lines.isEmpty else { return }
        known[rights.processID] = rights
        append(lines, all: all)
    }

    mutating func ended(_ processID: Int32, startTime: UInt64, all: () -> [SavedRights]) {
        guard let rights = known[processID], rights.startTime == startTime else { return }
        known[processID] = nil
        append(rights.line(.ended), all: all)
    }

    private mutating func append(_ lines: [UInt8], all: () -> [SavedRights]) {
        guard descriptor >= 0, byteCount < RightsFile.compactionBytes else { return rewrite(all()) }
        let count = lines.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        // A line that is only half there would spoil the next one.
        guard count == lines.count else { return rewrite(all()) }
        byteCount += count
    }
}
