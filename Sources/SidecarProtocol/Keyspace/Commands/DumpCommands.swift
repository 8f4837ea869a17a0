// DUMP and RESTORE (cluster.c).

extension Keyspace {
    mutating func dump() throws(CommandError) {
        guard let value = valueToRead(arguments[1]) else { return reply.null() }
        if case .stream = value { throw CommandError("a stream can't be dumped here") }
        reply.bulk(DumpPayload.encode(value))
    }

    private struct RestoreOptions {
        var replaces = false
        var isAbsolute = false
        /// Seconds since its last use.
        var idle: Int64?
    }

    mutating func restore() throws(CommandError) {
        let (key, payload) = (arguments[1], arguments[3])
        let options = try restoreOptions()
        if !options.replaces, find(key) != nil {
            throw CommandError(coded: "BUSYKEY Target key name already exists.")
        }
        var expiry = try integer(2)
        guard expiry >= 0 else { throw CommandError("Invalid TTL value, must be >= 0") }
        guard DumpPayload.isIntact(payload) else {
            throw CommandError("DUMP payload version or checksum are wrong")
        }
        let value: Value
        do throws(DumpPayload.BadData) {
            value = try DumpPayload.decode(payload, hash: hash, limits: settings)
        } catch {
            throw CommandError("Bad data format")
        }
        let existed = delete(key)
        if expiry > 0, !options.isAbsolute { expiry = expiry &+ now }
        if expiry != 0, expiry <= now {
            if existed { notify(.generic, "del", key) }
            return reply.ok()
        }
        put(value, under: key, expiry: expiry == 0 ? Item.never : expiry)
        notify(.generic, "restore", key)
        if let idle = options.idle, let index = find(key) {
            databases[selected].items[index].value.touched = max(now / 1000 &- idle, 0)
        }
        reply.ok()
    }

    private func restoreOptions() throws(CommandError) -> RestoreOptions {
        var options = RestoreOptions()
        var isFrequent = false
        var place = 4
        while place < arguments.count {
            let word = arguments[place]
            let hasNext = place + 1 < arguments.count
            if word.isWord("replace") {
                options.replaces = true
            } else if word.isWord("absttl") {
                options.isAbsolute = true
            } else if word.isWord("idletime"), hasNext, !isFrequent {
                place += 1
                let idle = try integer(place)
                guard idle >= 0 else { throw CommandError("Invalid IDLETIME value, must be >= 0") }
                options.idle = idle
            } else if word.isWord("freq"), hasNext, options.idle == nil {
                place += 1
                guard (0...255).contains(try integer(place)) else {
                    throw CommandError("Invalid FREQ value, must be >= 0 and <= 255")
                }
                isFrequent = true
            } else {
                throw .syntax
            }
            place += 1
        }
        return options
    }
}
