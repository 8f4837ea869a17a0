// Who may be connected without having proved anything: a listener's defence against strangers.
//
// Theory of operation
//
//   accepted ──▶ silent ──▶ greeted ──▶ (established: `leave`)
//
//   A connection is silent until its first flight has come, with a tag that only members of the domain can
//   make: an honest peer sends it in its first packet, so that it is silent for one turn of the event loop or,
//   where a packet is lost, for a retransmission. What a stranger can hold is therefore the silent slots
//   alone, and it never finds them full: the newest comes in, and the oldest goes. A source beyond its own
//   share loses its own oldest; where all slots are taken, the source with the most of them does. So
//   somebody with one address pushes out only themselves, and somebody with many pushes out those with
//   many.
//
//   The rate bounds what a source costs in sockets and events, before any session is made. This host's
//   own addresses have neither a rate nor a share: all of its sidecars have them, and may be slow to say
//   something when many start at once.
//
//   A greeted connection has the handshake's time, `Limits.handshakeSpan`; when their slots are full, the
//   oldest of them goes.

/// Where a connection comes from: an IPv4 address, or an IPv6 network of 64 bits, of which anyone may
/// have all addresses.
package struct ConnectionSource: Hashable, Sendable {
    /// The address, or the network's upper half.
    private let number: UInt64
    private let isIPv4: Bool
    package let isLoopback: Bool

    package init(_ address: IPAddress) {
        let mapped = address.high == 0 && address.low >> 32 == 0xFFFF
        let v4 = address.v4 ?? (mapped ? UInt32(truncatingIfNeeded: address.low) : nil)
        if let v4 {
            (number, isIPv4, isLoopback) = (UInt64(v4), true, v4 >> 24 == 127)
        } else {
            (number, isIPv4) = (address.high, false)
            isLoopback = address.high == 0 && address.low == 1
        }
    }
}

