import SidecarProtocol

extension WallTime {
    /// `2026-03-01T12:34:56.789Z` (RFC 3339 §5.6). Years outside 0–9999 can't be written so, and are
    /// shown as the nearest that can.
    package var rfc3339: String {
        let earliest: Int64 = -62_167_219_200_000
        let latest: Int64 = 253_402_300_799_999
        let clamped = min(max(milliseconds, earliest), latest)
        let (days, ofDay) = WallTime.floorDivide(clamped, 86_400_000)
        let (year, month, day) = WallTime.civil(daysSinceEpoch: days)
        let seconds = ofDay / 1000
        var out: [UInt8] = []
        out.reserveCapacity(24)
        WallTime.append(year, digits: 4, to: &out)
        out.append(UInt8(ascii: "-"))
        WallTime.append(month, digits: 2, to: &out)
        out.append(UInt8(ascii: "-"))
        WallTime.append(day, digits: 2, to: &out)
        out.append(UInt8(ascii: "T"))
        WallTime.append(seconds / 3600, digits: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        WallTime.append(seconds / 60 % 60, digits: 2, to: &out)
        out.append(UInt8(ascii: ":"))
        WallTime.append(seconds % 60, digits: 2, to: &out)
        out.append(UInt8(ascii: "."))
        WallTime.append(ofDay % 1000, digits: 3, to: &out)
        out.append(UInt8(ascii: "Z"))
        return String(decoding: out, as: UTF8.self)
    }

    /// The proleptic Gregorian date of a day counted from 1970-01-01. Years are counted from March, so
    /// that the leap day is a year's last; 400 years, an era, have 146,097 days always.
    private static func civil(daysSinceEpoch days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func append(_ number: Int64, digits: Int, to out: inout [UInt8]) {
        var scale: Int64 = 1
        for _ in 1..<digits { scale *= 10 }
        for _ in 0..<digits {
            out.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / scale % 10))
            scale /= 10
        }
    }
}
