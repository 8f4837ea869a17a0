import SidecarProtocol
import StateFiles

extension StateReport {
    /// What a replica's folder holds; nothing is changed in it.
    init(reading folder: String) throws(Complaint) {
        do {
            let files = try StateFolder(reading: folder)
            self = try StateVerifier.report { operation throws(DiskFailure) in
                try files.perform(operation)
            }
        } catch {
            throw Complaint("\(folder) can't be read: \(error)", fix: "check its name and owner", exitCode: 2)
        }
    }
}

extension Complaint {
    /// A state's folder that can't be had.
    init(_ error: StateFolderError) {
        self.init(
            "\(error)",
            fix: error.isInUse
                ? "end the workload first (mesh shutdown NAME)" : "run this as the user whose state it is",
            exitCode: 2)
    }
}
