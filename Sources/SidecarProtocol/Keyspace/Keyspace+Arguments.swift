// Reading arguments, with the errors that Redis gives.

extension Keyspace {
    func integer(_ index: Int) throws(CommandError) -> Int64 {
        guard let value = arguments[index].integer else { throw .notInteger }
        return value
    }

    func integer(_ index: Int, in range: ClosedRange<Int64>) throws(CommandError) -> Int64 {
        let value = try integer(index)
        guard range.contains(value) else {
            throw CommandError(
                "value is out of range, value must between \(range.lowerBound) and \(range.upperBound)")
        }
        return value
    }

    func positive(_ index: Int) throws(CommandError) -> Int64 {
        guard let value = arguments[index].integer, value >= 0 else { throw .notPositive }
        return value
    }

    /// A positive integer, or `error`.
    func count(_ index: Int, atLeast least: Int64, or error: String) throws(CommandError) -> Int {
        guard let value = arguments[index].integer, value >= least else { throw CommandError(error) }
        return Int(value)
    }

    func double(_ index: Int, or error: CommandError = .notFloat) throws(CommandError) -> Double {
        guard let value = arguments[index].double else { throw error }
        return value
    }

    func database(_ index: Int) throws(CommandError) -> Int {
        let number = try integer(index, in: Int64(Int32.min)...Int64(Int32.max))
        guard number >= 0, number < Limits.stateDatabases else { throw .badDatabase }
        return Int(number)
    }

    /// The seconds of a blocking command, in milliseconds.
    func timeout(_ index: Int) throws(CommandError) -> Int64 {
        guard let seconds = ExtendedDouble(arguments[index]) else {
            throw CommandError("timeout is not a float or out of range")
        }
        let milliseconds = seconds.milliseconds
        guard milliseconds >= 0, milliseconds < 9.2e18 else { throw CommandError("timeout is negative") }
        return Int64(milliseconds.rounded(.up))
    }

    /// An index from the end is made one from the start, and both are kept within 0 ..< count; nil: nothing
    /// stands between them.
    static func range(_ start: Int64, _ end: Int64, count: Int) -> Range<Int>? {
        var (start, end) = (start, end)
        let count = Int64(count)
        if start < 0 { start = max(start &+ count, 0) }
        if end < 0 { end = end &+ count }
        guard start <= end, start < count, end >= 0 else { return nil }
        return Int(start)..<Int(min(end, count - 1)) + 1
    }
}

extension ExtendedDouble {
    var milliseconds: Double { times(1000) }
}
