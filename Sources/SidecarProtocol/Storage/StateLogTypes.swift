// What the state's log takes, gives and says of itself.

package struct StateLogConfiguration: Hashable, Sendable {
    package enum FsyncPolicy: Hashable, Sendable {
        /// Every record is durable before it is said to be; those that come meanwhile share the next sync.
        case always
        /// Records are written at once, and durable at most this much later.
        case interval(MonotonicTime.Span)
        /// Only what closes a segment, a snapshot or the log is made durable.
        case none
    }

    /// What to do about records that were durable and can't be read any more.
    package enum Repair: Hashable, Sendable {
        /// Nothing is changed, and nothing served.
        case refuse
        /// The state up to the damage is kept, since peers have the rest or the operator has said so.
        /// Files behind the damage stay under the name `damaged-…`.
        case keepPrefix
    }

    package var group: StateGroup
    package var segmentBytes: Int
    package var fsync: FsyncPolicy
    package var repair: Repair

    /// - Parameter segmentBytes: kept within `Limits.stateSegmentBytesMinimum` and `…Maximum`.
    package init(
        group: StateGroup, segmentBytes: Int = Limits.stateSegmentBytes, fsync: FsyncPolicy = .always,
        repair: Repair = .refuse
    ) {
        self.group = group
        let bytes = min(
            max(segmentBytes, Limits.stateSegmentBytesMinimum), Limits.stateSegmentBytesMaximum)
        self.segmentBytes = bytes / StateSegment.sectorBytes * StateSegment.sectorBytes
        self.fsync = fsync
        self.repair = repair
    }
}

/// What the shell, or the state's owner, is to do.
package enum StateLogEffect: Equatable, Sendable {
    case perform(DiskJob)

    // While it opens, in this order.

    /// A piece of the snapshot, as it was given.
    case chunk([UInt8])
    /// Everything given so far is to be forgotten: the snapshot is damaged, and an older one follows.
    case forget
    /// A record behind the snapshot, or one that the snapshot may include already.
    case record(sequence: UInt64, type: UInt8, payload: [UInt8])
    case opened(StateLogOpening)
    case refused(StateLogRefusal)

    // While it is open.

    /// All records up to this one survive a crash.
    case durable(through: UInt64)
    /// The log has outgrown its snapshot: `beginSnapshot`.
    case snapshotWanted
    /// `appendSnapshot` has room again.
    case snapshotRoom
    /// The snapshot stands for all records up to this one.
    case snapshotDone(through: UInt64)
    /// It isn't there, and the log goes on without it.
    case snapshotFailed(String)
    /// The disk is full: ordinary records are refused from here on.
    case full
    /// There is space again.
    case spaceReturned
    case closed
    /// The process must end at once: nothing more may be believed of the disk.
    case crash(String)
}

/// How the log was found.
package struct StateLogOpening: Hashable, Sendable {
    /// There was no state.
    package var isNew: Bool
    /// It was closed in order, and everything is there. Otherwise what was never durable may be lost: dots
    /// may have been used that nobody here remembers, so the owner takes a new epoch.
    package var isClean: Bool
    /// The last record, or the snapshot's where that is later; 0: none.
    package var last: UInt64
    /// Bytes of a write that a crash interrupted, dropped.
    package var tornBytes: Int
    /// What was given up under `Repair.keepPrefix`.
    package var damage: StateDamage?

    package init(isNew: Bool, isClean: Bool, last: UInt64, tornBytes: Int, damage: StateDamage? = nil) {
        self.isNew = isNew
        self.isClean = isClean
        self.last = last
        self.tornBytes = tornBytes
        self.damage = damage
    }
}

/// Where records that were durable can't be read.
package struct StateDamage: Error, Hashable, Sendable, CustomStringConvertible {
    package var file: String
    package var offset: Int
    /// The first record that is lost; 0 where that isn't known.
    package var sequence: UInt64
    package var reason: String

    package init(file: String, offset: Int, sequence: UInt64, reason: String) {
        self.file = file
        self.offset = offset
        self.sequence = sequence
        self.reason = reason
    }

    package var description: String {
        "\(file) is damaged at byte \(offset), record \(sequence): \(reason)"
    }
}

