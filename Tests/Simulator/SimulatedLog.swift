import SidecarProtocol

/// A state's log on a simulated disk, with an owner that remembers what it was promised.
///
/// The owner's state is a running hash over the records, so that one word says whether a recovered state is
/// that of a prefix of what was appended, and of which. A snapshot holds that word, and chunks made of it.
package struct SimulatedLog {
    package enum Violation: Error, Hashable, CustomStringConvertible {
        case lost(recovered: UInt64, promised: UInt64)
        case wrong(sequence: UInt64)
        case refused(StateLogRefusal)
        case silent(String)

        package var description: String {
            switch self {
            case .lost(let recovered, let promised):
                "record \(promised) was durable, and the log ends at \(recovered)"
            case .wrong(let sequence): "the state after record \(sequence) isn't what it was"
            case .refused(let refusal): "the log doesn't open: \(refusal)"
            case .silent(let what): what
            }
        }
    }

    package var disk: SimulatedDisk
    package var configuration: StateLogConfiguration
    package private(set) var log: StateLog
    package private(set) var now = MonotonicTime(nanoseconds: 1_000_000_000)
    /// The state after each record, from none at index 0.
    package private(set) var history: [UInt64] = [0]
    /// What was said to be durable.
    package private(set) var promised: UInt64 = 0
    package private(set) var opening: StateLogOpening?
    package private(set) var violation: Violation?
    package private(set) var refusal: StateLogRefusal?
    package private(set) var crashReason: String?
    package private(set) var isClosed = false
    package private(set) var isFull = false
    package private(set) var snapshots: [UInt64] = []
    package private(set) var snapshotFailures = 0
    package var snapshotChunks = 3
    /// Takes a snapshot whenever the log asks for one.
    package var isObliging = true

    private var queue = SimulatedDiskQueue()
    private var state: UInt64 = 0
    private var sequence: UInt64 = 0
    private var chunks: [[UInt8]] = []
    private var chunksDue: [[UInt8]]?

    package init(_ configuration: StateLogConfiguration, disk: SimulatedDisk = SimulatedDisk()) {
        self.configuration = configuration
        self.disk = disk
        log = StateLog(configuration: configuration)
        start()
    }

    package var last: UInt64 { UInt64(history.count - 1) }
    package var isIdle: Bool { queue.isIdle }
    package var operations: Int { queue.operations }

    // MARK: The owner

    /// Nil where the log refuses it.
    @discardableResult
    package mutating func append(_ payload: [UInt8], isReserved: Bool = false) -> UInt64? {
        do {
            let sequence = try log.append(payload, type: 1, isReserved: isReserved)
            state = SimulatedLog.state(state, payload)
            self.sequence = sequence
            history.append(state)
            if sequence != last { violation = .silent("record \(last) got the sequence \(sequence)") }
            return sequence
        } catch {
            refusal = error
            return nil
        }
    }

    package mutating func flush() { hand { log, now, effects in log.flush(at: now, effects: &effects) } }
    package mutating func close() { hand { log, now, effects in log.close(at: now, effects: &effects) } }

    package mutating func takeSnapshot() {
        guard let sequence = log.beginSnapshot() else { return }
        chunksDue = SimulatedLog.chunks(state, sequence: sequence, count: snapshotChunks)
        giveChunks()
    }

    private mutating func giveChunks() {
        while let chunk = chunksDue?.first {
            guard log.appendSnapshot(chunk) else { return }
            chunksDue?.removeFirst()
        }
        if chunksDue != nil {
            chunksDue = nil
            log.endSnapshot()
            flush()
        }
    }

    private static func state(_ before: UInt64, _ payload: [UInt8]) -> UInt64 {
        payload.reduce((before ^ UInt64(payload.count)) &* 0x9E37_79B9_7F4A_7C15 &+ 1) {
            ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3
        }
    }

    private static func chunks(_ state: UInt64, sequence: UInt64, count: Int) -> [[UInt8]] {
        var random = SeededRandom(seed: state ^ sequence)
        var first: [UInt8] = []
        first.appendLittleEndian(state)
        first.appendLittleEndian(sequence)
        return [first] + (0..<count).map { _ in random.bytes(Int(random.next() % 300)) }
    }

    // MARK: The disk's thread

    /// Performs one operation of the first job, and hands over its outcome behind its last. False: none.
    @discardableResult
    package mutating func step() -> Bool {
        guard let step = queue.step(&disk) else { return false }
        now = now + .milliseconds(1)
        if case .ended(let outcome) = step {
            hand { log, now, effects in log.handle(outcome, at: now, effects: &effects) }
        }
        return true
    }

    /// Until the disk has nothing to do.
    package mutating func settle() {
        while step() {}
    }

    /// Passes the time, and hands over the deadline if there is one by then.
    package mutating func wait(_ span: MonotonicTime.Span) {
        now = now + span
        if let deadline = log.nextDeadline, deadline <= now {
            hand { log, now, effects in log.handleDeadline(at: now, effects: &effects) }
        }
    }

    /// Ends the process as it stands, with what the disk was doing, and starts it again.
    package mutating func crash(powerFails: Bool, random: inout SeededRandom) {
        if powerFails { disk.losePower(random: &random) }
        restart()
    }

    package mutating func restart() {
        queue.forget()
        log = StateLog(configuration: configuration)
        start()
    }

    private mutating func start() {
        (opening, refusal, crashReason, violation) = (nil, nil, nil, nil)
        (isClosed, isFull) = (false, false)
        (state, sequence, chunks, chunksDue) = (0, 0, [], nil)
        hand { log, _, effects in log.open(effects: &effects) }
    }

    private mutating func hand(
        _ input: (inout StateLog, MonotonicTime, inout [StateLogEffect]) -> Void
    ) {
        var effects: [StateLogEffect] = []
        input(&log, now, &effects)
        for effect in effects { carryOut(effect) }
    }

    private mutating func carryOut(_ effect: StateLogEffect) {
        switch effect {
        case .perform(let job): queue.add(job)
        case .chunk(let bytes): chunks.append(bytes)
        case .forget: (chunks, state, sequence) = ([], 0, 0)
        case .record(let sequence, _, let payload): replay(sequence, payload)
        case .opened(let opening): finishOpening(opening)
        case .refused(let refusal): self.refusal = refusal
        case .durable(let through): promised = max(promised, through)
        case .snapshotWanted: if isObliging { takeSnapshot() }
        case .snapshotRoom: giveChunks()
        case .snapshotDone(let through): snapshots.append(through)
        case .snapshotFailed:
            snapshotFailures += 1
            chunksDue = nil
        case .full: isFull = true
        case .spaceReturned: isFull = false
        case .closed: isClosed = true
        case .crash(let reason): crashReason = reason
        }
    }

    // MARK: The checks

    private mutating func replay(_ sequence: UInt64, _ payload: [UInt8]) {
        if self.sequence == 0 { readSnapshot() }
        if sequence != self.sequence + 1 { violation = .silent("record \(sequence) isn't the next") }
        self.sequence = sequence
        state = SimulatedLog.state(state, payload)
    }

    private mutating func readSnapshot() {
        guard let first = chunks.first, first.count == 16 else {
            if !chunks.isEmpty { violation = .silent("the snapshot's first chunk isn't its own") }
            return
        }
        func word(_ offset: Int) -> UInt64 {
            first[offset..<(offset + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        (state, sequence) = (word(0), word(8))
        if SimulatedLog.chunks(state, sequence: sequence, count: chunks.count - 1) != chunks {
            violation = .silent("the snapshot of record \(sequence) isn't as it was given")
        }
    }

    /// What was recovered is exactly a prefix of what was appended, with everything promised.
    private mutating func finishOpening(_ opening: StateLogOpening) {
        self.opening = opening
        if sequence == 0 { readSnapshot() }
        chunks = []
        if opening.last != sequence {
            violation = .silent("the log says \(opening.last), and has given \(sequence)")
        } else if sequence > last || history[Int(sequence)] != state {
            violation = .wrong(sequence: sequence)
        } else if opening.damage == nil, sequence < promised {
            violation = .lost(recovered: sequence, promised: promised)
        }
        history.removeLast(history.count - 1 - Int(min(sequence, last)))
        promised = sequence
    }
}
