// GEOSEARCH, GEORADIUS and their relatives (geo.c). What isn't put in order comes from one square after the
// other, which are others than Redis's.

extension Keyspace {
    /// Where the centre is given, and what is there.
    struct GeoForm: OptionSet {
        let rawValue: UInt8
        /// GEORADIUS: a place; GEORADIUSBYMEMBER: a member.
        static let byPlace = GeoForm(rawValue: 1)
        static let byMember = GeoForm(rawValue: 2)
        static let search = GeoForm(rawValue: 4)
        static let stores = GeoForm(rawValue: 8)
        static let readOnly = GeoForm(rawValue: 16)
    }

    private struct GeoQuery {
        var center: Geohash.Place?
        var shape: GeoShape?
        /// Metres of the unit of distances.
        var unit = 1.0
        var (hasCenter, hasShape) = (false, false)
        var (isByMember, isByRadius) = (false, false)
        var (tellsDistance, tellsHash, tellsPlace) = (false, false, false)
        var isAny = false
        var isDescending: Bool?
        var count: Int?
        var target: ByteString?
        var storesDistance = false

        var options: Int { (tellsDistance ? 1 : 0) + (tellsHash ? 1 : 0) + (tellsPlace ? 1 : 0) }
    }

    private struct GeoResult {
        var member: ByteString
        var score: Double
        var place: Geohash.Place
        /// In metres.
        var distance: Double
    }

    mutating func searchPlaces(_ form: GeoForm) throws(CommandError) {
        let source = form.contains(.stores) ? 2 : 1
        let sorted = try sortedToSearch(findToRead(arguments[source]))
        var query = try geoCenter(form, sorted)
        try readOptions(form, sorted, &query)
        try check(form, query)
        guard let sorted, let center = query.center, let shape = query.shape else {
            guard let target = query.target else { return reply.emptyArray() }
            if delete(target) { notify(.generic, "del", target) }
            return reply.integer(0)
        }
        var found = search(sorted, center, shape, atMost: query.isAny ? query.count : nil)
        let isDescending = query.isDescending ?? (query.count != nil && !query.isAny ? false : nil)
        if let isDescending {
            found = found.enumerated().sorted { one, two in
                if one.element.distance == two.element.distance { return one.offset < two.offset }
                return (one.element.distance < two.element.distance) != isDescending
            }.map(\.element)
        }
        if let count = query.count { found = Array(found.prefix(count)) }
        if let target = query.target { return store(found, form, query, under: target) }
        reply.array(found.count)
        for one in found { write(one, query) }
    }

    /// What stands before the options.
    private func geoCenter(_ form: GeoForm, _ sorted: SortedObject?) throws(CommandError) -> GeoQuery {
        var query = GeoQuery()
        if form.contains(.byPlace) {
            query.center = try place(2)
            try readRadius(4, &query)
        } else if form.contains(.byMember), let sorted {
            query.center = try place(of: arguments[2], in: sorted)
            try readRadius(3, &query)
        }
        return query
    }

    private func place(of member: ByteString, in sorted: SortedObject) throws(CommandError) -> Geohash.Place {
        guard let score = sorted.score(of: member) else {
            throw CommandError("could not decode requested zset member")
        }
        return Geohash(score: score).place
    }

    private func readRadius(_ index: Int, _ query: inout GeoQuery) throws(CommandError) {
        let radius = try double(index, or: CommandError("need numeric radius"))
        guard radius >= 0 else { throw CommandError("radius cannot be negative") }
        query.unit = try unit(index + 1)
        query.shape = .circle(radius: radius * query.unit)
    }

    private func readBox(_ index: Int, _ query: inout GeoQuery) throws(CommandError) {
        let width = try double(index, or: CommandError("need numeric width"))
        let height = try double(index + 1, or: CommandError("need numeric height"))
        guard width >= 0, height >= 0 else { throw CommandError("height or width cannot be negative") }
        query.unit = try unit(index + 2)
        query.shape = .box(width: width * query.unit, height: height * query.unit)
    }

    // MARK: Options

