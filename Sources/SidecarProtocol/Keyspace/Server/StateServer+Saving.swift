// BGSAVE and its relatives (rdb.c). What is written is in the log as `fsync` says, whoever asks for it; a
// snapshot stands for the log so far, and makes it shorter.

extension StateServer {
    mutating func saveInBackground() throws(CommandError) {
        let arguments = keyspace.arguments
        guard arguments.count == 1 || arguments.count == 2 && arguments[1].isWord("schedule") else {
            throw .syntax
        }
        try beginSnapshot()
        keyspace.reply.simple("Background saving started")
    }

    /// A snapshot takes the log's place: that is what it is for.
    mutating func rewriteLog() throws(CommandError) {
        try beginSnapshot()
        keyspace.reply.simple("Background append only file rewriting started")
    }

    private func beginSnapshot() throws(CommandError) {
        guard let begin = hooks.beginSnapshot else { throw CommandError("this state is kept on no disk") }
        begin()
    }

    mutating func save() throws(CommandError) {
        throw CommandError(
            "SAVE would stop every client: what is written is in the log as `fsync` says, and BGSAVE makes a "
                + "snapshot")
    }

    /// Where none was made, the start, as Redis has it.
    mutating func lastSave() {
        keyspace.reply.integer((hooks.lastSnapshot() ?? started.wall).milliseconds / 1000)
    }
}
