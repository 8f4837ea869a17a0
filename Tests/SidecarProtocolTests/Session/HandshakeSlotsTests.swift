import SidecarProtocol
import Testing

@Suite("Slots of connections that have proved nothing")
struct HandshakeSlotsTests {
    private typealias Slots = HandshakeSlots<Int>
    private let now = MonotonicTime(nanoseconds: 1 << 40)

    private func source(_ number: UInt32) -> ConnectionSource {
        ConnectionSource(IPAddress(v4: 0x0A00_0000 + number))
    }

    private func slots(_ change: (inout HandshakeCapacity) -> Void = { _ in }) -> Slots {
        var capacity = HandshakeCapacity()
        change(&capacity)
        return Slots(capacity: capacity)
    }

    @Test("a source has its share of silent slots; one more costs its own oldest")
    func share() {
        var slots = slots()
        _ = slots.enter(1000, from: source(2), at: now)
        let share = Limits.silentConnectionsOfOneSourceMaximum
        for number in 0..<share {
            #expect(slots.enter(number, from: source(1), at: now) == .enters(closing: []))
        }
        #expect(slots.enter(share, from: source(1), at: now) == .enters(closing: [0]))
        #expect(slots.enter(share + 1, from: source(1), at: now) == .enters(closing: [1]))
        #expect(slots.silentCount == share + 1)
    }

    @Test("when all slots are taken, the source with the most of them loses its oldest")
    func full() {
        var slots = slots { $0.silent = 4 }
        for (number, from) in [1, 2, 2, 3].enumerated() {
            #expect(slots.enter(number, from: source(UInt32(from)), at: now) == .enters(closing: []))
        }
        #expect(slots.enter(4, from: source(4), at: now) == .enters(closing: [1]))
        // Each has one now: the oldest goes.
        #expect(slots.enter(5, from: source(5), at: now) == .enters(closing: [0]))
        #expect(slots.silentCount == 4)
    }

    @Test("a flood from many sources, of which none says anything, leaves who has greeted alone")
    func flood() {
        var slots = slots()
        _ = slots.enter(-1, from: source(0), at: now)
        #expect(slots.greet(-1) == nil)
        for number in 0..<10_000 {
            let verdict = slots.enter(number, from: source(1 + UInt32(number % 500)), at: now)
            guard case .enters(let closing) = verdict else { continue }
            #expect(!closing.contains(-1))
            #expect(slots.silentCount <= Limits.silentConnectionsMaximum)
        }
        #expect(slots.greetedCount == 1)
        slots.leave(-1)
        #expect(slots.greetedCount == 0)
    }

    @Test("one more handshake than there are slots for costs the oldest")
    func greeted() {
        var slots = slots { $0.greeted = 2 }
        for number in 0..<3 { _ = slots.enter(number, from: source(1), at: now) }
        #expect(slots.greet(0) == nil && slots.greet(1) == nil)
        #expect(slots.greet(2) == 0)
        #expect(slots.greet(2) == nil, "it has greeted already")
        #expect(slots.greet(77) == nil, "nobody knows it")
        #expect(slots.silentCount == 0 && slots.greetedCount == 2)
    }

    @Test("who is known to be right as it comes has a greeted slot, and one too many costs the oldest")
    func admitted() {
        var slots = slots { $0.greeted = 2 }
        #expect(slots.admit(0) == nil && slots.admit(1) == nil)
        #expect(slots.admit(2) == 0)
        slots.leave(1)
        #expect(slots.admit(3) == nil)
        #expect(slots.silentCount == 0 && slots.greetedCount == 2)
    }

