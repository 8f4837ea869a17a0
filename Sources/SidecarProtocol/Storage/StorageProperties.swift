// What must hold of every parser of the state's files, on every input.

package enum StorageProperties {
    package static let all: [(name: String, check: @Sendable ([UInt8]) -> Void)] = [
        ("state-header", header), ("state-frame", frame), ("state-segment", segment),
        ("state-snapshot", snapshot), ("state-export", export),
    ]

    /// What is read is written as the same bytes.
    @Sendable package static func header(_ bytes: [UInt8]) {
        guard let header = StateHeader(bytes) else { return }
        precondition(header.encoded() == Array(bytes.prefix(StateHeader.bytes)))
    }

    @Sendable package static func frame(_ bytes: [UInt8]) {
        let parsed = bytes.withUnsafeBytes { StateFrame.parse($0, at: 0, seed: 1, sequence: nil) }
        guard case .frame(let frame, let end) = parsed else { return }
        var again: [UInt8] = []
        frame.append(to: &again, seed: 1)
        precondition(again == Array(bytes.prefix(end)))
    }

    /// A folder with these bytes as its only segment opens, or is refused with a reason; what it gives is
    /// numbered from 1 without a gap.
    @Sendable package static func segment(_ bytes: [UInt8]) {
        open(["log-0000000000000001": bytes])
    }

    @Sendable package static func snapshot(_ bytes: [UInt8]) {
        open(["snapshot-0000000000000002": bytes, "log-0000000000000001": segmentSeed])
    }

    private static func open(_ files: [String: [UInt8]]) {
        var disk = files
        var recovery = StateRecovery(configuration: StateLogConfiguration(group: group))
        var operations = recovery.begin()
        var records: UInt64 = 0
        while true {
            var effects: [StateLogEffect] = []
            var outcome = DiskOutcome(job: DiskJobID(number: 0), answers: [])
            for operation in operations { outcome.answers.append(perform(operation, on: &disk)) }
            let next = recovery.advance(outcome, &effects)
            for case .record(let sequence, _, _) in effects {
                precondition(records == 0 || sequence == records + 1)
                records = sequence
            }
            switch next {
            case .perform(let following): operations = following
            case .opened(_, let opening):
                precondition(opening.last >= records)
                return
            case .refused(let refusal):
                precondition(!refusal.description.isEmpty)
                return
            }
        }
    }

    private static func perform(
        _ operation: DiskOperation, on disk: inout [String: [UInt8]]
    ) -> DiskAnswer {
        switch operation {
        case .list:
            return .files(disk.keys.sorted().map { DiskFile(name: $0, size: disk[$0]?.count ?? 0) })
        case .read(let file, let offset, let count):
            return .bytes(Array((disk[file] ?? []).dropFirst(offset).prefix(count)))
        case .write(let file, let offset, let bytes):
            // What an unclean start writes again is what stands there, or zeros behind it.
            let there = (disk[file] ?? []).dropFirst(offset).prefix(bytes.count)
            precondition(there.elementsEqual(bytes) || bytes.allSatisfy { $0 == 0 })
        case .rename(let from, let to): disk[to] = disk.removeValue(forKey: from)
        case .remove(let file): disk[file] = nil
        case .preallocate, .sync, .syncFolder: break
        }
        return .done
    }

    /// An export is read, or is malformed somewhere in it, however it is cut.
    @Sendable package static func export(_ bytes: [UInt8]) {
        let whole = read(bytes, pieces: bytes.count)
        precondition(whole == read(bytes, pieces: 7))
    }

    private static func read(_ bytes: [UInt8], pieces: Int) -> [StateExportReader.Item]? {
        var reader = StateExportReader()
        var items: [StateExportReader.Item] = []
        var rest = bytes[...]
        do {
            while !rest.isEmpty {
                reader.add(Array(rest.prefix(max(1, pieces))))
                rest = rest.dropFirst(max(1, pieces))
                while let item = try reader.next() { items.append(item) }
            }
            try reader.finish()
            return items
        } catch {
            precondition(error.offset <= bytes.count)
            return nil
        }
    }

    // MARK: Seeds

    static let group = StateGroup([UInt8](repeating: 7, count: 16))!

    /// One of everything, valid.
    package static var seeds: [[UInt8]] { [frameSeed, segmentSeed, snapshotSeed, exportSeed] }

    private static var frameSeed: [UInt8] {
        var bytes: [UInt8] = []
        StateFrame(sequence: 1, type: 1, payload: [1, 2, 3]).append(to: &bytes, seed: 1)
        return bytes
    }

    private static var segmentSeed: [UInt8] {
        let header = StateHeader(kind: .segment, size: 4_096, group: group, number: 1, sequence: 1)
        var bytes = header.encoded()
        bytes += [UInt8](repeating: 0, count: StateSegment.sectorBytes - bytes.count)
        for sequence in UInt64(1)...4 {
            StateFrame(
                sequence: sequence, lag: 1, type: 1, payload: [UInt8](repeating: 1, count: Int(sequence) * 9)
            ).append(to: &bytes, seed: header.seed)
        }
        return bytes + [UInt8](repeating: 0, count: 256)
    }

    private static var snapshotSeed: [UInt8] {
        let header = StateHeader(kind: .snapshot, group: group, sequence: 2)
        var bytes = header.encoded()
        for (index, type) in [StateFrame.chunkType, StateFrame.chunkType, StateFrame.endType].enumerated() {
            let payload = [UInt8](repeating: 5, count: type == StateFrame.endType ? 0 : 30)
            StateFrame(sequence: UInt64(index), type: type, payload: payload)
                .append(to: &bytes, seed: header.seed)
        }
        return bytes
    }

    private static var exportSeed: [UInt8] {
        var writer = StateExportWriter(group: group)
        writer.append(chunk: [1, 2, 3])
        writer.append(record: [4, 5], type: 1, sequence: 9)
        writer.append(record: [], type: 2, sequence: 10)
        writer.end()
        return writer.take()
    }
}
