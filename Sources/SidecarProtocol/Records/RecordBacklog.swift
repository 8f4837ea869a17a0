// Records on their way to the disk, and what becomes of them when it doesn't take them.
//
// Theory of operation
//
//   Records wait here, up to `Limits.recordQueueMaximum`. What the disk refuses stays and is tried again;
//   what finds no room is lost, and counted in a gap, which is written as a line of its own as soon as
//   there is room. So the records say themselves where they aren't whole.
//
//   `isPressed` says that records are about to be lost: the disk refuses them, or three quarters of the
//   room are taken. A sidecar whose config says `records: required` opens no flow while it holds. It is
//   over once the disk takes lines and half of the room is free.

/// Records that were lost between two times.
package struct RecordGap: Hashable, Sendable {
    package enum Cause: String, Hashable, Sendable {
        /// More came than could be written.
        case queue
        /// The disk refused them.
        case disk
    }

    package var cause: Cause
    package var lost: UInt64
    /// When the first and the last of them were to be written.
    package var from: WallTime
    package var until: WallTime

    package init(cause: Cause, lost: UInt64, from: WallTime, until: WallTime) {
        self.cause = cause
        self.lost = lost
        self.from = from
        self.until = until
    }
}

package struct RecordBacklog: Sendable {
    private var waiting: [FlowRecord] = []
    /// Taken by the writer, and not yet on disk.
    private var takenCount = 0
    private(set) package var gap: RecordGap?
    private var isDiskRefusing = false
    private(set) package var isPressed = false
    private let room: Int

    package init(room: Int) { self.room = room }

    package var count: Int { waiting.count + takenCount }

    /// False where the record is lost.
    package mutating func append(_ record: FlowRecord) -> Bool {
        guard count < room else {
            lose(1, from: record.time, until: record.time)
            return false
        }
        waiting.append(record)
        judge()
        return true
    }

    /// Hands out all that waits, and the gap that comes after it.
    package mutating func take() -> (records: [FlowRecord], gap: RecordGap?) {
        defer {
            takenCount += waiting.count
            waiting.removeAll(keepingCapacity: waiting.capacity <= 64)
            gap = nil
        }
        return (waiting, gap)
    }

    /// The disk took `written` of the records that were handed out, and refuses the rest, or not.
    ///
    /// - Parameter unwritten: the gap that it didn't take, for the next time.
    package mutating func settle(written: Int, unwritten: RecordGap?, isRefused: Bool) {
        takenCount = max(0, takenCount - written)
        isDiskRefusing = isRefused
        if let unwritten { merge(unwritten) }
        judge()
    }

    /// What was handed out and won't be tried again.
    package mutating func abandon(_ records: ArraySlice<FlowRecord>) {
        guard let first = records.first, let last = records.last else { return }
        takenCount = max(0, takenCount - records.count)
        isDiskRefusing = true
        lose(UInt64(records.count), from: first.time, until: last.time)
        judge()
    }

    private mutating func lose(_ count: UInt64, from: WallTime, until: WallTime) {
        merge(RecordGap(cause: isDiskRefusing ? .disk : .queue, lost: count, from: from, until: until))
        judge()
    }

    private mutating func merge(_ other: RecordGap) {
        guard var whole = gap else {
            gap = other
            return
        }
        whole.lost &+= other.lost
        whole.from = min(whole.from, other.from)
        whole.until = max(whole.until, other.until)
        if other.cause == .disk { whole.cause = .disk }
        gap = whole
    }

    private mutating func judge() {
        isPressed = isDiskRefusing || count >= (isPressed ? room / 2 : room - room / 4)
    }
}
