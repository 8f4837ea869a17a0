/// Every command that there is, found by its name.
struct CommandTable: Sendable {
    /// In the order of the table.
    let commands: [Command]
    /// Open addressing: an index into `commands`, or -1.
    private let slots: [Int16]

    static let standard = CommandTable(
        generic + strings + bitmaps + hyperLogLogs + hashes + lists + sets + sortedSets + transactions
            + pubsub + connection
            + server
            + scripting + streams + clusters + geo + mesh)

    private init(_ commands: [Command]) {
        self.commands = commands
        var slots = [Int16](repeating: -1, count: 1024)
        for (index, command) in commands.enumerated() {
            var slot = CommandTable.slot(Array(command.name.utf8))
            while slots[slot] >= 0 { slot = (slot + 1) & 1023 }
            slots[slot] = Int16(index)
        }
        self.slots = slots
    }

    @inline(__always)
    private static func slot(_ name: [UInt8]) -> Int {
        var hash: UInt32 = 2_166_136_261
        for byte in name { hash = (hash ^ UInt32(ByteString.lowercased(byte))) &* 16_777_619 }
        return Int((hash ^ hash >> 15) & 1023)
    }

    /// The place of the command of this name, in whatever case.
    func index(of name: ByteString) -> Int? {
        guard name.count <= 32 else { return nil }
        var slot = CommandTable.slot(name.bytes)
        while slots[slot] >= 0 {
            let index = Int(slots[slot])
            if CommandTable.isEqual(name.bytes, commands[index].name) { return index }
            slot = (slot + 1) & 1023
        }
        return nil
    }

    func command(_ name: ByteString) -> Command? { index(of: name).map { commands[$0] } }

    private static func isEqual(_ bytes: [UInt8], _ name: String) -> Bool {
        var index = 0
        for unit in name.utf8 {
            guard index < bytes.count, ByteString.lowercased(bytes[index]) == unit else { return false }
            index += 1
        }
        return index == bytes.count
    }
}
