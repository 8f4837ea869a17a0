// Everything in a state's folder, read and reported, nothing changed: what `mesh state verify` says.

package struct StateReport: Hashable, Sendable {
    package struct File: Hashable, Sendable {
        package var name: String
        package var bytes: Int
        /// Of its records; of a snapshot, both the last record that it stands for. Nil: it holds none.
        package var records: ClosedRange<UInt64>?
        /// Frames that are whole.
        package var frames: UInt64 = 0
        /// Why what follows them isn't read; nil: it is as it should be.
        package var fault: String?
    }

    package var group: StateGroup?
    package var files: [File] = []
    /// Files that aren't the state's, and those that were given up.
    package var others: [String] = []
    package var wasClosedInOrder = false
    /// What keeps the log from opening; nil: it opens.
    package var refusal: StateLogRefusal?
    package var opening: StateLogOpening?
}

/// A log's records, and the snapshot before them.
package struct StateContents: Sendable {
    package struct Record: Hashable, Sendable {
        package var sequence: UInt64
        package var type: UInt8
        package var payload: [UInt8]

        package init(sequence: UInt64, type: UInt8, payload: [UInt8]) {
            self.sequence = sequence
            self.type = type
            self.payload = payload
        }
    }

    package var group: StateGroup
    package var chunks: [[UInt8]] = []
    package var records: [Record] = []

    package init(group: StateGroup) { self.group = group }
}

package struct StateVerifier {
    private let perform: (DiskOperation) throws(DiskFailure) -> DiskAnswer
    private var report = StateReport()

    private init(_ perform: @escaping (DiskOperation) throws(DiskFailure) -> DiskAnswer) {
        self.perform = perform
    }

    /// - Parameter perform: a disk; it is asked for nothing but lists and reads.
    package static func report(
        _ perform: @escaping (DiskOperation) throws(DiskFailure) -> DiskAnswer
    ) throws(DiskFailure) -> StateReport {
        var verifier = StateVerifier(perform)
        guard case .files(let files) = try perform(.list) else { return verifier.report }
        for file in files.sorted(by: { $0.name < $1.name }) { verifier.verify(file) }
        if let group = verifier.report.group { verifier.rehearse(group) }
        return verifier.report
    }

    /// What an export holds, read without a change.
    package static func contents(
        _ perform: @escaping (DiskOperation) throws(DiskFailure) -> DiskAnswer
    ) throws(StateLogRefusal) -> StateContents {
        let report: StateReport
        do { report = try StateVerifier.report(perform) } catch { throw .disk(error) }
        guard let group = report.group else {
            throw .disk(DiskFailure(.failed, detail: "there is no state in it"))
        }
        var (verifier, contents) = (StateVerifier(perform), StateContents(group: group))
        verifier.rehearse(group) { effect in
            switch effect {
            case .chunk(let chunk): contents.chunks.append(chunk)
            case .forget: contents = StateContents(group: group)
            case .record(let sequence, let type, let payload):
                contents.records.append(.init(sequence: sequence, type: type, payload: payload))
            default: break
            }
        }
        if let refusal = verifier.report.refusal { throw refusal }
        return contents
    }

    private mutating func verify(_ file: DiskFile) {
        switch StateFile(name: file.name) {
        case .segment(let number)?:
            verify(file, from: StateSegment.sectorBytes) { $0.kind == .segment && $0.number == number }
        case .snapshot(let sequence)?:
            verify(file, from: StateHeader.bytes) { $0.kind == .snapshot && $0.sequence == sequence }
        case .clean?: report.wasClosedInOrder = header(of: file.name)?.kind == .clean
        case .spare?, .unfinishedSnapshot?, .unfinishedClean?: break
        case .damaged?, nil: report.others.append(file.name)
        }
    }

    private func header(of file: String) -> StateHeader? {
        guard
            case .bytes(let bytes)? = try? perform(
                .read(file: file, offset: 0, count: StateHeader.bytes))
        else { return nil }
        return StateHeader(bytes)
    }

    private mutating func verify(_ file: DiskFile, from start: Int, _ isOwn: (StateHeader) -> Bool) {
        var result = StateReport.File(name: file.name, bytes: file.size)
        defer { report.files.append(result) }
        guard let header = header(of: file.name), isOwn(header) else {
            result.fault = "its header isn't valid"
            return
        }
        report.group = report.group ?? header.group
        var reader = FrameReader(file: file.name, seed: header.seed, from: start, to: file.size)
        let isSnapshot = header.kind == .snapshot
        var next = isSnapshot ? 0 : header.sequence
        var isEnded = false
        while true {
            switch reader.next(sequence: next) {
            case .frame(let frame):
                result.frames += 1
                next &+= 1
                isEnded = frame.type == StateFrame.endType
                if isEnded, reader.offset == reader.end { break }
                continue
            case .needsMore:
                if case .bytes(let bytes)? = try? perform(reader.read) {
                    _ = reader.add(bytes)
                    continue
                }
                result.fault = "it can't be read at byte \(reader.offset)"
            case .invalid, .end: break
            }
            break
        }
        if isSnapshot {
            result.records = header.sequence...header.sequence
            if !isEnded {
                result.fault = result.fault ?? "chunk \(next) isn't valid, at byte \(reader.offset)"
            }
        } else if next > header.sequence {
            result.records = header.sequence...(next &- 1)
        }
        if !isSnapshot, result.fault == nil { result.fault = fault(behind: reader, missing: next) }
    }

    /// Of a segment: zeros and what it held before are as they should be.
    private func fault(behind reader: FrameReader, missing: UInt64) -> String? {
        var scan = TailScan(
            file: reader.file, seed: reader.seed, from: reader.offset, to: reader.end, missing: missing)
        while true {
            switch scan.next() {
            case .needsMore:
                guard case .bytes(let bytes)? = try? perform(scan.read) else {
                    return "it can't be read behind byte \(reader.offset)"
                }
                scan.add(bytes)
            case .corrupt(let frame, let offset):
                return "record \(missing) isn't valid at byte \(reader.offset), "
                    + "and was durable when record \(frame.sequence) was written, at byte \(offset)"
            case .torn(let deadEnd):
                return deadEnd == reader.offset
                    ? nil
                    : "nothing is valid from byte \(reader.offset) on, as an interrupted write leaves it"
            }
        }
    }

    /// Opens the log as the sidecar would, up to where something would be changed.
    private mutating func rehearse(_ group: StateGroup, _ visit: (StateLogEffect) -> Void = { _ in }) {
        var recovery = StateRecovery(configuration: StateLogConfiguration(group: group))
        var effects: [StateLogEffect] = []
        var operations = recovery.begin()
        while true {
            switch recovery.advance(readOnly(operations), &effects) {
            case .perform(let next): operations = next
            case .opened(_, let opening):
                effects.forEach(visit)
                report.opening = opening
                return
            case .refused(let refusal):
                report.refusal = refusal
                return
            }
            effects.forEach(visit)
            effects = []
        }
    }

    private func readOnly(_ operations: [DiskOperation]) -> DiskOutcome {
        var outcome = DiskOutcome(job: DiskJobID(number: 0), answers: [])
        do {
            for operation in operations { outcome.answers.append(try answer(operation)) }
        } catch {
            outcome.failure = error
        }
        return outcome
    }

    private func answer(_ operation: DiskOperation) throws(DiskFailure) -> DiskAnswer {
        switch operation {
        case .list, .read: try perform(operation)
        case .write, .preallocate, .sync, .rename, .remove, .syncFolder: .done
        }
    }
}
