// INFO (server.c), with the sections that the sidecar adds.

extension StateServer {
    mutating func info() {
        var asked = keyspace.arguments.dropFirst().map { $0.lowercased.text }
        if asked.isEmpty { asked = ["default"] }
        let everything = asked.contains { ["all", "everything", "default"].contains($0) }
        var text = ""
        func section(_ name: String, _ heading: String, _ fields: [(String, String)]) {
            guard everything || asked.contains(name) else { return }
            if !text.isEmpty { text += "\r\n" }
            text += "# \(heading)\r\n"
            for (key, value) in fields { text += "\(key):\(value)\r\n" }
        }
        section("server", "Server", serverFields)
        section("clients", "Clients", clientFields)
        section("memory", "Memory", memoryFields)
        section(
            "persistence", "Persistence",
            [
                ("loading", "0"), ("async_loading", "0"),
                ("rdb_changes_since_last_save", String(keyspace.changes)), ("rdb_bgsave_in_progress", "0"),
                ("aof_enabled", "0"), ("aof_rewrite_in_progress", "0"),
            ])
        section("stats", "Stats", statisticFields)
        section("replication", "Replication", [("role", "master"), ("connected_slaves", "0")])
        for extra in hooks.sections { section(extra.name, extra.heading, extra.fields()) }
        section("state", "State", stateFields)
        section("cluster", "Cluster", [("cluster_enabled", "0")])
        section("keyspace", "Keyspace", keyspaceFields)
        keyspace.reply.verbatim(Array(text.utf8))
    }

    private var serverFields: [(String, String)] {
        let uptime = (now.monotonic - started.monotonic).milliseconds / 1000
        return [
            ("redis_version", StateServer.redisVersion), ("redis_mode", "standalone"),
            ("server_name", "mesh"),
            ("arch_bits", "64"), ("tcp_port", String(configuration.port)),
            ("server_time_usec", String(now.wall.milliseconds &* 1000)),
            ("uptime_in_seconds", String(uptime)), ("uptime_in_days", String(uptime / 86_400)), ("hz", "10"),
        ]
    }

    private var clientFields: [(String, String)] {
        // A count depends on no order.
        let blocked = clients.values.reduce(0) { $0 + ($1.blocked == nil ? 0 : 1) }
        return [
            ("connected_clients", String(clients.count)), ("cluster_connections", "0"),
            ("maxclients", String(configuration.clientsMaximum)), ("blocked_clients", String(blocked)),
            ("tracking_clients", "0"),
        ]
    }

    private var memoryFields: [(String, String)] {
        [
            ("used_memory", String(keyspace.footprint)), ("used_memory_dataset", String(keyspace.footprint)),
            ("number_of_cached_scripts", String(scripts.count)),
            ("maxmemory", String(configuration.memoryMaximum)), ("maxmemory_policy", "noeviction"),
        ]
    }

    private var statisticFields: [(String, String)] {
        [
            ("total_connections_received", String(statistics.connections)),
            ("total_commands_processed", String(statistics.commands)),
            ("total_net_input_bytes", String(statistics.inputBytes)),
            ("total_net_output_bytes", String(statistics.outputBytes)),
            ("rejected_connections", String(statistics.refusedConnections)),
            ("expired_keys", String(keyspace.statistics.expired)), ("evicted_keys", "0"),
            ("keyspace_hits", String(keyspace.statistics.hits)),
            ("keyspace_misses", String(keyspace.statistics.misses)),
            ("pubsub_channels", String(channels.count)), ("pubsub_patterns", String(patterns.count)),
            ("total_error_replies", String(statistics.errors)),
        ]
    }

    private var stateFields: [(String, String)] {
        [
            ("consistency", configuration.consistency.rawValue),
            ("conditional", configuration.conditional.rawValue),
            // Atomic on this replica only.
            ("unsafe_conditional_ops", String(statistics.conditionalCommands)),
        ]
    }

    private var keyspaceFields: [(String, String)] {
        keyspace.databases.enumerated().compactMap { number, database in
            guard database.items.count > 0 else { return nil }
            let expiring = database.expiries.count
            // The middle of those that expire stands for their mean.
            let middle = expiring > 0 ? database.expiries[expiring / 2].score - Double(keyspace.now) : 0
            let life = max(0, min(middle, 9e15))
            return (
                "db\(number)",
                "keys=\(database.items.count),expires=\(expiring),avg_ttl=\(Int(life))"
            )
        }
    }
}
