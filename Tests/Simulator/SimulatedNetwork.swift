import SidecarProtocol

/// How messages get from one to another: late, twice, in another order, or not at all.
package struct SimulatedNetwork {
    /// From one to another; a partition of one direction leaves the other.
    package struct Route: Hashable {
        package var from: Int
        package var to: Int
        package init(from: Int, to: Int) {
            self.from = from
            self.to = to
        }
    }

    package var delayMinimum = MonotonicTime.Span(nanoseconds: 50_000)
    package var delaySpread = MonotonicTime.Span(nanoseconds: 2_000_000)
    /// Of a thousand messages.
    package var lossPerMille: UInt64 = 0
    package var duplicatesPerMille: UInt64 = 0
    /// So many take up to a hundred times as long, so that later ones overtake them.
    package var latePerMille: UInt64 = 0
    package private(set) var blocked: Set<Route> = []
    package private(set) var slow: Set<Route> = []

    package init() {}

    package mutating func block(_ route: Route) { blocked.insert(route) }
    package mutating func slowDown(_ route: Route) { slow.insert(route) }

    package mutating func open(_ route: Route) {
        blocked.remove(route)
        slow.remove(route)
    }

    package mutating func heal() {
        blocked = []
        slow = []
    }

    package func isOpen(_ route: Route) -> Bool { !blocked.contains(route) }

    package func delay(_ random: inout SeededRandom) -> MonotonicTime.Span {
        delayMinimum + MonotonicTime.Span(nanoseconds: random.next() % delaySpread.nanoseconds)
    }

    /// When each copy of a message arrives; empty where it is lost.
    package func deliveries(_ route: Route, _ random: inout SeededRandom) -> [MonotonicTime.Span] {
        guard isOpen(route), !random.chance(perMille: lossPerMille) else { return [] }
        var spans = [span(route, &random)]
        if duplicatesPerMille > 0, random.chance(perMille: duplicatesPerMille) {
            spans.append(span(route, &random))
        }
        return spans
    }

    private func span(_ route: Route, _ random: inout SeededRandom) -> MonotonicTime.Span {
        let isLate = latePerMille > 0 && random.chance(perMille: latePerMille)
        let factor = isLate ? 1 + random.next() % 100 : 1
        return delay(&random) * factor * (slow.contains(route) ? 50 : 1)
    }
}
