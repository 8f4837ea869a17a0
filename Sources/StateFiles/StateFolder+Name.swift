import SidecarProtocol

extension StateFolder {
    private static let nameFile = "replica"
    private static let nameBytes = 16

    /// 16 random bytes, made at the first call: what the replica in the folder is called among the others.
    ///
    /// The file holds the number of its own inode behind the name, 8 bytes, big-endian. A copy of the folder, or a
    /// backup that was restored, has another, and so gets another name, as does a folder whose name is gone or was cut
    /// short: its log is then another replica's. Under one name the two would write different changes of one number.
    package func replicaName() throws(DiskFailure) -> [UInt8] {
        let count = StateFolder.nameBytes + 8
        if case .bytes(let bytes) = try perform(.read(file: StateFolder.nameFile, offset: 0, count: count)),
            bytes.count == count, try inode(of: StateFolder.nameFile) == Array(bytes.suffix(8))
        {
            return Array(bytes.prefix(StateFolder.nameBytes))
        }
        var random = SystemRandomNumberGenerator()
        let name = (0..<StateFolder.nameBytes).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        _ = try perform(.write(file: StateFolder.nameFile, offset: 0, name))
        let inode = try inode(of: StateFolder.nameFile)
        _ = try perform(.write(file: StateFolder.nameFile, offset: name.count, inode))
        _ = try perform(.sync(file: StateFolder.nameFile))
        _ = try perform(.syncFolder)
        return name
    }
}
