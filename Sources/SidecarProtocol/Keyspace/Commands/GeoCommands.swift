// Places as members of a sorted set: GEOADD, GEOPOS, GEODIST, GEOHASH (geo.c).

extension Keyspace {
    /// A place among the arguments, longitude first.
    func place(_ index: Int) throws(CommandError) -> Geohash.Place {
        let (longitude, latitude) = (try double(index), try double(index + 1))
        guard let place = Geohash.Place(longitude, latitude) else {
            let texts = [longitude, latitude].map { DecimalText.fixed($0, fraction: 6) }
            throw CommandError(
                "invalid longitude,latitude pair ",
                ByteString(texts[0] + [UInt8(ascii: ",")] + texts[1]))
        }
        return place
    }

    /// Metres of a unit.
    func unit(_ index: Int) throws(CommandError) -> Double {
        let word = arguments[index]
        if word.isWord("m") { return 1 }
        if word.isWord("km") { return 1000 }
        if word.isWord("ft") { return 0.3048 }
        if word.isWord("mi") { return 1609.34 }
        throw CommandError("unsupported unit provided. please use M, KM, FT, MI")
    }

    mutating func addPlaces() throws(CommandError) {
        var first = 2
        var (onlyNew, onlyExisting) = (false, false)
        while first < arguments.count {
            if arguments[first].isWord("nx") {
                onlyNew = true
            } else if arguments[first].isWord("xx") {
                onlyExisting = true
            } else if !arguments[first].isWord("ch") {
                break
            }
            first += 1
        }
        guard (arguments.count - first) % 3 == 0, !(onlyNew && onlyExisting) else { throw .syntax }
        var words = ContiguousArray(arguments[..<first])
        for index in stride(from: first, to: arguments.count, by: 3) {
            words.append(ByteString(DecimalText.bytes(of: Int64(Geohash(try place(index)).number))))
            words.append(arguments[index + 2])
        }
        arguments = words
        try addScores()
    }

    func sortedToSearch(_ index: Int?) throws(CommandError) -> SortedObject? {
        guard let index else { return nil }
        guard case .sorted(let sorted) = value(at: index) else { throw .wrongType }
        return sorted
    }

    mutating func placesOfMembers() throws(CommandError) {
        let sorted = try sortedToSearch(findToRead(arguments[1]))
        reply.array(arguments.count - 2)
        for index in 2..<arguments.count {
            guard let score = sorted?.score(of: arguments[index]) else {
                reply.nullArray()
                continue
            }
            write(Geohash(score: score).place)
        }
    }

    mutating func write(_ place: Geohash.Place) {
        reply.array(2)
        reply.humanDouble(place.longitude)
        reply.humanDouble(place.latitude)
    }

    mutating func distanceOfMembers() throws(CommandError) {
        guard arguments.count <= 5 else { throw .syntax }
        let unit = arguments.count == 5 ? try unit(4) : 1
        guard let sorted = try sortedToSearch(findToRead(arguments[1])),
            let one = sorted.score(of: arguments[2]), let two = sorted.score(of: arguments[3])
        else { return reply.null() }
        let distance = Geohash(score: one).place.distance(to: Geohash(score: two).place)
        reply.bulk(ByteString(DecimalText.fixed(distance / unit, fraction: 4)))
    }

    mutating func hashesOfMembers() throws(CommandError) {
        let sorted = try sortedToSearch(findToRead(arguments[1]))
        reply.array(arguments.count - 2)
        for index in 2..<arguments.count {
            if let score = sorted?.score(of: arguments[index]) {
                reply.bulk(Geohash(score: score).text)
            } else {
                reply.null()
            }
        }
    }
}

extension DecimalText {
    /// As C's `%.4f`, of a finite number.
    static func fixed(_ value: Double, fraction: Int) -> [UInt8] {
        guard value != 0, value.isFinite else {
            return Array("0.".utf8) + [UInt8](repeating: 48, count: fraction)
        }
        let exponent = value.isNormal ? Int(value.exponent) - 52 : -1074
        let significand =
            value.isNormal ? value.significandBitPattern | 1 << 52 : value.significandBitPattern
        var digits = ExactDecimal(significand: significand, exponent: exponent)
        digits.round(toFraction: fraction)
        var text = digits.fixed(isNegative: value < 0)
        let point = text.firstIndex(of: UInt8(ascii: "."))
        if point == nil { text.append(UInt8(ascii: ".")) }
        let written = text.count - 1 - (point ?? text.count - 1)
        return text + [UInt8](repeating: 48, count: max(fraction - written, 0))
    }
}

extension RESPWriter {
    /// A number as `%.17Lf` without trailing zeros; RESP2 has it as a bulk string.
    mutating func humanDouble(_ value: Double) {
        let text = ExtendedDouble(exactly: value).text
        guard isRESP3 else { return bulk(text) }
        bytes.append(UInt8(ascii: ","))
        bytes += text.bytes + [13, 10]
    }
}
