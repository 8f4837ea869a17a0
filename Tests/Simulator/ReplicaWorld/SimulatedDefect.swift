import SidecarProtocol

/// A fault on purpose, in the shell around the core or in the core, for the tests that must notice it.
package enum SimulatedDefect: Hashable, Sendable {
    /// Answers leave before their changes are on the disk.
    case answersEarly
    /// Syncs do nothing.
    case lyingDisk
    /// After a crash the disk is as it was when the replica was started before: the epoch comes again.
    case oldDisk
    /// After a crash the log ends earlier than what was synced: a snapshot without its tail.
    case lostTail
    /// A delta says something else to one replica than to another.
    case alteredDelta
    /// A replica that was started again is told of no other.
    case lonely
    /// Nothing happens by time alone.
    case noTimers
    case core(ReplicatedStore.Mutant)
}
