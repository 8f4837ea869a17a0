import Testing

@testable import SidecarProtocol

@Suite("Places")
struct GeoTests {
    private let state = TestState()

    private func sicily() -> ClientID {
        let client = state.open()
        state.call("geoadd s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", client)
        return client
    }

    @Test("places are kept as scores, and told again")
    func places() {
        let client = sicily()
        #expect(state.call("zscore s Palermo", client) == "$16 3479099956230698")
        #expect(state.call("geodist s Palermo Catania", client) == "$11 166274.1516")
        #expect(state.call("geodist s Palermo Catania mi", client) == "$8 103.3182")
        #expect(state.call("geohash s Palermo none", client) == "*2 $11 sqc8b49rny0 $-1")
        #expect(
            state.call("geopos s Catania none", client)
                == "*2 *2 $20 15.08726745843887329 $20 37.50266842333162032 *-1")
        #expect(
            state.call("geoadd s 181 0 x", client)
                == "-ERR invalid longitude,latitude pair 181.000000,0.000000")
    }

    @Test("what lies in a circle or a box is found, the nearest first, and stored")
    func search() {
        let client = sicily()
        #expect(
            state.call("geosearch s fromlonlat 15 37 byradius 200 km asc withdist", client)
                == "*2 *2 $7 Catania $7 56.4413 *2 $7 Palermo $8 190.4424")
        state.call("geoadd s 12.758489 38.788135 edge1 17.241510 38.788135 edge2", client)
        #expect(
            state.call("geosearch s fromlonlat 15 37 bybox 400 400 km asc", client)
                == "*4 $7 Catania $7 Palermo $5 edge2 $5 edge1")
        #expect(state.call("georadiusbymember s Palermo 100 km", client) == "*2 $7 Palermo $5 edge1")
        #expect(state.call("geosearchstore d s fromlonlat 15 37 byradius 1 mi", client) == ":0")
        #expect(state.call("georadius s 15 37 200 km count 1 storedist d", client) == ":1")
        #expect(state.call("zrange d 0 -1", client) == "*1 $7 Catania")
        #expect(state.call("geosearch s bybox 1 1 m asc", client).contains("exactly one of FROMMEMBER"))
    }

    @Test("what squares a search looks at hold everything near, across the date line and at the poles too")
    func squares() {
        var numbers = SeededNumbers(state: 5)
        func random(_ most: Double) -> Double { (Double(numbers.below(2_000_001)) / 1_000_000 - 1) * most }
        for round in 0..<400 {
            let center = Geohash.Place(random(180), random(85))!
            let scale = [1.0, 1_000, 100_000, 3_000_000, 15_000_000][round % 5]
            let shape =
                round % 2 == 0
                ? GeoShape.circle(radius: scale) : GeoShape.box(width: scale, height: abs(random(scale)))
            let ranges = center.ranges(of: shape)
            #expect(ranges.count <= 24)
            for _ in 0..<40 {
                let (east, north) = (random(1) * scale / 60_000, random(1) * scale / 100_000)
                guard let other = Geohash.Place(wrapped(center.longitude + east), center.latitude + north)
                else { continue }
                let hash = Geohash(other)
                guard center.distance(to: hash.place, within: shape) != nil else { continue }
                #expect(ranges.contains { $0.contains(hash.number) }, "\(center) \(shape) \(other)")
            }
        }
    }

    private func wrapped(_ longitude: Double) -> Double {
        longitude > 180 ? longitude - 360 : longitude < -180 ? longitude + 360 : longitude
    }

    @Test("members at the ends of the world are found, and those whose score is no place are told somewhere")
    func ends() {
        let client = state.open()
        state.call("geoadd s 180 0 east -180 0 west 0 85.05112878 north 0 -85.05112878 south", client)
        #expect(state.call("geosearch s fromlonlat 179.9999 0 byradius 1 km", client) == "*2 $4 west $4 east")
        #expect(state.call("geosearch s fromlonlat 0 85 byradius 10 km", client) == "*1 $5 north")
        state.call("zadd s inf a -inf b -1 c 1e19 d", client)
        for name in ["a", "b", "c", "d"] {
            #expect(state.call("geopos s \(name)", client).hasPrefix("*1 *2 $"))
            #expect(!state.call("georadiusbymember s \(name) 100 km", client).isEmpty)
        }
    }

    @Test("sines are those of C's library, about to the last bit")
    func sines() {
        for (angle, sine, cosine) in [
            (0.5, 0.479425538604203, 0.8775825618903728), (3.0, 0.1411200080598672, -0.9899924966004454),
            (-1.2, -0.9320390859672263, 0.3623577544766736), (0.0, 0.0, 1.0),
        ] {
            #expect(abs(Trigonometry.sine(angle) - sine) < 3e-16)
            #expect(abs(Trigonometry.cosine(angle) - cosine) < 3e-16)
        }
        for sine in [0.0, 1e-9, 0.3, 0.5, 0.77, 0.999999, 1.0] {
            #expect(abs(Trigonometry.sine(Trigonometry.arcsine(sine)) - sine) < 3e-16)
        }
    }
}
