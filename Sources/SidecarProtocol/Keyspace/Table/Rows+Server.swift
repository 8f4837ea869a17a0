// Rows of the command table.

extension CommandTable {
    static let server: [Command] = [
        Command(
            "acl", -2, .server, "6.0.0", [], acl: "slow", "A container for Access List Control commands ",
            .container,
            [
                Command(
                    "acl|help", 2, .server, "6.0.0", [.loading, .stale], acl: "slow",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("acl") }),
                Command(
                    "acl|users", 2, .server, "6.0.0", [.admin, .noscript, .loading, .stale],
                    acl: "admin slow dangerous", "List the username of all the configured ACL rules",
                    .server { s throws(CommandError) in s.listUsers() }),
                Command(
                    "acl|whoami", 2, .server, "6.0.0", [.noscript, .loading, .stale], acl: "slow",
                    "Return the name of the user associated to the current connection",
                    .server { s throws(CommandError) in s.whoAmI() }),
            ]),
        Command(
            "bgrewriteaof", 1, .server, "1.0.0", [.admin, .noscript, .noAsyncLoading],
            acl: "admin slow dangerous", "Asynchronously rewrite the append-only file",
            .server { s throws(CommandError) in try s.rewriteLog() }),
        Command(
            "bgsave", -1, .server, "1.0.0", [.admin, .noscript, .noAsyncLoading], acl: "admin slow dangerous",
            "Asynchronously save the dataset to disk",
            .server { s throws(CommandError) in try s.saveInBackground() }),
        Command(
            "command", -1, .server, "2.8.13", [.loading, .stale], acl: "slow connection",
            tips: "nondeterministic_output_order", "Get array of Redis command details",
            .server { s throws(CommandError) in s.describeCommands() },
            [
                Command(
                    "command|count", 2, .server, "2.8.13", [.loading, .stale], acl: "slow connection",
                    "Get total number of Redis commands",
                    .server { s throws(CommandError) in s.countCommands() }),
                Command(
                    "command|docs", -2, .server, "7.0.0", [.loading, .stale], acl: "slow connection",
                    tips: "nondeterministic_output_order",
                    "Get array of specific Redis command documentation",
                    .server { s throws(CommandError) in s.documentCommands() }),
                Command(
                    "command|getkeys", -4, .server, "2.8.13", [.loading, .stale], acl: "slow connection",
                    "Extract keys given a full Redis command",
                    .server { s throws(CommandError) in try s.keysOfCommand() }),
                Command(
                    "command|getkeysandflags", -4, .server, "7.0.0", [.loading, .stale],
                    acl: "slow connection", "Extract keys and access flags given a full Redis command",
                    .server { s throws(CommandError) in try s.keysOfCommand(withFlags: true) }),
                Command(
                    "command|help", 2, .server, "5.0.0", [.loading, .stale], acl: "slow connection",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("command") }),
                Command(
                    "command|info", -2, .server, "2.8.13", [.loading, .stale], acl: "slow connection",
                    tips: "nondeterministic_output_order",
                    "Get array of specific Redis command details, or all when no argument is given.",
                    .server { s throws(CommandError) in s.describeNamedCommands() }),
                Command(
                    "command|list", -2, .server, "7.0.0", [.loading, .stale], acl: "slow connection",
                    tips: "nondeterministic_output_order", "Get an array of Redis command names",
                    .server { s throws(CommandError) in try s.listCommands() }),
            ]),
        Command(
            "config", -2, .server, "2.0.0", [], acl: "slow",
            "A container for server configuration commands", .container,
            [
                Command(
                    "config|get", -3, .server, "2.0.0", [.admin, .noscript, .loading, .stale],
                    acl: "admin slow dangerous", "Get the values of configuration parameters",
                    .server { s throws(CommandError) in s.getSettings() }),
                Command(
                    "config|help", 2, .server, "5.0.0", [.loading, .stale], acl: "slow",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("config") }),
                Command(
                    "config|resetstat", 2, .server, "2.0.0", [.admin, .noscript, .loading, .stale],
                    acl: "admin slow dangerous", "Reset the stats returned by INFO",
                    .server { s throws(CommandError) in s.resetStatistics() }),
                Command(
                    "config|rewrite", 2, .server, "2.8.0", [.admin, .noscript, .loading, .stale],
                    acl: "admin slow dangerous",
                    "Rewrite the configuration file with the in memory configuration",
                    .server { s throws(CommandError) in try s.rewriteSettings() }),
                Command(
                    "config|set", -4, .server, "2.0.0", [.admin, .noscript, .loading, .stale],
                    acl: "admin slow dangerous",
                    tips: "request_policy:all_nodes response_policy:all_succeeded",
                    "Set configuration parameters to the given values",
                    .server { s throws(CommandError) in try s.setSettings() }),
            ]),
        Command(
            "dbsize", 1, .server, "1.0.0", [.readonly, .fast], acl: "keyspace read fast",
            tips: "request_policy:all_shards response_policy:agg_sum",
            "Return the number of keys in the selected database",
            .data { k throws(CommandError) in k.databaseSize() }),
        Command(
            "debug", -2, .server, "1.0.0", [.admin, .noscript, .loading, .stale],
            acl: "admin slow dangerous", "A container for debugging commands",
            .server { s throws(CommandError) in try s.debug() }),
        Command(
            "flushall", -1, .server, "1.0.0", [.write], acl: "keyspace write slow dangerous",
            tips: "request_policy:all_shards response_policy:all_succeeded",
            "Remove all keys from all databases",
            .data { k throws(CommandError) in try k.flush(all: true) }),
        Command(
            "flushdb", -1, .server, "1.0.0", [.write], acl: "keyspace write slow dangerous",
            tips: "request_policy:all_shards response_policy:all_succeeded",
            "Remove all keys from the current database",
            .data { k throws(CommandError) in try k.flush(all: false) }),
        Command(
            "info", -1, .server, "1.0.0", [.loading, .stale], acl: "slow dangerous",
            tips: "nondeterministic_output request_policy:all_shards response_policy:special",
            "Get information and statistics about the server",
            .server { s throws(CommandError) in s.info() }),
        Command(
            "lastsave", 1, .server, "1.0.0", [.loading, .stale, .fast], acl: "admin fast dangerous",
            tips: "nondeterministic_output", "Get the UNIX time stamp of the last successful save to disk",
            .server { s throws(CommandError) in s.lastSave() }),
        Command(
            "memory", -2, .server, "4.0.0", [], acl: "slow", "A container for memory diagnostics commands",
            .container,
            [
                Command(
                    "memory|help", 2, .server, "4.0.0", [.loading, .stale], acl: "slow",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("memory") }),
                Command(
                    "memory|usage", -3, .server, "4.0.0", [.readonly], keys: (2, 2, 1), specs: "RO @2 0:1:0",
                    acl: "read slow", "Estimate the memory usage of a key",
                    .data { k throws(CommandError) in try k.memoryUsage() }),
            ]),
        Command(
            "module", -2, .server, "4.0.0", [], acl: "slow", "A container for module commands", .container,
            [
                Command(
                    "module|help", 2, .server, "5.0.0", [.loading, .stale], acl: "slow",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("module") }),
                Command(
                    "module|list", 2, .server, "4.0.0", [.admin, .noscript], acl: "admin slow dangerous",
                    tips: "nondeterministic_output_order", "List all modules loaded by the server",
                    .server { s throws(CommandError) in s.listModules() }),
            ]),
        Command(
            "role", 1, .server, "2.8.12", [.noscript, .loading, .stale, .fast],
            acl: "admin fast dangerous", "Return the role of the instance in the context of replication",
            .server { s throws(CommandError) in s.role() }),
        Command(
            "save", 1, .server, "1.0.0", [.admin, .noscript, .noAsyncLoading, .noMulti],
            acl: "admin slow dangerous", "Synchronously save the dataset to disk",
            .server { s throws(CommandError) in try s.save() }),
        Command(
            "swapdb", 3, .server, "4.0.0", [.write, .fast], acl: "keyspace write fast dangerous",
            modes: [.none, .strong], "Swaps two Redis databases",
            .data { k throws(CommandError) in try k.swapDatabases() }),
        Command(
            "time", 1, .server, "2.6.0", [.loading, .stale, .fast], acl: "fast",
            tips: "nondeterministic_output", "Return the current server time",
            .server { s throws(CommandError) in s.tellTime() }),
    ]
}
