// Rows of the command table.

extension CommandTable {
    static let connection: [Command] = [
        Command(
            "auth", -2, .connection, "1.0.0", [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy],
            acl: "fast connection", "Authenticate to the server",
            .server { s throws(CommandError) in try s.authenticate() }),
        Command(
            "client", -2, .connection, "2.4.0", [], acl: "slow",
            "A container for client connection commands", .container,
            [
                Command(
                    "client|caching", 3, .connection, "6.0.0", [.noscript, .loading, .stale],
                    acl: "slow connection",
                    "Instruct the server about tracking or not keys in the next request",
                    .server { s throws(CommandError) in try s.setCaching() }),
                Command(
                    "client|getname", 2, .connection, "2.6.9", [.noscript, .loading, .stale],
                    acl: "slow connection", "Get the current connection name",
                    .server { s throws(CommandError) in s.clientName() }),
                Command(
                    "client|getredir", 2, .connection, "6.0.0", [.noscript, .loading, .stale],
                    acl: "slow connection", "Get tracking notifications redirection client ID if any",
                    .server { s throws(CommandError) in s.trackingRedirection() }),
                Command(
                    "client|help", 2, .connection, "5.0.0", [.loading, .stale], acl: "slow connection",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("client") }),
                Command(
                    "client|id", 2, .connection, "5.0.0", [.noscript, .loading, .stale],
                    acl: "slow connection", "Returns the client ID for the current connection",
                    .server { s throws(CommandError) in s.clientID() }),
                Command(
                    "client|info", 2, .connection, "6.2.0", [.noscript, .loading, .stale],
                    acl: "slow connection", tips: "nondeterministic_output",
                    "Returns information about the current client connection.",
                    .server { s throws(CommandError) in s.clientInfo() }),
                Command(
                    "client|kill", -3, .connection, "2.4.0", [.admin, .noscript, .loading, .stale],
                    acl: "admin slow dangerous connection", "Kill the connection of a client",
                    .server { s throws(CommandError) in try s.killClients() }),
                Command(
                    "client|list", -2, .connection, "2.4.0", [.admin, .noscript, .loading, .stale],
                    acl: "admin slow dangerous connection", tips: "nondeterministic_output",
                    "Get the list of client connections",
                    .server { s throws(CommandError) in try s.listClients() }),
                Command(
                    "client|no-evict", 3, .connection, "7.0.0", [.admin, .noscript, .loading, .stale],
                    acl: "admin slow dangerous connection",
                    "Set client eviction mode for the current connection",
                    .server { s throws(CommandError) in try s.setClientEviction() }),
                Command(
                    "client|reply", 3, .connection, "3.2.0", [.noscript, .loading, .stale],
                    acl: "slow connection", "Instruct the server whether to reply to commands",
                    .server { s throws(CommandError) in try s.setClientReplies() }),
                Command(
                    "client|setinfo", 4, .connection, "7.2.0", [.noscript, .loading, .stale],
                    acl: "slow connection",
                    "Sets information specific to the client or connection",
                    .server { s throws(CommandError) in try s.setClientInfo() }),
                Command(
                    "client|setname", 3, .connection, "2.6.9", [.noscript, .loading, .stale],
                    acl: "slow connection", "Set the current connection name",
                    .server { s throws(CommandError) in try s.setClientName() }),
                Command(
                    "client|tracking", -3, .connection, "6.0.0", [.noscript, .loading, .stale],
                    acl: "slow connection", "Enable or disable server assisted client side caching support",
                    .server { s throws(CommandError) in try s.setTracking() }),
                Command(
                    "client|trackinginfo", 2, .connection, "6.2.0", [.noscript, .loading, .stale],
                    acl: "slow connection",
                    "Return information about server assisted client side caching for the current connection",
                    .server { s throws(CommandError) in s.trackingInfo() }),
                Command(
                    "client|unblock", -3, .connection, "5.0.0", [.admin, .noscript, .loading, .stale],
                    acl: "admin slow dangerous connection",
                    "Unblock a client blocked in a blocking command from a different connection",
                    .server { s throws(CommandError) in try s.unblockClient() }),
            ]),
        Command(
            "echo", 2, .connection, "1.0.0", [.loading, .stale, .fast], acl: "fast connection",
            "Echo the given string", .server { s throws(CommandError) in s.echo() }),
        Command(
            "hello", -1, .connection, "6.0.0", [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy],
            acl: "fast connection", "Handshake with Redis",
            .server { s throws(CommandError) in try s.hello() }),
        Command(
            "ping", -1, .connection, "1.0.0", [.fast], acl: "fast connection",
            tips: "request_policy:all_shards response_policy:all_succeeded", "Ping the server",
            .server { s throws(CommandError) in try s.ping() }),
        Command(
            "quit", -1, .connection, "1.0.0", [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy],
            acl: "fast connection", "Close the connection", .server { s throws(CommandError) in s.quit() }),
        Command(
            "reset", 1, .connection, "6.2.0", [.noscript, .loading, .stale, .fast, .noAuth, .allowBusy],
            acl: "fast connection", "Reset the connection", .server { s throws(CommandError) in s.reset() }),
        Command(
            "select", 2, .connection, "1.0.0", [.loading, .stale, .fast], acl: "fast connection",
            "Change the selected database for the current connection",
            .server { s throws(CommandError) in try s.select() }),
    ]
}
