import SidecarProtocol

/// One life of a log, or several: what its owner does and what befalls it, in order.
///
/// A seed makes a scenario, with some kinds of faults and without others (swarm testing, Groce et al. 2012).
/// Whatever is left to chance in a step is in the step, so that a scenario with fewer steps goes the same
/// way as far as it can.
package struct LogScenario: CustomStringConvertible {
    package enum Step: Hashable, Sendable {
        case append(bytes: Int)
        case flush
        case snapshot
        /// The disk performs so many operations.
        case work(Int)
        case wait(milliseconds: UInt64)
        /// The process ends; what it wrote is still in the kernel.
        case kill
        case powerFailure(UInt64)
        case close
        case failSync
        /// The disk has so many bytes left.
        case fill(Int)
        case free
        /// A bit of some file rots.
        case rot(UInt64)
    }

    package enum Policy: UInt64, Sendable { case always, interval, none }

    package var policy: Policy
    package var steps: [Step]

    package init(policy: Policy, steps: [Step]) {
        self.policy = policy
        self.steps = steps
    }

    package init(seed: UInt64, length: Int = 60) {
        var random = SeededRandom(seed: seed)
        policy = Policy(rawValue: random.next() % 4) ?? .always
        let faults = random.next()
        func has(_ fault: UInt64) -> Bool { faults >> fault & 1 == 1 }
        let rots = faults >> 8 % 4 == 0
        var last = Int(1 + random.next() % 200)
        steps = []
        for _ in 0..<length {
            switch random.next() % 24 {
            case 0..<8:
                if random.chance(perMille: 200) { last = Int(random.next() % 3_000) }
                steps.append(.append(bytes: last))
            case 8..<13: steps.append(.flush)
            case 13..<18: steps.append(.work(Int(1 + random.next() % 12)))
            case 18: steps.append(.wait(milliseconds: random.next() % 2_000))
            case 19: if has(0) { steps.append(.kill) }
            case 20: if has(1) { steps.append(.powerFailure(random.next())) }
            case 21: steps.append(has(2) && random.chance(perMille: 300) ? .close : .snapshot)
            case 22: if has(3), random.chance(perMille: 300) { steps.append(.failSync) }
            default:
                if has(4) {
                    steps.append(random.chance(perMille: 500) ? .fill(Int(random.next() % 9_000)) : .free)
                }
                if rots, random.chance(perMille: 300) { steps.append(.rot(random.next())) }
            }
        }
    }

    package var description: String {
        "LogScenario(policy: .\(policy), steps: [\n"
            + steps.map { "    .\($0),\n" }.joined() + "])"
    }

    package struct Outcome: Equatable {
        /// What was wrong first; nil: nothing.
        package var violation: String?
        package var hash: UInt64
        package var recovered: Int
        package var simulated: MonotonicTime.Span
    }

    /// The same scenario with the steps alone that its failure needs.
    package func shrunk() -> LogScenario {
        let minimal = Shrinker.minimal(steps) {
            LogScenario(policy: policy, steps: $0).run().violation != nil
        }
        return LogScenario(policy: policy, steps: minimal)
    }

    // MARK: Running

    package func run() -> Outcome {
        var run = Run(configuration: configuration)
        for step in steps {
            run.perform(step)
            if run.violation != nil { break }
        }
        if run.violation == nil { run.heal() }
        return Outcome(
            violation: run.violation, hash: run.trace.word, recovered: run.recovered,
            simulated: run.log.now - MonotonicTime(nanoseconds: 0))
    }

    private var configuration: StateLogConfiguration {
        let group = StateGroup([UInt8](repeating: 7, count: 16))!
        let fsync: StateLogConfiguration.FsyncPolicy =
            switch policy {
            case .always: .always
            case .interval: .interval(.milliseconds(100))
            case .none: .none
            }
        return StateLogConfiguration(
            group: group, segmentBytes: Limits.stateSegmentBytesMinimum, fsync: fsync)
    }

    private struct Run {
        var log: SimulatedLog
        var trace = Trace(keepsLines: false)
        var violation: String?
        var recovered = 0
        private var isRotten = false
        private var mayFailSync = false

        init(configuration: StateLogConfiguration) {
            log = SimulatedLog(configuration)
            log.settle()
        }

        mutating func perform(_ step: Step) {
            switch step {
            case .append(let bytes):
                var random = SeededRandom(seed: log.last)
                log.append(random.bytes(bytes))
            case .flush: log.flush()
            case .snapshot: log.takeSnapshot()
            case .work(let count): for _ in 0..<count { log.step() }
            case .wait(let milliseconds): log.wait(.milliseconds(milliseconds))
            case .kill: log.restart()
            case .powerFailure(let salt):
                var random = SeededRandom(seed: salt)
                log.crash(powerFails: true, random: &random)
            case .close:
                log.close()
                log.settle()
                // A full disk keeps it from closing, and the process doesn't wait for ever.
                log.restart()
            case .failSync:
                log.disk.failingSyncs = 1
                mayFailSync = true
            case .fill(let bytes): log.disk.capacity = log.disk.usedBytes + bytes
            case .free: log.disk.capacity = .max
            case .rot(let salt): rot(salt)
            }
            restartWhereSyncFailed()
            check()
        }

        /// A process that ended because a sync failed is started again.
        private mutating func restartWhereSyncFailed() {
            guard mayFailSync, log.disk.failingSyncs == 0 else { return }
            var hasEnded = log.crashReason != nil
            if case .disk? = log.refusal, log.opening == nil { hasEnded = true }
            if hasEnded { log.restart() }
        }

        private mutating func rot(_ salt: UInt64) {
            let files = log.disk.files.filter { $0.size > 0 }
            guard !files.isEmpty else { return }
            let file = files[Int(salt % UInt64(files.count))]
            log.disk.flip(
                file.name, byte: Int(salt >> 8 % UInt64(file.size)), mask: 1 << UInt8(salt >> 40 % 8))
            isRotten = true
        }

        private mutating func check() {
            trace.mix(log.last)
            trace.mix(log.promised)
            trace.mix(UInt64(log.operations))
            if log.opening != nil { trace.mix(log.history[Int(log.last)]) }
            switch log.violation {
            case .lost? where isRotten: break
            case nil: break
            case let violation?: self.violation = "\(violation)"
            }
            if let reason = log.crashReason, !mayFailSync { violation = "it ended without cause: \(reason)" }
            guard case .damaged? = log.refusal, log.opening == nil else { return }
            guard isRotten else {
                violation = "sound files are damaged: \(log.refusal!)"
                return
            }
            // The operator gives up what stands behind the damage.
            let configuration = log.configuration
            log.configuration.repair = .keepPrefix
            log.disk.failingSyncs = 0
            log.restart()
            log.settle()
            log.configuration = configuration
            if log.opening == nil { violation = "it can't be repaired: \(log.refusal.debugDescription)" }
        }

        /// With every fault gone the log takes records, and keeps them.
        mutating func heal() {
            log.disk.failingSyncs = 0
            log.disk.capacity = .max
            log.settle()
            restartWhereSyncFailed()
            log.settle()
            check()
            guard violation == nil else { return }
            log.wait(Limits.stateSpaceRetry)
            log.settle()
            guard log.append([1, 2, 3]) != nil else {
                violation = "the healed log takes nothing: \(log.refusal.debugDescription)"
                return
            }
            log.flush()
            log.settle()
            log.close()
            log.settle()
            guard log.isClosed, log.promised == log.last else {
                violation = "the healed log doesn't close"
                return
            }
            log.restart()
            log.settle()
            recovered = Int(log.last)
            check()
            if violation == nil, log.opening?.isClean != true, !isRotten {
                violation = "it was closed in order, and doesn't know"
            }
        }
    }
}
