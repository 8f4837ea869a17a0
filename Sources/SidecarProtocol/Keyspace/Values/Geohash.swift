// Places on the globe as scores of a sorted set (geohash.c, geohash_helper.c).
//
// Theory of operation
//
//   Longitude and latitude are 26 bits each, of the way from the least to the greatest, and are interleaved,
//   longitude first: 52 bits, which a double holds exactly. A square of the globe is then a range of scores.
//   What is near a place is looked for in the few squares, of whatever size it takes, that cover the box around
//   it, and measured one by one.
//
//   Distances are those of the haversine formula on Redis's globe. The core has no C library, so the sines are
//   its own; they are right to about the last bit, which no answer's four decimals show.

struct Geohash: Equatable {
    /// The first is in the bit above that of the second.
    private(set) var longitudeBits: UInt32
    private(set) var latitudeBits: UInt32

    static let bits = 26
    static let latitudeMaximum = 85.05112878
    static let longitudeMaximum = 180.0

    struct Place: Equatable {
        var longitude: Double
        var latitude: Double

        /// nil: out of what can be told.
        init?(_ longitude: Double, _ latitude: Double) {
            guard abs(longitude) <= Geohash.longitudeMaximum, abs(latitude) <= Geohash.latitudeMaximum
            else { return nil }
            (self.longitude, self.latitude) = (longitude, latitude)
        }
    }

    init(_ place: Place, latitudeMaximum: Double = Geohash.latitudeMaximum) {
        let size = Double(1 << Geohash.bits)
        let east = (place.longitude + Geohash.longitudeMaximum) / (2 * Geohash.longitudeMaximum) * size
        let north = (place.latitude + latitudeMaximum) / (2 * latitudeMaximum) * size
        (longitudeBits, latitudeBits) = (UInt32(east), UInt32(north))
    }

    init(score: Double) {
        // Whatever score somebody has given, as x86-64 makes an unsigned integer of it.
        let number =
            score < 0
            ? UInt64(bitPattern: score >= -0x1p63 ? Int64(score) : .min) : score < 0x1p64 ? UInt64(score) : 0
        longitudeBits = Geohash.everySecond(number >> 1)
        latitudeBits = Geohash.everySecond(number)
    }

    var number: UInt64 { Geohash.spread(longitudeBits) << 1 | Geohash.spread(latitudeBits) }

    private static func spread(_ bits: UInt32) -> UInt64 {
        (0..<32).reduce(0) { $0 | UInt64(bits >> UInt32($1) & 1) << UInt64($1 * 2) }
    }

    private static func everySecond(_ bits: UInt64) -> UInt32 {
        (0..<32).reduce(0) { $0 | UInt32(truncatingIfNeeded: bits >> UInt64($1 * 2) & 1) << UInt32($1) }
    }

    /// The middle of its square.
    var place: Place {
        func middle(_ bits: UInt32, _ maximum: Double) -> Double {
            let size = Double(1 << Geohash.bits)
            let low = -maximum + Double(bits) / size * (2 * maximum)
            let high = -maximum + (Double(bits) + 1) / size * (2 * maximum)
            return min(max((low + high) / 2, -maximum), maximum)
        }
        let longitude = middle(longitudeBits, Geohash.longitudeMaximum)
        return Place(longitude, middle(latitudeBits, Geohash.latitudeMaximum))!
    }

    /// As GEOHASH spells it: eleven digits of five bits, the last of which says nothing.
    var text: ByteString {
        let digits = Array("0123456789bcdefghjkmnpqrstuvwxyz".utf8)
        // The customary hash goes to the poles.
        let number = Geohash(place, latitudeMaximum: 90).number
        return ByteString(
            (0..<11).map { $0 == 10 ? digits[0] : digits[Int(number >> UInt64(47 - $0 * 5) & 31)] })
    }
}

// MARK: - Distances

extension Geohash.Place {
    /// In metres.
    private static let earthRadius = 6372797.560856

    private static func radians(_ degrees: Double) -> Double { degrees * (Double.pi / 180) }

    func distance(to other: Self) -> Double {
        let v = Trigonometry.sine((Self.radians(other.longitude) - Self.radians(longitude)) / 2)
        if v == 0 { return latitudeDistance(to: other) }
        let (one, two) = (Self.radians(latitude), Self.radians(other.latitude))
        let u = Trigonometry.sine((two - one) / 2)
        let a = u * u + Trigonometry.cosine(one) * Trigonometry.cosine(two) * v * v
        return 2 * Self.earthRadius * Trigonometry.arcsine(a.squareRoot())
    }

    private func latitudeDistance(to other: Self) -> Double {
        Self.earthRadius * abs(Self.radians(other.latitude) - Self.radians(latitude))
    }

    /// The distance of what lies in a shape around this place; nil: it doesn't.
    func distance(to other: Self, within shape: GeoShape) -> Double? {
        switch shape {
        case .circle(let radius):
            let distance = distance(to: other)
            return distance <= radius ? distance : nil
        case .box(let width, let height):
            guard other.latitudeDistance(to: self) <= height / 2 else { return nil }
            let across = other.distance(to: Self(longitude, other.latitude)!)
            return across <= width / 2 ? distance(to: other) : nil
        }
    }

