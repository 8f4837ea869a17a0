// How a state's folder is read when it is opened.
//
// Theory of operation
//
//   The newest snapshot that is whole stands for all records up to its sequence S; the segments have the
//   rest. A segment's header names its first record, and the one before must hold every record up to it:
//   it was made durable before the next one's header was written. So only the last segment may end in a
//   write that a crash interrupted.
//
//   There, the first frame that isn't valid is where the log ends, unless what follows says otherwise:
//   each frame tells which records were durable when it was written. A valid frame that was written when
//   the missing record was durable already is proof that something durable is gone, and the log doesn't
//   open. Without such a proof, what follows is of the same write, which nobody was promised; it is
//   overwritten with zeros, so that it never lines up with what is written later.
//
//   After a clean shutdown the marker says where the log ends, and anything short of that is damage. The
//   marker is removed, durably, before the log takes a record.
//
//   After an unclean end the valid part of the last segment is written again where it stands, the same
//   bytes, and synced: if its last sync failed, the kernel shows pages that the disk never took.

struct StateRecovery {
    enum Next {
        case perform([DiskOperation])
        case opened(Recovered, StateLogOpening)
        case refused(StateLogRefusal)
    }

    /// What the writer goes on with.
    struct Recovered: Equatable {
        var segments: [StateSegment] = []
        /// Where the last segment goes on; nil: a new one is begun.
        var end: Int?
        var next: UInt64 = 1
        var snapshot: UInt64 = 0
        var snapshotBytes = 0
        /// Snapshots that a newer one stands for.
        var olderSnapshots: [UInt64] = []
        var highestNumber: UInt64 = 0
    }

    private enum Step {
        case listing
        case headers([StateFile])
        case snapshot(FrameReader, chunks: UInt64)
        case segment(FrameReader, cursor: UInt64, limit: UInt64?)
        case tail(TailScan)
        case finishing
    }

    private struct Entry {
        var number: UInt64
        var segment: StateSegment?
        var file: String { StateFile.segment(number).name }
    }

    private let configuration: StateLogConfiguration
    private var step = Step.listing
    private var sizes: [String: Int] = [:]
    private var unreadable: Set<String> = []
    private var marker: StateHeader?
    private var entries: [Entry] = []
    /// Of the entry that is read.
    private var index = 0
    /// Sequences and headers, the oldest first; those before the one in use.
    private var snapshots: [(sequence: UInt64, header: StateHeader?)] = []
    private var damagedFiles: [String] = []
    private var snapshotDamage: StateDamage?
    private var damage: StateDamage?
    private var found = Recovered()
    private var tornBytes = 0
    /// To be done before the log is open.
    private var repairs: [DiskOperation] = []

    init(configuration: StateLogConfiguration) { self.configuration = configuration }

    mutating func begin() -> [DiskOperation] { [.list] }

    /// - Parameter outcome: of the job that was asked for last.
    mutating func advance(_ outcome: DiskOutcome, _ effects: inout [StateLogEffect]) -> Next {
        if let failure = outcome.failure { return fail(failure, at: outcome.answers.count, &effects) }
        switch step {
        case .listing: return readHeaders(of: outcome.answers)
        case .headers(let files):
            if let refusal = sort(files, outcome.answers) { return .refused(refusal) }
            return readSnapshot(&effects)
        case .snapshot(var reader, let chunks):
            _ = reader.add(outcome.lastBytes)
            return goOn(reader, chunks: chunks, &effects)
        case .segment(var reader, let cursor, let limit):
            let taken = reader.add(outcome.lastBytes)
            var writes: [DiskOperation] = []
            if rewrites, !taken.bytes.isEmpty {
                writes = [.write(file: reader.file, offset: taken.offset, taken.bytes)]
            }
            return goOn(reader, cursor: cursor, limit: limit, writes, &effects)
        case .tail(var scan):
            scan.add(outcome.lastBytes)
            return goOn(scan)
        case .finishing: return .opened(found, opening)
        }
    }

    /// The last segment's valid part is written again, unless the marker says that it was synced.
    private var rewrites: Bool { marker == nil && index == entries.count - 1 }