    private func readOptions(
        _ form: GeoForm, _ sorted: SortedObject?, _ query: inout GeoQuery
    ) throws(CommandError) {
        var place = form.contains(.search) ? 2 : form.contains(.byPlace) ? 6 : 5
        if form.contains(.stores) {
            place = 3
            query.target = arguments[1]
        }
        while place < arguments.count {
            let word = arguments[place]
            let left = arguments.count - place - 1
            if word.isWord("withdist") {
                query.tellsDistance = true
            } else if word.isWord("withhash") {
                query.tellsHash = true
            } else if word.isWord("withcoord") {
                query.tellsPlace = true
            } else if word.isWord("any") {
                query.isAny = true
            } else if word.isWord("asc") || word.isWord("desc") {
                query.isDescending = word.isWord("desc")
            } else if word.isWord("count"), left >= 1 {
                place += 1
                let count = try integer(place)
                guard count > 0 else { throw CommandError("COUNT must be > 0") }
                query.count = Int(count)
            } else if form.contains(.search) {
                place += try readSearchOption(form, place, left, sorted, &query)
            } else if !form.contains(.readOnly), word.isWord("store") || word.isWord("storedist"), left >= 1 {
                place += 1
                (query.target, query.storesDistance) = (arguments[place], word.isWord("storedist"))
            } else {
                throw .syntax
            }
            place += 1
        }
    }

    /// - Returns: How many words it takes beside its first.
    private func readSearchOption(
        _ form: GeoForm, _ index: Int, _ left: Int, _ sorted: SortedObject?, _ query: inout GeoQuery
    ) throws(CommandError) -> Int {
        let word = arguments[index]
        if word.isWord("frommember"), left >= 1, !query.hasCenter || query.isByMember {
            if let sorted { query.center = try place(of: arguments[index + 1], in: sorted) }
            (query.hasCenter, query.isByMember) = (true, true)
            return 1
        }
        if word.isWord("fromlonlat"), left >= 2, !query.isByMember {
            query.center = try place(index + 1)
            query.hasCenter = true
            return 2
        }
        if word.isWord("byradius"), left >= 2, !query.hasShape || query.isByRadius {
            try readRadius(index + 1, &query)
            (query.hasShape, query.isByRadius) = (true, true)
            return 2
        }
        if word.isWord("bybox"), left >= 3, !query.isByRadius {
            try readBox(index + 1, &query)
            query.hasShape = true
            return 3
        }
        guard word.isWord("storedist"), form.contains(.stores) else { throw .syntax }
        query.storesDistance = true
        return 0
    }

    private func check(_ form: GeoForm, _ query: GeoQuery) throws(CommandError) {
        if query.target != nil, query.options > 0 {
            let name = form.contains(.stores) ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS"
            throw CommandError("\(name) is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
        }
        if form.contains(.search), !query.hasCenter {
            throw CommandError("exactly one of FROMMEMBER or FROMLONLAT can be specified for ", arguments[0])
        }
        if form.contains(.search), !query.hasShape {
            throw CommandError("exactly one of BYRADIUS and BYBOX can be specified for ", arguments[0])
        }
        if query.isAny, query.count == nil { throw CommandError("the ANY argument requires COUNT argument") }
    }

    // MARK: Results

    private func search(
        _ sorted: SortedObject, _ center: Geohash.Place, _ shape: GeoShape, atMost count: Int?
    ) -> [GeoResult] {
        var found: [GeoResult] = []
        for range in center.ranges(of: shape) {
            let (low, high) = (Double(range.lowerBound), Double(range.upperBound))
            let first = sorted.tree.countBefore { score, _ in score < low }
            let end = sorted.tree.countBefore { score, _ in score < high }
            sorted.tree.forEach(in: first..<end) { score, member in
                let place = Geohash(score: score).place
                guard found.count < count ?? .max, let distance = center.distance(to: place, within: shape)
                else { return }
                found.append(GeoResult(member: member, score: score, place: place, distance: distance))
            }
        }
        return found
    }

    private mutating func write(_ one: GeoResult, _ query: GeoQuery) {
        if query.options > 0 { reply.array(query.options + 1) }
        reply.bulk(one.member)
        if query.tellsDistance {
            reply.bulk(ByteString(DecimalText.fixed(one.distance / query.unit, fraction: 4)))
        }
        if query.tellsHash {
            reply.integer(Int(clamping: Int64(exactly: one.score.rounded(.towardZero)) ?? 0))
        }
        if query.tellsPlace { write(one.place) }
    }

    private mutating func store(
        _ found: [GeoResult], _ form: GeoForm, _ query: GeoQuery, under target: ByteString
    ) {
        let sorted = SortedObject(hash: hash)
        for one in found {
            let score = query.storesDistance ? one.distance / query.unit : one.score
            sorted.set(one.member, score, limits: settings)
        }
        if replaceWhole(.sorted(sorted), under: target, isEmpty: found.isEmpty) {
            notify(.sorted, form.contains(.search) ? "geosearchstore" : "georadiusstore", target)
        }
        reply.integer(found.count)
    }
}
