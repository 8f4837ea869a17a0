import Glibc
import SidecarProtocol
import StateFiles
import Transport

/// The thread that works a state's folder: jobs go in from the event loop, outcomes come back in order.
///
/// A sync that takes long holds up nothing but the jobs behind it.
///
/// `@unchecked Sendable`: `queue` and what follows it are touched under `lock` only; the folder belongs to
/// the thread from `start` on.
final class StateDisk: @unchecked Sendable {
    private let lock = ThreadLock()
    private var queue: [DiskJob] = []
    private var isClosing = false
    private var isEnded = false

    private var folder: StateFolder?
    private let deliver: @Sendable (DiskOutcome) -> Void

    /// - Parameters:
    ///   - folder: given away; nobody else touches it from here on.
    ///   - deliver: called on the disk's thread with each outcome.
    init(folder: StateFolder, deliver: @escaping @Sendable (DiskOutcome) -> Void) throws(SystemError) {
        self.folder = folder
        self.deliver = deliver
        try startThread(named: "mesh-state-disk") { self.run() }
    }

    func perform(_ job: DiskJob) {
        lock.withLock {
            queue.append(job)
            if queue.count == 1 { lock.notify() }
        }
    }

    /// Performs what is queued, gives the folder up and ends. False when the time has passed first.
    func close(atMost span: MonotonicTime.Span) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        isClosing = true
        lock.notify()
        while !isEnded {
            guard lock.wait(atMost: span) else { return isEnded }
        }
        return true
    }

    // MARK: On the thread

    private func run() {
        while let jobs = next() {
            for job in jobs { if let folder { deliver(folder.perform(job)) } }
        }
        folder = nil
        lock.withLock {
            isEnded = true
            lock.notify()
        }
    }

    /// Nil when the disk is closed and everything is done.
    private func next() -> [DiskJob]? {
        lock.lock()
        defer { lock.unlock() }
        while queue.isEmpty {
            if isClosing { return nil }
            lock.wait()
        }
        defer { queue = [] }
        return queue
    }
}
