// Numbers as people read them.

import Glibc

enum Amount {
    /// `0 B`, `1.4 kB`, `23 MB`: powers of 1,000.
    static func bytes(_ count: Int?) -> String {
        guard let count else { return "-" }
        guard count >= 1000 else { return "\(count) B" }
        var value = Double(count)
        var unit = 0
        while value >= 999.5, unit < 4 {
            value /= 1000
            unit += 1
        }
        let name = ["B", "kB", "MB", "GB", "TB"][unit]
        if value < 9.95 {
            let tenths = Int((value * 10).rounded())
            return "\(tenths / 10).\(tenths % 10) \(name)"
        }
        return "\(Int(value.rounded())) \(name)"
    }

    /// `7s`, `3m12s`, `5h02m`, `12d`.
    static func span(seconds: Int?) -> String {
        guard let seconds else { return "-" }
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        switch seconds {
        case ..<60: return "\(seconds)s"
        case ..<3600: return "\(seconds / 60)m\(two(seconds % 60))s"
        case ..<86_400: return "\(seconds / 3600)h\(two(seconds / 60 % 60))m"
        default: return "\(seconds / 86_400)d"
        }
    }

    /// `12 ms`, then as `span`.
    static func span(milliseconds: Int?) -> String {
        guard let milliseconds else { return "-" }
        return milliseconds < 1000 ? "\(milliseconds)ms" : span(seconds: milliseconds / 1000)
    }
}

extension Amount {
    /// `0.21`, `12.40`: milliseconds with two digits, from microseconds.
    static func milliseconds(microseconds: Int) -> String {
        let hundredths = (max(0, microseconds) + 5) / 10
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}

/// Of a clock that never steps.
func monotonicMilliseconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

enum WallClock {
    /// Seconds since 1970.
    static func now() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return time.tv_sec
    }

    /// Seconds since 1970 of an RFC 3339 time in UTC (`2026-01-31T12:00:00.123Z`); nil for anything else.
    static func seconds(rfc3339 text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z"), bytes[4] == UInt8(ascii: "-"),
            bytes[7] == UInt8(ascii: "-"), bytes[10] == UInt8(ascii: "T")
        else { return nil }
        func number(_ range: Range<Int>) -> Int? {
            Int(String(decoding: bytes[range], as: UTF8.self)).flatMap { $0 >= 0 ? $0 : nil }
        }
        guard let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        // Days from the civil date, counting years from March so that the leap day comes last.
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
        return days * 86_400 + hour * 3600 + minute * 60 + second
    }

    /// Milliseconds since 1970 of a time as sidecars write it: `2026-01-31T12:00:00.123Z`, three digits
    /// and no others.
    static func milliseconds(rfc3339 text: String) -> Int? {
        let bytes = Array(text.utf8)
        guard bytes.count == 24, bytes[19] == UInt8(ascii: "."), let seconds = seconds(rfc3339: text),
            bytes[20..<23].allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let fraction = Int(String(decoding: bytes[20..<23], as: UTF8.self))
        else { return nil }
        return seconds * 1000 + fraction
    }

    /// `2026-01-31T12:00:00Z`.
    static func rfc3339(_ seconds: Int) -> String {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
    }
}
