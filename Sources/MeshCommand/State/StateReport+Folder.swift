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
