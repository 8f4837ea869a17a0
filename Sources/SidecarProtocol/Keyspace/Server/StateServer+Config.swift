// CONFIG: what can be told, and the little of it that can be changed (config.c).

extension StateConfiguration {
    /// What programs ask for, or set to what it is. It is told again and changes nothing here.
    static let defaults: [(name: String, value: ByteString)] = [
        ("active-expire-effort", "1"), ("activedefrag", "no"), ("activerehashing", "yes"),
        ("appendfsync", "everysec"), ("appendonly", "no"), ("client-query-buffer-limit", "1073741824"),
        ("databases", "16"), ("hz", "10"), ("latency-tracking", "no"), ("latency-monitor-threshold", "0"),
        ("lazyfree-lazy-expire", "no"), ("lazyfree-lazy-server-del", "no"),
        ("lazyfree-lazy-user-del", "no"), ("lazyfree-lazy-user-flush", "no"), ("lfu-decay-time", "1"),
        ("lfu-log-factor", "10"), ("list-compress-depth", "0"), ("loglevel", "notice"),
        ("lua-time-limit", "5000"), ("maxmemory-policy", "noeviction"), ("maxmemory-samples", "5"),
        ("min-replicas-to-write", "0"), ("rdb-key-save-delay", "0"),
        ("rdbcompression", "yes"), ("rdbchecksum", "yes"), ("replica-read-only", "yes"),
        ("sanitize-dump-payload", "no"), ("save", ""), ("slowlog-log-slower-than", "10000"),
        ("slowlog-max-len", "128"), ("stop-writes-on-bgsave-error", "yes"),
        ("stream-node-max-bytes", "4096"), ("stream-node-max-entries", "100"), ("tcp-keepalive", "300"),
        ("timeout", "0"),
    ]
    /// Remembered settings whose other values would be a promise that isn't kept.
    static let fixed = [
        "databases", "appendonly", "appendfsync", "maxmemory-policy", "save",
        "activedefrag", "min-replicas-to-write", "timeout",
    ]

    mutating func remember(_ name: String, _ value: ByteString) {
        guard let index = remembered.firstIndex(where: { $0.name == name }) else { return }
        remembered[index].value = value
    }
}

extension StateServer {
    /// Numbers that count, by their names; the older ones of Redis 6 too.
    private static let numbers:
        [(name: String, path: any WritableKeyPath<KeyspaceSettings, Int> & Sendable)] = [
            ("hash-max-listpack-entries", \.hashListpackEntries),
            ("hash-max-ziplist-entries", \.hashListpackEntries),
            ("hash-max-listpack-value", \.hashListpackValue),
            ("hash-max-ziplist-value", \.hashListpackValue),
            ("set-max-intset-entries", \.setIntsetEntries),
            ("zset-max-listpack-entries", \.sortedListpackEntries),
            ("zset-max-ziplist-entries", \.sortedListpackEntries),
            ("zset-max-listpack-value", \.sortedListpackValue),
            ("zset-max-ziplist-value", \.sortedListpackValue),
            ("list-max-listpack-size", \.listListpackSize),
            ("list-max-ziplist-size", \.listListpackSize),
            ("hll-sparse-max-bytes", \.hyperLogLogSparseBytes),
            ("proto-max-bulk-len", \.stringBytesMaximum),
        ]

    /// Every setting with its value, in order.
    private var settings: [(name: String, value: ByteString)] {
        var all = configuration.remembered
        all += Self.numbers.map { ($0.name, ByteString(String(keyspace.settings[keyPath: $0.path]))) }
        all.append(("notify-keyspace-events", keyspace.settings.events.text))
        all.append(("maxmemory", ByteString(String(configuration.memoryMaximum))))
        all.append(("maxclients", ByteString(String(configuration.clientsMaximum))))
        all.append(("requirepass", configuration.password ?? .empty))
        all.append(("port", ByteString(String(configuration.port))))
        return all.sorted { $0.name < $1.name }
    }

    mutating func getSettings() {
        let patterns = keyspace.arguments.dropFirst(2).map { GlobPattern($0) }
        let found = settings.filter { setting in
            patterns.contains { $0.matches(Array(setting.name.utf8), ignoringCase: true) }
        }
        keyspace.reply.map(found.count)
        for (name, value) in found {
            keyspace.reply.bulk(name)
            keyspace.reply.bulk(value)
        }
    }

