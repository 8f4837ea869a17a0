// The seam between what decides and what writes: one folder of files, worked by one thread in the sidecar,
// and by a simulated disk in the tests.
//
// Theory of operation
//
//   The core gives jobs, as effects, each a list of operations. The disk performs jobs in the order in
//   which they were given, a job's operations in their order, one after the other, and stops a job at its
//   first failure. It hands back one outcome per job, in the same order. So "write, then sync, then say
//   so" is one job and one crossing between threads, and nothing has to be locked.
//
//   What the core believes of a disk, and no more: what was written before a sync that succeeded is there
//   after any crash; a rename or removal is there after the folder's next sync; after a crash, each byte
//   of a write that wasn't synced is either as before or as written; a read may return anything, since
//   disks rot. After a sync that failed nothing is known of what it was to make durable: the kernel may
//   have dropped it and report success the next time (Rebello et al. 2020, "Can Applications Recover from
//   fsync Failures?"), so it is never repeated.

package struct DiskJobID: Hashable, Sendable {
    package var number: UInt64
    package init(number: UInt64) { self.number = number }
}

package struct DiskJob: Equatable, Sendable {
    package var id: DiskJobID
    package var operations: [DiskOperation]

    package init(id: DiskJobID, operations: [DiskOperation]) {
        self.id = id
        self.operations = operations
    }
}

/// One operation in the disk's folder. `file` is a plain name, without a slash.
package enum DiskOperation: Hashable, Sendable {
    /// Answers `files`: every plain file of the folder.
    case list
    /// Answers `bytes`: fewer than `count` where the file ends before. A file that isn't there is empty.
    case read(file: String, offset: Int, count: Int)
    /// All of it, or a failure. Makes the file where there is none, and never shortens it.
    case write(file: String, offset: Int, [UInt8])
    /// Makes the file where there is none, `size` bytes long at least, all of them with a place on the
    /// disk, so that a write inside needs no more space and a sync no metadata.
    case preallocate(file: String, size: Int)
    /// All that was written to the file is durable (fdatasync). A file that isn't there is a failure.
    case sync(file: String)
    /// Replaces what is there under the new name.
    case rename(from: String, to: String)
    /// A file that isn't there is no failure.
    case remove(file: String)
    /// All renames, removals and new files so far are durable.
    case syncFolder
}

package enum DiskAnswer: Equatable, Sendable {
    case done
    case bytes([UInt8])
    case files([DiskFile])
}

package struct DiskFile: Hashable, Sendable {
    package var name: String
    package var size: Int

    package init(name: String, size: Int) {
        self.name = name
        self.size = size
    }
}

package struct DiskFailure: Error, Hashable, Sendable {
    package enum Kind: Sendable {
        /// ENOSPC, EDQUOT: it may pass.
        case noSpace
        /// Anything else: the disk, or the folder, isn't what it was.
        case failed
    }
    package var kind: Kind
    /// What was done, to which file, and the system's own words.
    package var detail: String

    package init(_ kind: Kind, detail: String) {
        self.kind = kind
        self.detail = detail
    }
}

/// What became of one job.
package struct DiskOutcome: Equatable, Sendable {
    package var job: DiskJobID
    /// Of the operations that succeeded: all, or those before the one that failed.
    package var answers: [DiskAnswer]
    package var failure: DiskFailure?

    package init(job: DiskJobID, answers: [DiskAnswer], failure: DiskFailure? = nil) {
        self.job = job
        self.answers = answers
        self.failure = failure
    }
}
