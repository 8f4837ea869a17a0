import SidecarProtocol

/// Whose state a verb is about: a workload of this host, or a replica's folder.
struct StateSubject {
    private let text: String
    private let paths: MeshPaths

    init(_ text: String, in paths: MeshPaths) {
        self.text = text
        self.paths = paths
    }

    /// The folders of its replicas here, one at least.
    func slots() throws(Complaint) -> [String] {
        if isPath {
            if let status = FileStatus(text), status.isFolder { return [text] }
            throw Complaint(
                "there is no folder \(text) to be seen", fix: "name a workload, or a replica's folder",
                exitCode: 2)
        }
        let folder = paths.stateDataFolder(try workload())
        let slots = entries(of: folder).filter { $0.hasPrefix("slot-") }.sorted()
        guard !slots.isEmpty else {
            throw Complaint(
                "\"\(text)\" has no state in \(folder)",
                fix: "name a workload with `consistency: eventual` that ran here, or a replica's folder",
                exitCode: 2)
        }
        return slots.map { "\(folder)/\($0)" }
    }

    /// The only one there is. A launch that was refused leaves a folder with nothing but a name.
    func slot() throws(Complaint) -> String {
        var slots = try slots()
        let written = slots.filter { slot in entries(of: slot).contains { $0 != "lock" && $0 != "replica" } }
        if !written.isEmpty { slots = written }
        guard slots.count == 1 else {
            throw Complaint(
                "\"\(text)\" has \(slots.count) replicas here",
                fix: "name one of: \(slots.joined(separator: ", "))",
                exitCode: 2)
        }
        return slots[0]
    }

    /// Whether a folder is meant, and not a workload whose name a folder may have by chance.
    var isPath: Bool { text.hasPrefix("/") || text.hasPrefix(".") }

    func workload() throws(Complaint) -> WorkloadName { try WorkloadName(argument: text) }
}