    mutating func setSettings() throws(CommandError) {
        let arguments = keyspace.arguments
        guard arguments.count % 2 == 0 else { throw .syntax }
        let before = (configuration, keyspace.settings)
        do throws(CommandError) {
            for place in stride(from: 2, to: arguments.count, by: 2) {
                let name = arguments[place].lowercased
                for earlier in stride(from: 2, to: place, by: 2) where arguments[earlier].lowercased == name {
                    throw refusal(name, " - duplicate parameter")
                }
                guard settings.contains(where: { ByteString($0.name) == name }) else {
                    throw CommandError(
                        "Unknown option or number of arguments for CONFIG SET - '", arguments[place], "'")
                }
                try set(name.text, arguments[place + 1])
            }
        } catch {
            (configuration, keyspace.settings) = before
            throw error
        }
        keyspace.reply.ok()
    }

    private func refusal(_ name: ByteString, _ reason: String = "") -> CommandError {
        CommandError("CONFIG SET failed (possibly related to argument '", name, "')" + reason)
    }

    private mutating func set(_ name: String, _ value: ByteString) throws(CommandError) {
        let label = ByteString(name)
        if let setting = Self.numbers.first(where: { $0.name == name }) {
            let isLength = name.hasPrefix("proto")
            keyspace.settings[keyPath: setting.path] = try number(
                value, label, least: name.hasPrefix("list") ? -5 : isLength ? 1 << 20 : 0,
                most: isLength ? configuration.keyspace.stringBytesMaximum : Int.max)
            return
        }
        switch name {
        case "maxmemory":
            let bytes = try memory(value, label)
            guard memoryGranted == 0 || 1...memoryGranted ~= bytes else {
                throw refusal(
                    label, " - the workload's config grants \(memoryGranted) bytes (`memory`), and no more")
            }
            configuration.memoryMaximum = bytes
        case "notify-keyspace-events":
            guard let events = KeyEventClasses(value) else {
                throw refusal(label, " - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
            }
            keyspace.settings.events = events
        case "maxclients": configuration.clientsMaximum = try number(value, label, least: 1)
        case "requirepass": configuration.password = value.count == 0 ? nil : value
        case "port": throw refusal(label, " - can't set immutable config")
        default:
            guard let index = configuration.remembered.firstIndex(where: { $0.name == name }) else { return }
            let isSame = configuration.remembered[index].value.lowercased == value.lowercased
            if StateConfiguration.fixed.contains(name), !isSame {
                throw refusal(
                    label, " - this server knows only '\(configuration.remembered[index].value.text)'")
            }
            configuration.remembered[index].value = value
        }
    }

    private func number(
        _ value: ByteString, _ name: ByteString, least: Int, most: Int = Int.max
    ) throws(CommandError) -> Int {
        guard let number = memoryValue(value) else {
            throw refusal(name, " - argument couldn't be parsed into an integer")
        }
        guard number >= least, number <= most else {
            throw refusal(name, " - argument must be between \(least) and \(most) inclusive")
        }
        return number
    }

    private func memory(_ value: ByteString, _ name: ByteString) throws(CommandError) -> Int {
        guard let bytes = memoryValue(value), bytes >= 0 else {
            throw refusal(name, " - argument must be a memory value")
        }
        return bytes
    }

    /// `100mb`, `1g`: Redis's spelling of bytes.
    private func memoryValue(_ value: ByteString) -> Int? {
        let text = value.lowercased.text
        let digits = text.prefix { $0.isNumber || $0 == "-" }
        let units: [(String, Int)] = [
            ("", 1), ("b", 1), ("k", 1000), ("kb", 1 << 10), ("m", 1_000_000), ("mb", 1 << 20),
            ("g", 1_000_000_000), ("gb", 1 << 30),
        ]
        guard let number = Int(digits),
            let unit = units.first(where: { $0.0 == text.dropFirst(digits.count) })
        else { return nil }
        let (bytes, over) = number.multipliedReportingOverflow(by: unit.1)
        return over ? nil : bytes
    }

    mutating func resetStatistics() {
        statistics = ServerStatistics()
        keyspace.statistics = Keyspace.Statistics()
        keyspace.reply.ok()
    }
}