    private var opening: StateLogOpening {
        StateLogOpening(
            isNew: entries.isEmpty && found.snapshot == 0 && damage == nil && snapshotDamage == nil,
            isClean: marker != nil && damage == nil, last: found.next - 1, tornBytes: tornBytes,
            damage: damage)
    }
}

// MARK: - The folder

extension StateRecovery {
    private mutating func readHeaders(of answers: [DiskAnswer]) -> Next {
        if case .files(let files)? = answers.first {
            for file in files { sizes[file.name] = file.size }
        }
        let files = sizes.keys.sorted().compactMap(StateFile.init(name:)).filter { file in
            switch file {
            case .segment, .snapshot, .clean: !unreadable.contains(file.name)
            case .spare, .unfinishedSnapshot, .unfinishedClean, .damaged: false
            }
        }
        step = .headers(files)
        return .perform(files.map { .read(file: $0.name, offset: 0, count: StateHeader.bytes) })
    }

    /// Orders what the folder holds. Names are of equal length, so that their order is their numbers'.
    private mutating func sort(_ files: [StateFile], _ answers: [DiskAnswer]) -> StateLogRefusal? {
        var headers: [String: StateHeader] = [:]
        for (file, answer) in zip(files, answers) {
            guard case .bytes(let bytes) = answer, let header = StateHeader(bytes) else { continue }
            guard header.group == configuration.group else {
                return .foreignGroup(file: file.name, header.group)
            }
            headers[file.name] = header
        }
        for name in sizes.keys.sorted() {
            let header = headers[name]
            switch StateFile(name: name) {
            case .segment(let number)?:
                let isOwn = header?.kind == .segment && header?.number == number
                entries.append(Entry(number: number, segment: isOwn ? header.map(StateSegment.init) : nil))
                found.highestNumber = max(found.highestNumber, number)
            case .snapshot(let sequence)?:
                let isOwn = header?.kind == .snapshot && header?.sequence == sequence
                snapshots.append((sequence, isOwn ? header : nil))
            case .clean?:
                if header?.kind == .clean { marker = header }
                repairs.append(.remove(file: name))
            case .unfinishedSnapshot?, .unfinishedClean?: repairs.append(.remove(file: name))
            case .damaged(let name)?:
                if case .segment(let number)? = StateFile(name: name) {
                    found.highestNumber = max(found.highestNumber, number)
                }
            case .spare?, nil: break
            }
        }
        return nil
    }

    /// A disk that fails to read is damage like any other, in its place.
    private mutating func fail(
        _ failure: DiskFailure, at operation: Int, _ effects: inout [StateLogEffect]
    ) -> Next {
        switch step {
        case .headers(let files) where operation < files.count:
            unreadable.insert(files[operation].name)
            return readHeaders(of: [])
        case .snapshot(let reader, _): return giveUpSnapshot(reader.offset, failure.detail, &effects)
        case .segment(let reader, let cursor, _) where !rewrites:
            return giveUp(reader.file, reader.offset, cursor, failure.detail)
        case .listing, .headers, .segment, .tail, .finishing: return .refused(.disk(failure))
        }
    }
}

// MARK: - Snapshots

extension StateRecovery {
    private mutating func readSnapshot(_ effects: inout [StateLogEffect]) -> Next {
        guard let newest = snapshots.last else { return readLog(&effects) }
        let file = StateFile.snapshot(newest.sequence).name
        guard let header = newest.header else {
            return giveUpSnapshot(0, "its header isn't valid", &effects)
        }
        let reader = FrameReader(
            file: file, seed: header.seed, from: StateHeader.bytes, to: sizes[file] ?? 0)
        return goOn(reader, chunks: 0, &effects)
    }

