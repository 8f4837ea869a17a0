import SidecarProtocol
import StateFiles

/// A replica's log, driven by a verb: each step is done to its end before the next.
struct StateLogRun {
    let folder: StateFolder
    private var log: StateLog
    private(set) var opening: StateLogOpening?
    private(set) var isClosed = false
    private var snapshotEnd: String?

    /// Locks the folder and opens the log, which repairs what may be repaired.
    init(_ path: String, _ configuration: StateLogConfiguration) throws(Complaint) {
        do { folder = try StateFolder(path: path) } catch {
            throw Complaint(error)
        }
        log = StateLog(configuration: configuration)
        var effects: [StateLogEffect] = []
        log.open(effects: &effects)
        try settle(effects)
    }

    /// The chunks become the snapshot.
    mutating func restore(_ chunks: [[UInt8]]) throws(Complaint) {
        guard log.beginSnapshot() != nil else {
            throw Complaint("the log takes no snapshot now", fix: "try again")
        }
        for chunk in chunks {
            while !log.appendSnapshot(chunk) { try flush() }
        }
        log.endSnapshot()
        try flush()
        if let snapshotEnd { throw Complaint("no snapshot: \(snapshotEnd)", fix: "make room on the disk") }
    }

    mutating func append(_ payload: [UInt8], type: UInt8) throws(Complaint) {
        do {
            if log.refusal(of: payload.count) != nil { try flush() }
            _ = try log.append(payload, type: type)
        } catch let error as StateLogRefusal {
            throw Complaint("a record can't be written: \(error)", fix: "see there")
        } catch let error as Complaint {
            throw error
        } catch {
            throw Complaint("\(error)", fix: "see there")
        }
    }

    mutating func close() throws(Complaint) {
        var effects: [StateLogEffect] = []
        try flush()
        log.close(at: StateLogRun.now, effects: &effects)
        try settle(effects)
    }

    private mutating func flush() throws(Complaint) {
        var effects: [StateLogEffect] = []
        log.flush(at: StateLogRun.now, effects: &effects)
        try settle(effects)
    }

    /// Nothing here waits for a time.
    private static let now = MonotonicTime(nanoseconds: 0)

    private mutating func settle(_ first: [StateLogEffect]) throws(Complaint) {
        var effects = first
        while !effects.isEmpty {
            let batch = effects
            effects = []
            for effect in batch {
                switch effect {
                case .perform(let job):
                    log.handle(folder.perform(job), at: StateLogRun.now, effects: &effects)
                case .opened(let found): opening = found
                case .refused(let refusal):
                    throw Complaint("the log doesn't open", fix: refusal.description)
                case .crash(let why): throw Complaint(why, fix: "check the disk, and begin again")
                case .full:
                    throw Complaint("the disk of \(folder.path) is full", fix: "make room, and begin again")
                case .snapshotFailed(let why): snapshotEnd = why
                case .closed: isClosed = true
                case .chunk, .forget, .record, .durable, .snapshotWanted, .snapshotRoom, .snapshotDone,
                    .spaceReturned:
                    break
                }
            }
        }
    }
}
