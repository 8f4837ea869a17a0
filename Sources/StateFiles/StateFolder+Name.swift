import SidecarProtocol

extension StateFolder {
    private static let nameFile = "replica"
    private static let nameBytes = 16

    /// 16 random bytes, made at the first call: what the replica in the folder is called among the others. Where the
    /// name is gone, or was cut short, it gets another: its log is then another replica's.
    package func replicaName() throws(DiskFailure) -> [UInt8] {
        let read = try perform(
            .read(file: StateFolder.nameFile, offset: 0, count: StateFolder.nameBytes))
        if case .bytes(let name) = read, name.count == StateFolder.nameBytes { return name }
        var random = SystemRandomNumberGenerator()
        let name = (0..<StateFolder.nameBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        _ = try perform(.write(file: StateFolder.nameFile, offset: 0, name))
        _ = try perform(.sync(file: StateFolder.nameFile))
        _ = try perform(.syncFolder)
        return name
    }
}
