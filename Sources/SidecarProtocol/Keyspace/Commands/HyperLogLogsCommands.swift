// PFADD, PFCOUNT, PFMERGE, PFDEBUG (hyperloglog.c). To replicas such a value is a string: of two changes at the
// same time the later stays.

extension Keyspace {
    private static let corrupted = CommandError(coded: "INVALIDOBJ Corrupted HLL object detected")

    /// nil: there is no key.
    private func hyperLogLog(_ index: Int?) throws(CommandError) -> HyperLogLog? {
        guard let index else { return nil }
        guard let string = value(at: index).string else { throw .wrongType }
        guard let found = HyperLogLog(string) else {
            throw CommandError(coded: "WRONGTYPE Key is not a valid HyperLogLog string value.")
        }
        return found
    }

    /// As above, for a command that may write: the string becomes one that is changed in place.
    private mutating func hyperLogLogToChange(_ index: Int?) throws(CommandError) -> HyperLogLog? {
        guard let index, let found = try hyperLogLog(index) else { return nil }
        if case .text(let string) = value(at: index) {
            databases[selected].items[index].value.value = .raw(string)
        }
        return found
    }

    /// The values of all registers of all these keys.
    private mutating func union(_ places: Range<Int>) throws(CommandError) -> (values: [UInt8], isDense: Bool)
    {
        var values = [UInt8](repeating: 0, count: HyperLogLog.registers)
        var isDense = false
        for place in places {
            guard let one = try hyperLogLog(findToRead(arguments[place])) else { continue }
            isDense = isDense || one.isDense
            do throws(HyperLogLog.Corrupted) { try one.merge(into: &values) } catch {
                throw Keyspace.corrupted
            }
        }
        return (values, isDense)
    }

    mutating func addToHyperLogLog() throws(CommandError) {
        let key = arguments[1]
        let existing = find(key)
        var (sum, isChanged) = (try hyperLogLogToChange(existing) ?? HyperLogLog(), existing == nil)
        var isCorrupted = false
        for place in 2..<arguments.count where !isCorrupted {
            do throws(HyperLogLog.Corrupted) {
                let isNew = try sum.add(arguments[place], sparseMaximum: settings.hyperLogLogSparseBytes)
                isChanged = isChanged || isNew
            } catch {
                isCorrupted = true
            }
        }
        // What was added before the fault was met stays.
        if isChanged {
            sum.forgetCount()
            keep(sum, key, at: existing)
        }
        if isCorrupted { throw Keyspace.corrupted }
        if isChanged { notify(.string, "pfadd", key) }
        reply.integer(isChanged ? 1 : 0)
    }

    /// The expiry stays, unlike with SET.
    private mutating func keep(_ sum: HyperLogLog, _ key: ByteString, at index: Int?) {
        let bytes = ByteString(sum.bytes)
        if let index { replace(at: index, .raw(bytes)) } else { add(key, .raw(bytes)) }
        record(.setString(stored(key), bytes))
    }

    /// A read: unlike Redis it doesn't remember the count in the string, since to replicas that were a write.
    mutating func countHyperLogLog() throws(CommandError) {
        if arguments.count == 2 {
            guard let one = try hyperLogLogToChange(findToRead(arguments[1])) else {
                return reply.integer(0)
            }
            if let count = one.rememberedCount { return reply.integer(Int(clamping: count)) }
            var values = [UInt8](repeating: 0, count: HyperLogLog.registers)
            do throws(HyperLogLog.Corrupted) { try one.merge(into: &values) } catch {
                throw Keyspace.corrupted
            }
            return reply.integer(Int(clamping: HyperLogLog.estimate(values)))
        }
        let values = try union(1..<arguments.count).values
        reply.integer(Int(clamping: HyperLogLog.estimate(values)))
    }

    mutating func mergeHyperLogLogs() throws(CommandError) {
        let (values, isDense) = try union(1..<arguments.count)
        let key = arguments[1]
        let existing = find(key)
        var sum = try hyperLogLogToChange(existing) ?? HyperLogLog()
        do throws(HyperLogLog.Corrupted) {
            if isDense { try sum.becomeDense() }
            for (number, value) in values.enumerated() where value > 0 {
                _ = try sum.raise(number, to: value, sparseMaximum: settings.hyperLogLogSparseBytes)
            }
        } catch {
            throw Keyspace.corrupted
        }
        sum.forgetCount()
        keep(sum, key, at: existing)
        notify(.string, "pfadd", key)
        reply.ok()
    }

    mutating func debugHyperLogLog() throws(CommandError) {
        let (word, key) = (arguments[1], arguments[2])
        let index = find(key)
        guard var sum = try hyperLogLogToChange(index) else {
            throw CommandError("The specified key does not exist")
        }
        let wasDense = sum.isDense
        do throws(HyperLogLog.Corrupted) {
            if word.isWord("getreg") || word.isWord("todense") {
                try sum.becomeDense()
                if !wasDense { keep(sum, key, at: index) }
            }
            if word.isWord("getreg") {
                var values = [UInt8](repeating: 0, count: HyperLogLog.registers)
                try sum.merge(into: &values)
                reply.array(values.count)
                for value in values { reply.integer(Int(value)) }
            } else if word.isWord("todense") {
                reply.integer(wasDense ? 0 : 1)
            } else if word.isWord("encoding") {
                reply.simple(wasDense ? "dense" : "sparse")
            } else if word.isWord("decode") {
                if wasDense { return reply.error("ERR HLL encoding is not sparse") }
                reply.bulk(sum.decoded())
            } else {
                reply.error(ByteString(Array("ERR Unknown PFDEBUG subcommand '".utf8) + word.bytes + [39]))
            }
        } catch {
            throw Keyspace.corrupted
        }
    }
}
