/// Reads the frames of one file, a piece of it at a time.
///
/// The caller performs `read`, hands the bytes to `add`, and takes frames with `next` until more bytes are
/// needed. It never holds more than one piece, or one frame where a frame is larger.
struct FrameReader {
    enum Step: Equatable {
        case frame(StateFrame)
        case needsMore
        /// No valid frame stands at `offset`.
        case invalid
        /// Nothing stands at `offset`: the file's end, or `end`.
        case end
    }

    let file: String
    let seed: UInt32
    /// Where frames stop: the file's size, or less.
    let end: Int
    /// Of the next frame.
    private(set) var offset: Int
    private var buffer: [UInt8] = []
    private var used = 0
    private var wanted = Limits.stateReadBytes
    private var isAtEnd = false

    init(file: String, seed: UInt32, from offset: Int, to end: Int) {
        self.file = file
        self.seed = seed
        self.offset = offset
        self.end = end
    }

    /// What to read next.
    var read: DiskOperation {
        let held = buffer.count - used
        let start = offset + held
        return .read(file: file, offset: start, count: max(0, min(wanted, end - start)))
    }

    /// - Returns: the bytes of the frames that were taken since the last call, as they stand in the file,
    ///   and where.
    mutating func add(_ bytes: [UInt8]) -> (offset: Int, bytes: [UInt8]) {
        let taken = Array(buffer[..<used])
        let start = offset - used
        if bytes.isEmpty { isAtEnd = true }
        buffer.removeFirst(used)
        buffer += bytes
        used = 0
        return (start, taken)
    }

    /// - Parameter sequence: which the next frame must have.
    mutating func next(sequence: UInt64?) -> Step {
        if offset >= end { return .end }
        let parsed = buffer.withUnsafeBytes {
            StateFrame.parse($0, at: used, seed: seed, sequence: sequence)
        }
        switch parsed {
        case .frame(let frame, let index):
            offset += index - used
            used = index
            return .frame(frame)
        case .incomplete(let needed):
            guard !isAtEnd, offset + needed <= end else { return .invalid }
            wanted = max(Limits.stateReadBytes, needed)
            return .needsMore
        case .invalid:
            return .invalid
        }
    }
}

/// Searches what follows a frame that isn't valid for frames that are.
struct TailScan {
    enum Step: Equatable {
        case needsMore
        /// A valid frame proves that the record it misses was durable once.
        case corrupt(StateFrame, offset: Int)
        /// The rest is of no consequence. Valid frames that were never durable end at `deadEnd`.
        case torn(deadEnd: Int)
    }

    let file: String
    /// Where the missing record should stand.
    let from: Int
    /// The record that isn't there.
    let missing: UInt64
    private let seed: UInt32
    private let end: Int
    private var start: Int
    private var buffer: [UInt8] = []
    private var position = 0
    private var needed = StateFrame.headBytes
    private var deadEnd: Int
    private var isAtEnd = false

    init(file: String, seed: UInt32, from offset: Int, to end: Int, missing: UInt64) {
        self.file = file
        self.seed = seed
        self.end = end
        self.missing = missing
        from = offset
        start = offset
        deadEnd = offset
    }

    var read: DiskOperation {
        let from = start + buffer.count
        let count = max(Limits.stateReadBytes, needed - (buffer.count - position))
        return .read(file: file, offset: from, count: max(0, min(count, end - from)))
    }

    mutating func add(_ bytes: [UInt8]) {
        if bytes.isEmpty { isAtEnd = true }
        buffer.removeFirst(position)
        start += position
        position = 0
        buffer += bytes
    }

    mutating func next() -> Step {
        while start + position + StateFrame.headBytes <= end {
            guard let head = buffer.withUnsafeBytes({ StateFrame.Head($0, at: position) }) else {
                if isAtEnd { break }
                needed = StateFrame.headBytes
                return .needsMore
            }
            guard isCandidate(head) else {
                position += StateFrame.alignment
                continue
            }
            if position + head.frameBytes > buffer.count, !isAtEnd {
                needed = head.frameBytes
                return .needsMore
            }
            if case .corrupt(let frame, let offset)? = judge(head) { return .corrupt(frame, offset: offset) }
        }
        return .torn(deadEnd: deadEnd)
    }

    /// Most of what a recycled segment holds is passed over here, without a checksum.
    private func isCandidate(_ head: StateFrame.Head) -> Bool {
        head.isPlausible && head.sequence >= missing
            && head.sequence - missing <= UInt64(end / StateFrame.headBytes)
            && start + position + head.frameBytes <= end
    }

    private mutating func judge(_ head: StateFrame.Head) -> Step? {
        let parsed = buffer.withUnsafeBytes {
            StateFrame.parse($0, at: position, seed: seed, sequence: nil)
        }
        guard case .frame(let frame, let index) = parsed else {
            position += StateFrame.alignment
            return nil
        }
        if let durable = head.durable, durable >= missing {
            return .corrupt(frame, offset: start + position)
        }
        position = index
        deadEnd = start + index
        return nil
    }
}
