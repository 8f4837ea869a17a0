import SidecarProtocol

/// The jobs of a simulated disk's thread, one operation at a time, so that a crash falls between any two.
package struct SimulatedDiskQueue {
    private var jobs: [DiskJob] = []
    /// Of the first job, as far as it is done.
    private var answers: [DiskAnswer] = []
    /// Operations that the disk has performed.
    package private(set) var operations = 0

    package init() {}

    package var isIdle: Bool { jobs.isEmpty }

    /// What `step` performs next.
    package var next: DiskOperation? {
        jobs.first.flatMap { answers.count < $0.operations.count ? $0.operations[answers.count] : nil }
    }

    package mutating func add(_ job: DiskJob) { jobs.append(job) }

    /// As the process ends: what was asked of the disk and isn't done won't be.
    package mutating func forget() { (jobs, answers) = ([], []) }

    /// Performs one operation of the first job; nil once there is none. Behind a job's last operation, and
    /// where one fails, comes its outcome.
    package mutating func step(_ disk: inout SimulatedDisk) -> Step? {
        guard let job = jobs.first else { return nil }
        operations += 1
        var failure: DiskFailure?
        do {
            if answers.count < job.operations.count {
                answers.append(try disk.perform(job.operations[answers.count]))
            }
        } catch {
            failure = error
        }
        guard failure != nil || answers.count == job.operations.count else { return .performed }
        let outcome = DiskOutcome(job: job.id, answers: answers, failure: failure)
        answers = []
        jobs.removeFirst()
        return .ended(outcome)
    }

    package enum Step {
        case performed
        case ended(DiskOutcome)
    }
}
