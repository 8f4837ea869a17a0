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

    private static let nameFile = "replica"
    private static let nameBytes = 16

    /// The first that no other process holds.
    static func take(in parent: String) throws(SystemError) -> StateSlot {
        for number in 0..<UInt32(Limits.stateSlotsMaximum) {
            let folder: StateFolder
            do { folder = try StateFolder(path: "\(parent)/slot-\(number)") } catch {
                if error.code == EWOULDBLOCK { continue }
                throw SystemError(error.stage, code: error.code)
            }
            return StateSlot(number: number, folder: folder, name: try name(in: folder))
        }
        throw SystemError(
            "all \(Limits.stateSlotsMaximum) slots in \(parent) are held by running replicas", code: EBUSY)
    }

    /// A folder whose name is gone, or was cut short, gets another: its log is then another replica's.
    private static func name(in folder: StateFolder) throws(SystemError) -> [UInt8] {
        do {
            if case .bytes(let name) = try folder.perform(
                .read(file: nameFile, offset: 0, count: nameBytes)), name.count == nameBytes
            {
                return name
            }
            var random = SystemRandomNumberGenerator()
            let name = (0..<nameBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
            for step: DiskOperation in [
                .write(file: nameFile, offset: 0, name), .sync(file: nameFile), .syncFolder,
            ] {
                _ = try folder.perform(step)
            }
            return name
        } catch {
            throw SystemError("no name for the replica: \(error.detail)", code: EIO)
        }
    }
}

extension Limits {
    /// Replicas of one workload on one host.
    static let stateSlotsMaximum = 16
}
