// Rows of the command table.

extension CommandTable {
    static let scripting: [Command] = [
        Command(
            "eval", -3, .scripting, "2.6.0",
            [.noscript, .stale, .skipMonitor, .noMandatoryKeys, .movableKeys],
            specs: "RW access update @2 #0:1:1", acl: "slow scripting", conditional: .always,
            "Execute a Lua script server side",
            .server { s throws(CommandError) in try s.evaluate(isReadOnly: false) }),
        Command(
            "eval_ro", -3, .scripting, "7.0.0",
            [.readonly, .noscript, .stale, .skipMonitor, .noMandatoryKeys, .movableKeys],
            specs: "RO access @2 #0:1:1", acl: "slow scripting",
            "Execute a read-only Lua script server side",
            .server { s throws(CommandError) in try s.evaluate(isReadOnly: true) }),
        Command(
            "evalsha", -3, .scripting, "2.6.0",
            [.noscript, .stale, .skipMonitor, .noMandatoryKeys, .movableKeys],
            specs: "RW access update @2 #0:1:1", acl: "slow scripting", conditional: .always,
            "Execute a Lua script server side",
            .server { s throws(CommandError) in try s.evaluateKept(isReadOnly: false) }),
        Command(
            "evalsha_ro", -3, .scripting, "7.0.0",
            [.readonly, .noscript, .stale, .skipMonitor, .noMandatoryKeys, .movableKeys],
            specs: "RO access @2 #0:1:1", acl: "slow scripting",
            "Execute a read-only Lua script server side",
            .server { s throws(CommandError) in try s.evaluateKept(isReadOnly: true) }),
        Command(
            "function", -2, .scripting, "7.0.0", [], acl: "slow", "A container for function commands",
            .container,
            [
                Command(
                    "function|flush", -2, .scripting, "7.0.0", [.write, .noscript],
                    acl: "write slow scripting",
                    tips: "request_policy:all_shards response_policy:all_succeeded", "Deleting all functions",
                    .server { s throws(CommandError) in try s.flushFunctions() }),
                Command(
                    "function|help", 2, .scripting, "7.0.0", [.loading, .stale], acl: "slow scripting",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("function") }),
                Command(
                    "function|list", -2, .scripting, "7.0.0", [.noscript], acl: "slow scripting",
                    tips: "nondeterministic_output_order", "List information about all the functions",
                    .server { s throws(CommandError) in try s.listFunctions() }),
            ]),
        Command(
            "script", -2, .scripting, "2.6.0", [], acl: "slow",
            "A container for Lua scripts management commands", .container,
            [
                Command(
                    "script|exists", -3, .scripting, "2.6.0", [.noscript], acl: "slow scripting",
                    tips: "request_policy:all_shards response_policy:agg_logical_and",
                    "Check existence of scripts in the script cache.",
                    .server { s throws(CommandError) in s.haveScripts() }),
                Command(
                    "script|flush", -2, .scripting, "2.6.0", [.noscript], acl: "slow scripting",
                    tips: "request_policy:all_nodes response_policy:all_succeeded",
                    "Remove all the scripts from the script cache.",
                    .server { s throws(CommandError) in try s.flushScripts() }),
                Command(
                    "script|help", 2, .scripting, "5.0.0", [.loading, .stale], acl: "slow scripting",
                    "Show helpful text about the different subcommands",
                    .server { s throws(CommandError) in s.help("script") }),
                Command(
                    "script|kill", 2, .scripting, "2.6.0", [.noscript, .allowBusy], acl: "slow scripting",
                    tips: "request_policy:all_shards response_policy:one_succeeded",
                    "Kill the script currently in execution.",
                    .server { s throws(CommandError) in try s.killScript() }),
                Command(
                    "script|load", 3, .scripting, "2.6.0", [.noscript, .stale], acl: "slow scripting",
                    tips: "request_policy:all_nodes response_policy:all_succeeded",
                    "Load the specified Lua script into the script cache.",
                    .server { s throws(CommandError) in try s.loadScript() }),
            ]),
    ]
}
