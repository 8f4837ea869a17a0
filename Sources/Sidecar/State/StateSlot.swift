import Glibc
import SidecarProtocol
import StateFiles
import Transport

/// One replica's place on this host: a folder under the workload's, locked for as long as this process
/// lives. Each further replica of the workload takes the next.
///
/// `@unchecked Sendable`: the folder goes from one thread to the next with the slot.
struct StateSlot: @unchecked Sendable {
    let number: UInt32
    let folder: StateFolder
    /// 16 random bytes, made with the folder: what the replica is called among the others.
    let name: [UInt8]

    /// The first that no other process holds.
    static func take(in parent: String) throws(SystemError) -> StateSlot {
        for number in 0..<UInt32(Limits.stateSlotsMaximum) {
            let folder: StateFolder
            do { folder = try StateFolder(path: "\(parent)/slot-\(number)") } catch {
                if error.isInUse { continue }
                let isClosed = [EACCES, EPERM].contains(error.code)
                let fix = isClosed ? " (give it to who launches, or name another MESH_STATE_DIR)" : ""
                throw SystemError("the state can't be kept\(fix): \(error.stage)", code: error.code)
            }
            do {
                return StateSlot(number: number, folder: folder, name: try folder.replicaName())
            } catch {
                throw SystemError("no name for the replica: \(error.detail)", code: EIO)
            }
        }
        throw SystemError(
            "all \(Limits.stateSlotsMaximum) slots in \(parent) are held by running replicas", code: EBUSY)
    }
}

extension Limits {
    /// Replicas of one workload on one host.
    static let stateSlotsMaximum = 16
}
