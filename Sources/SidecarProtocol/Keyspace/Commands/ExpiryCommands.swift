// When keys end (expire.c).

extension Keyspace {
    /// EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT.
    mutating func expire(milliseconds: Bool, absolute: Bool) throws(CommandError) {
        let conditions = try expiryConditions()
        var time = try integer(2)
        if !milliseconds {
            let (product, over) = time.multipliedReportingOverflow(by: 1000)
            guard !over else { throw .expireTime(commandName) }
            time = product
        }
        if !absolute {
            let (sum, over) = time.addingReportingOverflow(now)
            guard !over else { throw .expireTime(commandName) }
            time = sum
        }
        let key = arguments[1]
        guard let index = find(key) else { return reply.integer(0) }
        guard conditions.allow(time, over: item(at: index).expiry) else { return reply.integer(0) }
        if time <= now {
            remove(key, at: index, as: .delete(stored(key)))
            notify(.generic, "del", key)
        } else {
            setExpiry(key, at: index, time)
            changed(at: index)
            notify(.generic, "expire", key)
        }
        reply.integer(1)
    }

    private struct Conditions {
        var (nx, xx, gt, lt) = (false, false, false, false)

        func allow(_ time: Int64, over old: Int64) -> Bool {
            let isSet = old != Item.never
            if nx, isSet { return false }
            if xx, !isSet { return false }
            // No expiry is one at the end of time.
            if gt, !isSet || time <= old { return false }
            if lt, isSet, time >= old { return false }
            return true
        }
    }

    private func expiryConditions() throws(CommandError) -> Conditions {
        var conditions = Conditions()
        for place in 3..<max(arguments.count, 3) {
            let word = arguments[place]
            if word.isWord("nx") {
                conditions.nx = true
            } else if word.isWord("xx") {
                conditions.xx = true
            } else if word.isWord("gt") {
                conditions.gt = true
            } else if word.isWord("lt") {
                conditions.lt = true
            } else {
                throw CommandError("Unsupported option ", word)
            }
        }
        if conditions.nx, conditions.xx || conditions.gt || conditions.lt {
            throw CommandError("NX and XX, GT or LT options at the same time are not compatible")
        }
        if conditions.gt, conditions.lt {
            throw CommandError("GT and LT options at the same time are not compatible")
        }
        return conditions
    }

    /// TTL, PTTL, EXPIRETIME, PEXPIRETIME.
    mutating func timeToLive(milliseconds: Bool, absolute: Bool) {
        guard let index = find(arguments[1]) else {
            notify(.missed, "keymiss", arguments[1])
            return reply.integer(-2)
        }
        let expiry = item(at: index).expiry
        guard expiry != Item.never else { return reply.integer(-1) }
        let time = absolute ? expiry : max(expiry - now, 0)
        if milliseconds { return reply.integer(time) }
        reply.integer(absolute ? (time &+ 500) / 1000 : (time &+ 500) / 1000)
    }

    mutating func persist() {
        guard let index = find(arguments[1]), item(at: index).expiry != Item.never else {
            return reply.integer(0)
        }
        setExpiry(arguments[1], at: index, Item.never)
        changed(at: index)
        notify(.generic, "persist", arguments[1])
        reply.integer(1)
    }
}