/// Why a log doesn't open, or doesn't take a record.
package enum StateLogRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case damaged(StateDamage)
    case foreignGroup(file: String, StateGroup)
    case disk(DiskFailure)
    case notOpen
    case full
    case tooLarge(bytes: Int)
    /// The disk is too slow for what is written.
    case backlog(bytes: Int)

    package var description: String {
        switch self {
        case .damaged(let damage):
            "\(damage); restore it from a replica or a backup, or give up what is behind the damage "
                + "with `mesh state repair`"
        case .foreignGroup(let file, let group):
            "what is in its folder belongs to another workload or trust domain, and stays as it is"
                + " (\(file) is of the group \(group)): move the folder away, or name another MESH_STATE_DIR"
        case .disk(let failure): failure.detail
        case .notOpen: "the state is still being read, or was closed"
        case .full: "the disk is full; writes are refused until there is space again"
        case .tooLarge(let bytes):
            "a record of \(bytes) bytes is larger than \(Limits.statePayloadBytesMaximum)"
        case .backlog(let bytes): "the disk is \(bytes) bytes behind; try again"
        }
    }
}

/// For INFO's section `storage` and for `mesh state`.
package struct StateLogStatus: Hashable, Sendable {
    package var last: UInt64
    package var durable: UInt64
    package var segments: Int
    /// Of the files of log and snapshot, all together.
    package var bytes: Int
    /// The last snapshot's; 0 without one.
    package var snapshotSequence: UInt64
    package var snapshotBytes: Int
    package var isSnapshotRunning: Bool
    package var isFull: Bool
    /// Syncs of the log so far.
    package var syncs: UInt64
    /// Bytes that wait for the disk.
    package var unwrittenBytes: Int
}

/// A segment of the log, as its header describes it.
struct StateSegment: Hashable {
    static let sectorBytes = 512

    var number: UInt64
    /// The sequence of its first record.
    var first: UInt64
    var size: Int
    var seed: UInt32

    init(header: StateHeader) {
        number = header.number
        first = header.sequence
        size = Int(clamping: header.size)
        seed = header.seed
    }

    var file: String { StateFile.segment(number).name }
}

/// The names in a state's folder.
enum StateFile: Hashable {
    case segment(UInt64)
    case snapshot(UInt64)
    /// Says where the log ended when it was closed in order.
    case clean
    /// The next segment, with its place on the disk.
    case spare
    case unfinishedSnapshot, unfinishedClean
    case damaged(String)

    static let segmentPrefix = "log-"
    static let snapshotPrefix = "snapshot-"
    static let damagedPrefix = "damaged-"

    var name: String {
        switch self {
        case .segment(let number): StateFile.segmentPrefix + StateFile.digits(number)
        case .snapshot(let sequence): StateFile.snapshotPrefix + StateFile.digits(sequence)
        case .clean: "clean"
        case .spare: "spare"
        case .unfinishedSnapshot: "snapshot.tmp"
        case .unfinishedClean: "clean.tmp"
        case .damaged(let name): StateFile.damagedPrefix + name
        }
    }

    /// Nil for a file that isn't the state's.
    init?(name: String) {
        switch name {
        case "clean": self = .clean
        case "spare": self = .spare
        case "snapshot.tmp": self = .unfinishedSnapshot
        case "clean.tmp": self = .unfinishedClean
        default:
            if let number = StateFile.number(name, behind: StateFile.segmentPrefix) {
                self = .segment(number)
            } else if let sequence = StateFile.number(name, behind: StateFile.snapshotPrefix) {
                self = .snapshot(sequence)
            } else if name.hasPrefix(StateFile.damagedPrefix) {
                self = .damaged(String(name.dropFirst(StateFile.damagedPrefix.count)))
            } else {
                return nil
            }
        }
    }

    private static func digits(_ number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }

    private static func number(_ name: String, behind prefix: String) -> UInt64? {
        guard name.hasPrefix(prefix), name.utf8.count == prefix.utf8.count + 16 else { return nil }
        let digits = name.dropFirst(prefix.count)
        guard let number = UInt64(digits, radix: 16), self.digits(number) == digits else { return nil }
        return number
    }
}
