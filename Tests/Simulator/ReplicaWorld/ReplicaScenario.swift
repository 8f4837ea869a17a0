import SidecarProtocol

/// What several replicas' clients do, and what befalls replicas, disks, clocks and network, each at its time.
///
/// A seed makes a scenario, with some kinds of faults and without others (swarm testing, Groce et al. 2012).
/// Whatever is left to chance in a step is in the step, so that a scenario with fewer steps goes the same
/// way as far as it can.
package struct ReplicaScenario: CustomStringConvertible, Sendable {
    package enum Fsync: String, Sendable { case always, interval, none }

    package struct Machine: CustomStringConvertible, Sendable {
        package var fsync: Fsync
        /// Milliseconds until it is started the first time.
        package var starts: UInt64
        /// Parts in a million by which its clocks run fast.
        package var drift: Int64
        /// Milliseconds by which its wall clock is ahead.
        package var ahead: Int64
        /// Each start is another instance, as of a program that is started anew.
        package var isReplaced: Bool
        /// It also sends what only a later version understands.
        package var isLater: Bool

        package init(
            _ fsync: Fsync = .always, starts: UInt64 = 0, drift: Int64 = 0, ahead: Int64 = 0,
            isReplaced: Bool = false, isLater: Bool = false
        ) {
            self.fsync = fsync
            self.starts = starts
            self.drift = drift
            self.ahead = ahead
            self.isReplaced = isReplaced
            self.isLater = isLater
        }

        package var description: String {
            ".init(.\(fsync), starts: \(starts), drift: \(drift), ahead: \(ahead), isReplaced: \(isReplaced), "
                + "isLater: \(isLater))"
        }
    }

    package enum Step: Hashable, Sendable {
        /// A random request, or several at once.
        case request(Int, UInt64)
        /// In one transaction a new element and its amount: see `ReplicaLedger`.
        case ledger(Int, UInt64)
        /// A new element that is removed at most once.
        case add(Int, UInt64)
        /// Removes one of those, whether the replica has seen it or not.
        case remove(Int, UInt64)
        /// A client closes its connection.
        case hangUp(Int)
        /// The process ends after so many effects and operations of its disk, and is started again; `power`:
        /// and the disk loses what wasn't synced, as this number decides.
        case crash(Int, after: Int, power: UInt64?, down: UInt64)
        /// It ends in order.
        case stop(Int, down: UInt64)
        case pause(Int, milliseconds: UInt64)
        /// Nothing gets from one to another; the other way isn't touched.
        case block(from: Int, to: Int, milliseconds: UInt64)
        case slow(from: Int, to: Int, milliseconds: UInt64)
        /// The wall clock is stepped by so many milliseconds.
        case clock(Int, by: Int64)
        case drift(Int, Int64)
        /// The disk has so many bytes left, for so long.
        case full(Int, bytes: Int, milliseconds: UInt64)
        case failSync(Int)
        /// The replica ends, and never comes back.
        case leave(Int)
        /// A client says so of the first replica to the second.
        case forget(Int, by: Int)
    }

    package struct Timed: Hashable, Sendable, CustomStringConvertible {
        /// Milliseconds of true time.
        package var at: UInt64
        package var step: Step

        package static func at(_ milliseconds: UInt64, _ step: Step) -> Timed {
            Timed(at: milliseconds, step: step)
        }

        package var description: String { ".at(\(at), .\(step))" }
    }

    /// Decides how long messages take, and which are lost.
    package var seed: UInt64
    package var machines: [Machine]
    /// Of a thousand messages.
    package var lost: UInt64
    package var doubled: UInt64
    package var late: UInt64
    /// Two who can't reach each other notice after so many milliseconds; 0: never.
    package var timeout: UInt64
    /// When all faults end.
    package var milliseconds: UInt64
    package var steps: [Timed]

    package init(
        seed: UInt64 = 1, machines: [Machine], lost: UInt64 = 0, doubled: UInt64 = 0, late: UInt64 = 0,
        timeout: UInt64 = 0, milliseconds: UInt64, steps: [Timed]
    ) {
        self.seed = seed
        self.machines = machines
        self.lost = lost
        self.doubled = doubled
        self.late = late
        self.timeout = timeout
        self.milliseconds = milliseconds
        self.steps = steps
    }

    /// As Swift, to be kept as a named scenario.
    package var description: String {
        """
        ReplicaScenario(
            seed: \(seed),
            machines: [
        \(machines.map { "        \($0),\n" }.joined())    ],
            lost: \(lost), doubled: \(doubled), late: \(late), timeout: \(timeout), milliseconds: \(milliseconds),
            steps: [
        \(steps.map { "        \($0),\n" }.joined())    ])
        """
    }

    package struct Outcome: Equatable, Sendable {
        /// What was wrong first; nil: nothing.
        package var violation: String?
        package var hash: UInt64
        package var simulated: MonotonicTime.Span
        /// From the end of the faults until all were equal.
        package var healing: MonotonicTime.Span
        package var counts: ReplicaWorld.Counts
    }

    package func run(_ defect: SimulatedDefect? = nil) -> Outcome {
        ReplicaWorld(self, defect).run()
    }

    /// The same scenario with the steps alone that its failure needs.
    package func shrunk(_ defect: SimulatedDefect? = nil, runs: Int = 400) -> ReplicaScenario {
        guard let first = run(defect).violation else { return self }
        var small = self
        small.steps = Shrinker.minimal(steps, runsMaximum: runs) { steps in
            var trial = self
            trial.steps = steps
            return trial.run(defect).violation.map { ReplicaScenario.kind($0) == ReplicaScenario.kind(first) }
                ?? false
        }
        return small
    }

    /// What kind of violation it is: its words up to the first colon.
    private static func kind(_ violation: String) -> Substring { violation.prefix { $0 != ":" } }
}
