// The records of flows, one JSON line each, on disk.
//
// Theory of operation
//
//   event loop ── append ──▶ backlog ── take ──▶ the writer's thread ──▶ RecordFile ──▶ disk
//
//   A slow disk never slows a flow: the loop only appends, under a lock that the thread never holds
//   while it writes. What the disk refuses is tried again each second, and when the backlog is full,
//   what is lost is counted and written down as a gap. `pressed` tells the loop when records are about
//   to be lost, and when that is over, so that `records: required` can refuse new flows meanwhile.

import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// Takes records on the event loop and writes them on a thread of its own.
///
/// `@unchecked Sendable`: `backlog` and what follows it are touched under `lock` only; `file` and
/// `signer` belong to the thread.
final class RecordWriter: @unchecked Sendable {
    struct Counts: Sendable {
        /// Records on disk.
        var written: UInt64 = 0
        /// Lines on disk: signatures and gaps too.
        var lines: UInt64 = 0
        /// Lost because the queue was full.
        var dropped: UInt64 = 0
        /// Lost because the disk refused them until the end.
        var failed: UInt64 = 0
        var signatures: UInt64 = 0
        var gaps: UInt64 = 0
    }

    private let lock = ThreadLock()
    private var backlog = RecordBacklog(room: Limits.recordQueueMaximum)
    private var newCredential: Credential?
    private var isStarted = false
    private var isClosing = false
    private var isClosed = false
    private var countsSoFar = Counts()
    private var toldPressed = false

    private let path: String
    private var signer: RecordSigner
    private let warn: @Sendable (String) -> Void
    private let pressed: @Sendable (Bool) -> Void

    /// - Parameters:
    ///   - path: the records file; its folder and those above it are made with mode 0700.
    ///   - signer: nobody's signature stands in the file before `renew`.
    ///   - warn: called when the disk begins to refuse lines, and when it takes them again.
    ///   - pressed: called when records are about to be lost, and when that is over. Both are called on
    ///     any thread, and under no lock.
    init(
        path: String, signer: RecordSigner, warn: @escaping @Sendable (String) -> Void,
        pressed: @escaping @Sendable (Bool) -> Void = { _ in }
    ) {
        self.path = path
        self.signer = signer
        self.warn = warn
        self.pressed = pressed
    }

    var counts: Counts { lock.withLock { countsSoFar } }

    /// Signs by this credential from now on.
    func renew(_ credential: Credential) {
        lock.withLock { newCredential = credential }
    }

    /// Opens and signs the file now, and not with the first record: whether it can be written is known
    /// before a flow needs it.
    func begin() {
        lock.withLock { startIfNeeded() }
    }

    func append(_ record: FlowRecord) {
        let news = lock.withLock { () -> Bool? in
            guard !isClosing else {
                countsSoFar.dropped += 1
                return nil
            }
            guard backlog.append(record) else {
                countsSoFar.dropped += 1
                return pressureNews()
            }
            // The thread takes all there is at once; it is woken for the first.
            if backlog.count == 1 { lock.notify() }
            startIfNeeded()
            return pressureNews()
        }
        if let news { pressed(news) }
    }

    /// Writes what is queued and ends. False when the time has passed first.
    func close(atMost span: MonotonicTime.Span) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        isClosing = true
        lock.notify()
        while isStarted, !isClosed {
            guard lock.wait(atMost: span) else { return false }
        }
        return true
    }

    private func startIfNeeded() {
        guard !isStarted else { return }
        isStarted = true
        do {
            try startThread(named: "mesh-records") { self.run() }
        } catch {
            isClosed = true
            backlog.settle(written: 0, unwritten: nil, isRefused: true)
        }
    }

    /// What `pressed` hasn't been told yet.
    private func pressureNews() -> Bool? {
        guard backlog.isPressed != toldPressed else { return nil }
        toldPressed = backlog.isPressed
        return toldPressed
    }

    /// What follows closely is written with it: a wake-up a record would cost more than the record.
    private static let gathering = MonotonicTime.Span.milliseconds(10)
    private static let retry = MonotonicTime.Span.seconds(1)

    // MARK: On the thread

    private func run() {
        var file = RecordFile(path: path)
        var batch: [FlowRecord] = []
        var gap: RecordGap?
        var isRefused = false
        var isLast = false
        while !isLast {
            isLast = next(&batch, &gap, isRefused: isRefused)
            let wasRefused = isRefused
            let outcome = file.write(
                batch, gap: gap, signer: &signer, isLast: isLast, at: Now.current())
            batch.removeFirst(outcome.written)
            if outcome.isGapWritten { gap = nil }
            isRefused = outcome.failure != nil
            settle(outcome, gap)
            gap = nil
            if let failure = outcome.failure, !wasRefused {
                warn("records can't be written: \(failure); free the disk or mend the folder's permissions")
            } else if wasRefused, !isRefused {
                warn("records are written again")
            }
        }
        file.close()
        lock.withLock {
            countsSoFar.failed += UInt64(batch.count)
            isClosed = true
            lock.notify()
        }
    }

    private func settle(_ outcome: RecordFile.Outcome, _ gap: RecordGap?) {
        let news = lock.withLock { () -> Bool? in
            countsSoFar.written += UInt64(outcome.written)
            countsSoFar.lines += UInt64(outcome.lines)
            countsSoFar.signatures += UInt64(outcome.signatures)
            if outcome.isGapWritten { countsSoFar.gaps += 1 }
            backlog.settle(written: outcome.written, unwritten: gap, isRefused: outcome.failure != nil)
            return pressureNews()
        }
        if let news { pressed(news) }
    }

    /// Waits for something to do and adds it to `batch` and `gap`.
    ///
    /// - Returns: whether the writer is closed, so that this is the last of it.
    private func next(_ batch: inout [FlowRecord], _ gap: inout RecordGap?, isRefused: Bool) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        if isRefused {
            if !isClosing { _ = lock.wait(atMost: RecordWriter.retry) }
        } else {
            waitForWork()
            if !isClosing, backlog.count > 0 { _ = lock.wait(atMost: RecordWriter.gathering) }
        }
        if let credential = newCredential {
            signer.adopt(credential)
            newCredential = nil
        }
        let taken = backlog.take()
        batch += taken.records
        gap = taken.gap
        return isClosing
    }

    /// Until there are records, or a signature is due.
    private func waitForWork() {
        while backlog.count == 0, backlog.gap == nil, !isClosing {
            if signer.markDue != nil || newCredential != nil && signer.certificates.isEmpty { return }
            guard let deadline = signer.deadline else {
                lock.wait()
                continue
            }
            let now = Now.current().monotonic
            guard now < deadline, lock.wait(atMost: deadline - now) else { return }
        }
    }
}
