// Rows of the command table.

extension CommandTable {
    static let transactions: [Command] = [
        Command(
            "discard", 1, .transactions, "2.0.0", [.noscript, .loading, .stale, .fast, .allowBusy],
            acl: "fast transaction", "Discard all commands issued after MULTI",
            .server { s throws(CommandError) in try s.discard() }),
        Command(
            "exec", 1, .transactions, "1.2.0", [.noscript, .loading, .stale, .skipSlowlog],
            acl: "slow transaction", "Execute all commands issued after MULTI",
            .server { s throws(CommandError) in try s.exec() }),
        Command(
            "multi", 1, .transactions, "1.2.0", [.noscript, .loading, .stale, .fast, .allowBusy],
            acl: "fast transaction", "Mark the start of a transaction block",
            .server { s throws(CommandError) in try s.multi() }),
        Command(
            "unwatch", 1, .transactions, "2.2.0", [.noscript, .loading, .stale, .fast, .allowBusy],
            acl: "fast transaction", "Forget about all watched keys",
            .server { s throws(CommandError) in s.unwatch() }),
        Command(
            "watch", -2, .transactions, "2.2.0", [.noscript, .loading, .stale, .fast, .allowBusy],
            keys: (1, -1, 1), specs: "RO @1 -1:1:0", acl: "fast transaction", conditional: .always,
            "Watch the given keys to determine execution of the MULTI/EXEC block",
            .server { s throws(CommandError) in try s.watch() }),
    ]
}