    private mutating func goOn(
        _ reader: FrameReader, chunks: UInt64, _ effects: inout [StateLogEffect]
    ) -> Next {
        var reader = reader
        var chunks = chunks
        while true {
            switch reader.next(sequence: chunks) {
            case .frame(let frame) where frame.type == StateFrame.chunkType:
                effects.append(.chunk(frame.payload))
                chunks += 1
            case .frame(let frame):
                guard frame.type == StateFrame.endType, reader.offset == reader.end else {
                    return giveUpSnapshot(reader.offset, "it doesn't end where it should", &effects)
                }
                let sequence = snapshots.removeLast().sequence
                found.snapshot = sequence
                found.snapshotBytes = reader.end
                found.olderSnapshots = snapshots.map(\.sequence)
                found.next = sequence &+ 1
                return readLog(&effects)
            case .needsMore:
                step = .snapshot(reader, chunks: chunks)
                return .perform([reader.read])
            case .invalid, .end:
                return giveUpSnapshot(reader.offset, "chunk \(chunks) isn't valid", &effects)
            }
        }
    }

    /// An older snapshot does as well, where the log still reaches back to it.
    private mutating func giveUpSnapshot(
        _ offset: Int, _ reason: String, _ effects: inout [StateLogEffect]
    ) -> Next {
        let sequence = snapshots.removeLast().sequence
        let file = StateFile.snapshot(sequence).name
        let damage = StateDamage(file: file, offset: offset, sequence: sequence, reason: reason)
        snapshotDamage = snapshotDamage ?? damage
        damagedFiles.append(file)
        effects.append(.forget)
        return readSnapshot(&effects)
    }
}

// MARK: - The log

extension StateRecovery {
    private mutating func readLog(_ effects: inout [StateLogEffect]) -> Next {
        while index < entries.count {
            let following = entries[(index + 1)...].lazy.compactMap(\.segment).first?.first
            if let following, following <= found.next {
                index += 1
                continue
            }
            let entry = entries[index]
            guard let segment = entry.segment else {
                return giveUp(entry.file, 0, found.next, "its header isn't valid")
            }
            guard segment.first <= found.next else {
                return giveUp(entry.file, 0, found.next, "the records before \(segment.first) are missing")
            }
            return readSegment(segment, limit: following, &effects)
        }
        if let snapshotDamage, found.snapshot == 0, entries.isEmpty { return giveUp(snapshotDamage) }
        if entries.isEmpty, found.snapshot > 0, marker?.number != 0 {
            return giveUp(StateFile.segmentPrefix, 0, found.next, "the log has no segments")
        }
        return finish()
    }

    private mutating func readSegment(
        _ segment: StateSegment, limit: UInt64?, _ effects: inout [StateLogEffect]
    ) -> Next {
        let isLast = index == entries.count - 1
        var end = sizes[segment.file] ?? 0
        if isLast, let marker {
            guard marker.number == segment.number, Int(clamping: marker.size) <= end else {
                return giveUp(
                    segment.file, end, found.next, "the log went on to segment \(marker.number) once")
            }
            end = Int(clamping: marker.size)
        }
        let reader = FrameReader(
            file: segment.file, seed: segment.seed, from: StateSegment.sectorBytes, to: end)
        var writes: [DiskOperation] = []
        if rewrites {
            let header = StateHeader(
                kind: .segment, size: UInt64(segment.size), group: configuration.group,
                number: segment.number, sequence: segment.first)
            writes = [.write(file: segment.file, offset: 0, header.encoded())]
        }
        return goOn(reader, cursor: segment.first, limit: limit, writes, &effects)
    }

    private mutating func goOn(
        _ reader: FrameReader, cursor: UInt64, limit: UInt64?, _ writes: [DiskOperation],
        _ effects: inout [StateLogEffect]
    ) -> Next {
        var reader = reader
        var cursor = cursor
        while cursor != limit {
            switch reader.next(sequence: cursor) {
            case .frame(let frame):
                if cursor >= found.next {
                    effects.append(.record(sequence: cursor, type: frame.type, payload: frame.payload))
                    found.next = cursor &+ 1
                }
                cursor &+= 1
            case .needsMore:
                step = .segment(reader, cursor: cursor, limit: limit)
                return .perform(writes + [reader.read])
            case .invalid, .end:
                return endSegment(reader, cursor: cursor, writes, &effects)
            }
        }
        index += 1
        return readLog(&effects)
    }

