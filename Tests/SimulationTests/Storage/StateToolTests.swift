import SidecarProtocol
import Simulator
import Testing

/// What an operator does with a state: verify, export, import.
@Suite("Verifying, exporting and importing a state")
struct StateToolTests {
    private static func written(_ count: Int) -> SimulatedLog {
        var log = StateLogTests.opened()
        for number in 0..<count {
            log.append([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 100))
            log.flush()
            log.settle()
        }
        return log
    }

    private static func report(_ log: SimulatedLog) throws -> StateReport {
        try StateVerifier.report { operation throws(DiskFailure) in
            var disk = log.disk
            return try disk.perform(operation)
        }
    }

    @Test("the report names every file with its records, and says that the log opens")
    func report() throws {
        var log = Self.written(100)
        let report = try Self.report(log)
        #expect(report.group == StateLogTests.group && report.refusal == nil && report.opening?.last == 100)
        #expect(report.files.allSatisfy { $0.fault == nil } && !report.wasClosedInOrder)
        let segments = report.files.filter { $0.name.hasPrefix("log-") }
        #expect(segments.last?.records?.upperBound == 100)
        for (segment, following) in zip(segments, segments.dropFirst()) {
            #expect(segment.records.map { $0.upperBound + 1 } == following.records?.lowerBound)
        }
        log.close()
        log.settle()
        #expect(try Self.report(log).wasClosedInOrder)
    }

    @Test("a flipped bit is named in the report, in the log and in the snapshot")
    func faults() throws {
        var log = Self.written(100)
        log.takeSnapshot()
        log.settle()
        for _ in 0..<3 {
            log.append([1])
            log.flush()
            log.settle()
        }
        for file in log.disk.files where file.name != "spare" {
            var rotten = log
            let byte = file.name.hasPrefix("log-") ? 560 : 100
            rotten.disk.flip(file.name, byte: byte, mask: 1)
            let report = try Self.report(rotten)
            let found = try #require(report.files.first { $0.name == file.name })
            #expect(found.fault != nil, "\(file.name)")
            #expect(report.refusal != nil || report.opening?.last == 103)
        }
    }

    @Test("an export holds the chunks and the records, and is imported into an empty folder")
    func roundTrip() throws {
        var writer = StateExportWriter(group: StateLogTests.group)
        writer.append(chunk: [1, 2, 3])
        writer.append(chunk: [UInt8](repeating: 9, count: Limits.stateChunkBytesMaximum))
        writer.append(record: [4], type: 1, sequence: 77)
        writer.append(record: [5], type: 2, sequence: 78)
        writer.end()
        var reader = StateExportReader()
        reader.add(writer.take())
        var items: [StateExportReader.Item] = []
        while let item = try reader.next() { items.append(item) }
        try reader.finish()
        #expect(items.count == 6 && items.first == .group(StateLogTests.group) && items.last == .end)
        #expect(items[1] == .chunk([1, 2, 3]) && items[3] == .record(type: 1, payload: [4]))
    }

    @Test("every byte of an export that rots is found, and so is every place where it ends too early")
    func rot() {
        var writer = StateExportWriter(group: StateLogTests.group)
        writer.append(chunk: [1, 2, 3])
        writer.append(record: [4], type: 1, sequence: 1)
        writer.append(record: [4], type: 1, sequence: 2)
        writer.end()
        let bytes = writer.take()
        func isWhole(_ bytes: [UInt8]) -> Bool {
            var reader = StateExportReader()
            reader.add(bytes)
            do {
                while try reader.next() != nil {}
                try reader.finish()
                return true
            } catch { return false }
        }
        #expect(isWhole(bytes))
        for index in bytes.indices {
            for bit in 0..<8 {
                var rotten = bytes
                rotten[index] ^= 1 << UInt8(bit)
                #expect(!isWhole(rotten), "byte \(index)")
            }
            #expect(!isWhole(Array(bytes[..<index])))
        }
        #expect(!isWhole(bytes + [0]))
    }

    @Test("a chunk past its limit isn't one of an export")
    func chunkLimit() {
        for (count, isTaken) in [
            (Limits.stateChunkBytesMaximum, true), (Limits.stateChunkBytesMaximum + 1, false),
        ] {
            var writer = StateExportWriter(group: StateLogTests.group)
            writer.append(chunk: [UInt8](repeating: 0, count: count))
            var reader = StateExportReader()
            reader.add(writer.take())
            _ = try? reader.next()
            #expect(((try? reader.next()) != nil) == isTaken)
        }
    }
}
