import SidecarProtocol

/// A host with a disk, clocks, and a replica that runs there, or doesn't.
final class SimulatedMachine {
    let index: Int
    let setting: ReplicaScenario.Machine
    let replica: SimulatedReplica
    var clock: SimulatedClock
    var isRunning = false
    var hasLeft = false
    /// Another has acknowledged that it won't come back.
    var isForgotten = false
    /// Begins with each start, and with each end.
    var life: UInt64 = 0
    /// How often it was started.
    var starts: UInt64 = 0
    /// It has served in this life.
    var hasServed = false
    /// Until then nothing happens there.
    var pausedUntil = MonotonicTime(nanoseconds: 0)
    /// What its end will be like, where one is due.
    var crash: (power: UInt64?, down: UInt64)?
    /// When it is started again, after it has closed in order.
    var stop: UInt64?
    /// Something has befallen the disk in this life, so that the process may end by itself.
    var isDiskSuspect = false
    var wakesAt: MonotonicTime?
    var isDiskBusy = false
    var clients: [ReplicaClient] = []
    /// The session to each other machine, by the other's index; 0: none.
    var sessions: [UInt64]
    /// What the others are called here.
    var names: [InstanceID?]

    // What was seen last.
    var changes: UInt64 = 0
    var version = VersionVector()
    var stateHash: UInt64?
    var turns: UInt64 = 0
    /// The disk as it was at the start before, for `SimulatedDefect.oldDisk`.
    var oldDisk: SimulatedDisk?
    var refusals = 0

    init(_ index: Int, _ setting: ReplicaScenario.Machine, of count: Int, group: StateGroup) {
        self.index = index
        self.setting = setting
        sessions = Array(repeating: 0, count: count)
        names = Array(repeating: nil, count: count)
        clock = SimulatedClock(drift: setting.drift, offset: setting.ahead)
        let fsync: StateLogConfiguration.FsyncPolicy =
            switch setting.fsync {
            case .always: .always
            case .interval: .interval(.milliseconds(100))
            case .none: .none
            }
        replica = SimulatedReplica(UInt8(index + 1), group: group, fsync: fsync)
        replica.kill()
    }

    var isReady: Bool { isRunning && replica.isReady && !replica.isDead }
    /// What it acknowledges is there after any crash.
    var keepsWord: Bool { setting.fsync == .always }
}