    /// The frames end at `reader.offset`, before a record `cursor` that a later segment needs, or that
    /// nobody knows of.
    private mutating func endSegment(
        _ reader: FrameReader, cursor: UInt64, _ writes: [DiskOperation], _ effects: inout [StateLogEffect]
    ) -> Next {
        guard index == entries.count - 1 else {
            if entries[index + 1].segment == nil {
                return giveUp(entries[index + 1].file, 0, cursor, "its header isn't valid")
            }
            return giveUp(reader.file, reader.offset, cursor, "the record isn't valid")
        }
        found.end = cursor == found.next ? reader.offset : nil
        if let marker {
            guard marker.sequence == cursor &- 1, reader.offset == reader.end else {
                return giveUp(
                    reader.file, reader.offset, cursor,
                    "the log was closed in order, with record \(marker.sequence) as its last")
            }
            return finish()
        }
        // The frames that were read last haven't been written again yet: `add` hands them over.
        var reader = reader
        let taken = reader.add([])
        repairs.append(.write(file: reader.file, offset: taken.offset, taken.bytes))
        let scan = TailScan(
            file: reader.file, seed: reader.seed, from: reader.offset, to: reader.end, missing: cursor)
        step = .tail(scan)
        return .perform(writes + [scan.read])
    }

    private mutating func goOn(_ scan: TailScan) -> Next {
        var scan = scan
        switch scan.next() {
        case .needsMore:
            step = .tail(scan)
            return .perform([scan.read])
        case .corrupt(let frame, let offset):
            return giveUp(
                scan.file, scan.from, scan.missing,
                "record \(frame.sequence), at byte \(offset), was written when it was durable")
        case .torn(let deadEnd):
            tornBytes = deadEnd - scan.from
            // The frame that wasn't valid must not be so at another time, as after a read that failed.
            let end = min(max(deadEnd, scan.from + StateFrame.headBytes), sizes[scan.file] ?? 0)
            repairs += zeros(scan.file, from: scan.from, to: end)
            repairs.append(.sync(file: scan.file))
            return finish()
        }
    }

    private func zeros(_ file: String, from: Int, to end: Int) -> [DiskOperation] {
        stride(from: from, to: end, by: Limits.stateReadBytes).map { offset in
            let count = min(Limits.stateReadBytes, end - offset)
            return .write(file: file, offset: offset, [UInt8](repeating: 0, count: count))
        }
    }
}

// MARK: - The end

extension StateRecovery {
    private mutating func giveUp(
        _ file: String, _ offset: Int, _ sequence: UInt64, _ reason: String
    ) -> Next {
        giveUp(
            snapshotDamage
                ?? StateDamage(
                    file: file, offset: offset, sequence: max(sequence, found.next), reason: reason))
    }

    /// Serves nothing; or, where that was asked for, what stands before the damage.
    private mutating func giveUp(_ damage: StateDamage) -> Next {
        guard configuration.repair == .keepPrefix else { return .refused(.damaged(damage)) }
        self.damage = damage
        // What stands before the damage in this segment belongs to what is kept.
        let isPartlyKept = index < entries.count && (entries[index].segment?.first ?? .max) <= found.next
        let lost = index < entries.count ? entries[(index + (isPartlyKept ? 1 : 0))...].map(\.file) : []
        damagedFiles += lost
        entries.removeLast(lost.count)
        found.end = nil
        return finish()
    }

    private mutating func finish() -> Next {
        found.segments = entries.compactMap(\.segment)
        // What a newer snapshot, or segment, stands for may be unreadable; it is of no more use.
        damagedFiles += entries.filter { $0.segment == nil }.map(\.file)
        let renames = damagedFiles.map {
            DiskOperation.rename(from: $0, to: StateFile.damaged($0).name)
        }
        step = .finishing
        return .perform(repairs + renames + [.syncFolder])
    }
}

extension DiskOutcome {
    /// What the job's last operation has read.
    fileprivate var lastBytes: [UInt8] {
        guard case .bytes(let bytes)? = answers.last else { return [] }
        return bytes
    }
}