    @Test("who says nothing for a handshake's time loses its slot")
    func expiry() {
        var slots = slots()
        let later = now + .seconds(1)
        #expect(slots.hold(0, from: source(1), at: now).isEmpty)
        #expect(slots.hold(1, from: source(1), at: later).isEmpty)
        let end = now + Limits.handshakeSpan
        #expect(slots.expire(at: MonotonicTime(nanoseconds: end.nanoseconds - 1)).isEmpty)
        #expect(slots.expire(at: end) == [0])
        #expect(slots.expire(at: end).isEmpty && slots.silentCount == 1)
        #expect(slots.leaveAll() == [1] && slots.silentCount == 0)
        #expect(slots.hold(2, from: source(1), at: end).isEmpty)
    }

    @Test("a source that comes too often is refused for a while, and others aren't")
    func rate() {
        var slots = slots()
        func comes(_ number: Int, _ from: UInt32, _ time: MonotonicTime) -> Bool {
            let enters = slots.enter(number, from: source(from), at: time) != .tooOften
            slots.leave(number)
            return enters
        }
        for number in 0..<Limits.handshakesBurst { #expect(comes(number, 1, now)) }
        #expect(!comes(0, 1, now))
        #expect(comes(0, 2, now))
        let second = now + .seconds(1)
        for number in 0..<Int(Limits.handshakesPerSecond) { #expect(comes(number, 1, second)) }
        #expect(!comes(0, 1, second))
        let later = now + .seconds(3_600)
        for number in 0..<Limits.handshakesBurst { #expect(comes(number, 1, later)) }
        #expect(!comes(0, 1, later))
    }

    @Test("this host's own sidecars may have all slots, and one more costs the oldest")
    func loopbackShare() {
        var slots = slots()
        let source = ConnectionSource(IPAddress(v4: 0x7F00_0001))
        let most = Limits.silentConnectionsMaximum
        for number in 0..<most {
            #expect(slots.enter(number, from: source, at: now) == .enters(closing: []))
        }
        #expect(slots.enter(most, from: source, at: now) == .enters(closing: [0]))
        #expect(slots.enter(most + 1, from: self.source(1), at: now) == .enters(closing: [1]))
        #expect(slots.silentCount == most)
    }

    @Test("this host's own sidecars share an address, and have no rate")
    func loopback() {
        for address in [
            IPAddress(v4: 0x7F00_0001), IPAddress([UInt8](repeating: 0, count: 15) + [1])!,
            IPAddress([UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 127, 0, 0, 2])!,
        ] {
            var slots = slots()
            for number in 0...Limits.handshakesBurst {
                #expect(slots.enter(number, from: ConnectionSource(address), at: now) != .tooOften)
                slots.leave(number)
            }
        }
    }

    @Test("rates are remembered for so many sources, and those that have come back to rest are forgotten")
    func sources() {
        var slots = slots { $0.sources = 2 }
        func comes(_ from: UInt32, _ time: MonotonicTime) -> Bool {
            slots.enter(0, from: source(from), at: time) != .tooOften
        }
        for _ in 0..<Limits.handshakesBurst { #expect(comes(1, now) && comes(2, now)) }
        #expect(!comes(1, now) && !comes(2, now))
        // A third can't be counted, and is served.
        for _ in 0...Limits.handshakesBurst { #expect(comes(3, now)) }
        let later = now + .seconds(3_600)
        for _ in 0..<Limits.handshakesBurst { #expect(comes(3, later)) }
        #expect(!comes(3, later), "there is room to count it now")
    }

    @Test("of IPv6 a network of 64 bits is one source, and an IPv4 address is one in either form")
    func families() {
        func v6(_ network: UInt8, _ host: UInt8) -> ConnectionSource {
            var bytes = [UInt8](repeating: 0, count: 16)
            (bytes[0], bytes[7], bytes[15]) = (0x20, network, host)
            return ConnectionSource(IPAddress(bytes)!)
        }
        #expect(v6(1, 1) == v6(1, 2))
        #expect(v6(1, 1) != v6(2, 1))
        let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 10, 0, 0, 1]
        #expect(ConnectionSource(IPAddress(mapped)!) == source(1))
    }
}