    /// Ranges of scores among which everything in the shape is: that of this place first, as Redis looks, then in
    /// order.
    func ranges(of shape: GeoShape) -> [Range<UInt64>] {
        let (width, height) = shape.size
        let tall = height / 2 / Self.earthRadius * (180 / Double.pi) + 1e-5
        let (south, north) = (
            max(latitude - tall, -Geohash.latitudeMaximum), min(latitude + tall, Geohash.latitudeMaximum)
        )
        // Where a degree is shortest.
        let shortest = Trigonometry.cosine(Self.radians(max(abs(south), abs(north))))
        let quarter = width / 4 / Self.earthRadius
        let sine = quarter < Double.pi / 2 ? Trigonometry.sine(quarter) / shortest : 1
        let own = Geohash(self).number
        var spans = [(-Geohash.longitudeMaximum, Geohash.longitudeMaximum)]
        if sine < 1 {
            let wide = 2 * Trigonometry.arcsine(sine) * (180 / Double.pi) + 1e-5
            let (west, east) = (longitude - wide, longitude + wide)
            if west < -180, east <= 180 {
                spans = [(-180, east), (west + 360, 180)]
            } else if east > 180, west >= -180 {
                spans = [(-180, east - 360), (west, 180)]
            } else if west >= -180, east <= 180 {
                spans = [(west, east)]
            }
        }
        return spans.flatMap { Self.squares($0.0, $0.1, south, north) }.sorted { one, two in
            if one.contains(own) != two.contains(own) { return one.contains(own) }
            return one.lowerBound < two.lowerBound
        }
    }

    private static func squares(
        _ west: Double, _ east: Double, _ south: Double, _ north: Double
    ) -> [Range<UInt64>] {
        guard let low = Self(west, south).map({ Geohash($0) }),
            let high = Self(east, north).map({ Geohash($0) })
        else { return [] }
        // The greatest longitude and latitude are one beyond the last square, and have one of their own.
        let (left, bottom) = (low.longitudeBits, low.latitudeBits)
        let (right, top) = (high.longitudeBits, high.latitudeBits)
        var shift: UInt32 = 0
        while UInt64(right >> shift - left >> shift + 1) * UInt64(top >> shift - bottom >> shift + 1) > 12 {
            shift += 1
        }
        var ranges: [Range<UInt64>] = []
        for x in left >> shift...right >> shift {
            for y in bottom >> shift...top >> shift {
                let first = Geohash(longitudeBits: x, latitudeBits: y).number << UInt64(shift * 2)
                ranges.append(first..<first + 1 << UInt64(shift * 2))
            }
        }
        return ranges
    }
}

extension Geohash {
    fileprivate init(longitudeBits: UInt32, latitudeBits: UInt32) {
        (self.longitudeBits, self.latitudeBits) = (longitudeBits, latitudeBits)
    }
}

/// In metres.
enum GeoShape {
    case circle(radius: Double)
    case box(width: Double, height: Double)

    var size: (width: Double, height: Double) {
        switch self {
        case .circle(let radius): (2 * radius, 2 * radius)
        case .box(let width, let height): (width, height)
        }
    }
}

/// What C's library has, of the angles that occur here.
enum Trigonometry {
    /// Of -2π ... 2π.
    static func sine(_ angle: Double) -> Double { value(angle, quarters: 0) }
    static func cosine(_ angle: Double) -> Double { value(angle, quarters: 1) }

    /// The sine of the angle and so many quarters more.
    private static func value(_ angle: Double, quarters: Int) -> Double {
        let turns = (angle / (Double.pi / 2)).rounded()
        // π/2 in two parts, so that nothing is lost near its multiples.
        var rest = angle.addingProduct(-turns, 1.5707963267948966)
        rest = rest.addingProduct(-turns, 6.123233995736766e-17)
        switch (Int(turns) + quarters) & 3 {
        case 0: return series(rest, first: 1)
        case 1: return series(rest, first: 0)
        case 2: return -series(rest, first: 1)
        default: return -series(rest, first: 0)
        }
    }

    /// Taylor's: the sine from the first power on, the cosine from the zeroth, of at most π/4.
    private static func series(_ x: Double, first: Int) -> Double {
        var sum = 0.0
        for power in stride(from: first + 18, through: first + 2, by: -2) {
            // 1 − x²/((n−1)n) · (1 − …), from the inside.
            sum = x * x / Double((power - 1) * power) * (1 - sum)
        }
        return first == 1 ? x - x * sum : 1 - sum
    }

    /// Of 0 ... 1.
    static func arcsine(_ sine: Double) -> Double {
        guard sine <= 0.5 else {
            return Double.pi / 2 - 2 * arcsine(((1 - min(sine, 1)) / 2).squareRoot())
        }
        var angle = sine + sine * sine * sine / 6
        for _ in 0..<4 { angle -= (Self.sine(angle) - sine) / cosine(angle) }
        return angle
    }
}