package struct HandshakeSlots<Connection: Hashable> {
    package enum Verdict: Equatable {
        /// Close these, and go on.
        case enters(closing: [Connection])
        /// Its source comes too often: close it.
        case tooOften
    }

    private struct Slot {
        let connection: Connection
        let source: ConnectionSource
        let since: MonotonicTime
    }

    private let capacity: HandshakeCapacity
    /// The oldest first.
    private var silent: [Slot] = []
    /// How many of them each source has; none has 0.
    private var shares: [ConnectionSource: Int] = [:]
    private var greeted: [Connection] = []
    private var rates: [ConnectionSource: SourceRate] = [:]
    /// When those were last forgotten that are at rest.
    private var sweptAt: MonotonicTime?

    package init(capacity: HandshakeCapacity = HandshakeCapacity()) { self.capacity = capacity }

    package var silentCount: Int { silent.count }
    package var greetedCount: Int { greeted.count }

    /// A connection was accepted.
    package mutating func enter(
        _ connection: Connection, from source: ConnectionSource, at now: MonotonicTime
    ) -> Verdict {
        isInTime(source, at: now)
            ? .enters(closing: hold(connection, from: source, at: now)) : .tooOften
    }

    /// Gives a connection that is in time a silent slot.
    ///
    /// - Returns: those that have to go for it.
    package mutating func hold(
        _ connection: Connection, from source: ConnectionSource, at now: MonotonicTime
    ) -> [Connection] {
        var closing: [Connection] = []
        let share = source.isLoopback ? capacity.silent : capacity.silentOfOneSource
        if shares[source, default: 0] >= share {
            closing += removeOldest(of: source)
        } else if silent.count >= capacity.silent, let greediest = greediestSource {
            closing += removeOldest(of: greediest)
        }
        silent.append(Slot(connection: connection, source: source, since: now))
        shares[source, default: 0] += 1
        return closing
    }

    /// Its first flight has come, and its tag is right.
    ///
    /// - Returns: the one that has to go.
    package mutating func greet(_ connection: Connection) -> Connection? {
        guard let index = silent.firstIndex(where: { $0.connection == connection }) else { return nil }
        return admit(removeSilent(at: index).connection)
    }

    /// A connection whose first flight is known to be right as it comes.
    ///
    /// - Returns: the one that has to go.
    package mutating func admit(_ connection: Connection) -> Connection? {
        greeted.append(connection)
        return greeted.count > capacity.greeted ? greeted.removeFirst() : nil
    }

    /// - Returns: those that have said nothing for a handshake's time; they have no slot any longer.
    package mutating func expire(at now: MonotonicTime) -> [Connection] {
        var expired: [Connection] = []
        while let oldest = silent.first, now - oldest.since >= Limits.handshakeSpan {
            expired.append(removeSilent(at: 0).connection)
        }
        return expired
    }

    /// Takes all silent connections out.
    package mutating func leaveAll() -> [Connection] {
        defer { (silent, shares) = ([], [:]) }
        return silent.map(\.connection)
    }

    /// It is established, or closed.
    package mutating func leave(_ connection: Connection) {
        if let index = silent.firstIndex(where: { $0.connection == connection }) {
            _ = removeSilent(at: index)
        } else if let index = greeted.firstIndex(of: connection) {
            greeted.remove(at: index)
        }
    }

    private mutating func removeOldest(of source: ConnectionSource) -> [Connection] {
        guard let index = silent.firstIndex(where: { $0.source == source }) else { return [] }
        return [removeSilent(at: index).connection]
    }

    private mutating func removeSilent(at index: Int) -> Slot {
        let slot = silent.remove(at: index)
        let left = shares[slot.source, default: 1] - 1
        shares[slot.source] = left > 0 ? left : nil
        return slot
    }

    /// Of several, the one whose oldest connection is the oldest.
    private var greediestSource: ConnectionSource? {
        let most = shares.values.max()
        return silent.first { shares[$0.source] == most }?.source
    }

    /// Takes one from what its source may open.
    package mutating func isInTime(_ source: ConnectionSource, at now: MonotonicTime) -> Bool {
        guard !source.isLoopback else { return true }
        if rates[source] == nil, rates.count >= capacity.sources {
            sweep(at: now)
            // So many sources at once are no single one's flood; the slots' own limits hold.
            guard rates.count < capacity.sources else { return true }
        }
        return rates[source, default: SourceRate(at: now)].take(at: now)
    }

    /// Not for each of many strangers: all rates are looked at.
    private mutating func sweep(at now: MonotonicTime) {
        if let sweptAt, now - sweptAt < .milliseconds(100) { return }
        sweptAt = now
        rates = rates.filter { !$0.value.isFull(at: now) }
    }
}

/// How many connections a source may still open.
private struct SourceRate {
    private var left = Limits.handshakesBurst
    private var filledAt: MonotonicTime

    init(at now: MonotonicTime) { filledAt = now }

    private static var interval: UInt64 { 1_000_000_000 / Limits.handshakesPerSecond }

    mutating func take(at now: MonotonicTime) -> Bool {
        fill(at: now)
        guard left > 0 else { return false }
        left -= 1
        return true
    }

    func isFull(at now: MonotonicTime) -> Bool {
        var copy = self
        copy.fill(at: now)
        return copy.left >= Limits.handshakesBurst
    }

    private mutating func fill(at now: MonotonicTime) {
        let more = (now - filledAt).nanoseconds / SourceRate.interval
        guard more > 0 else { return }
        if more >= UInt64(Limits.handshakesBurst) {
            (left, filledAt) = (Limits.handshakesBurst, now)
        } else {
            left = min(Limits.handshakesBurst, left + Int(more))
            filledAt = filledAt + MonotonicTime.Span(nanoseconds: more * SourceRate.interval)
        }
    }
}

/// The slots of one listener, as one value, so that tests reach their ends sooner.
package struct HandshakeCapacity: Hashable, Sendable {
    package var silent = Limits.silentConnectionsMaximum
    package var silentOfOneSource = Limits.silentConnectionsOfOneSourceMaximum
    package var greeted = Limits.handshakesMaximum
    package var sources = Limits.handshakeSourcesMaximum

    package init() {}
}
