/// Whether a connection is worth a session: a look at its first flight, cheap enough to be had before anything
/// is made for it.
///
/// A session looks at the flight again. Keys that have ended since pass here and no further.
package struct FirstFlightGate: Sendable {
    package enum Verdict: Hashable, Sendable {
        /// More has to come before it can be told.
        case incomplete
        /// Right, and the first time that it comes.
        case passes
        case refused
    }

    /// No flight is longer.
    package static let byteCount =
        Preamble.byteCount + Preamble.Pattern.xk.messageByteCount + Preamble.tagByteCount

    private var keys: FirstFlightKeys
    private var passed: AnsweredFlights

    package init(_ keys: FirstFlightKeys) {
        self.keys = keys
        passed = AnsweredFlights()
    }

    package mutating func use(_ keys: FirstFlightKeys) { self.keys = keys }

    /// - Parameter bytes: all that has come; what is beyond the first flight isn't looked at.
    package mutating func judge(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        do throws(SessionError) {
            guard let count = try FirstFlight.byteCount(bytes), count <= bytes.count else {
                return .incomplete
            }
            guard bytes[4] == Preamble.Pattern.xk.rawValue else { return .refused }
            let flight = try FirstFlight(parsing: Array(bytes[..<count]))
            guard flight.preamble.domain == keys.domain,
                keys.tagKeys.contains(where: { flight.isTagged(with: $0) }), passed.insert(flight)
            else { return .refused }
            return .passes
        } catch { return .refused }
    }
}

/// What a right first flight shows: the domain, and a tag with one of these keys.
package struct FirstFlightKeys: Sendable {
    let domain: TrustDomainID
    /// The newest first.
    let tagKeys: [[UInt8]]

    package init(domain: TrustDomainID, staticKeys: [X25519PublicKey]) {
        self.domain = domain
        tagKeys = staticKeys.map { FirstFlight.tagKey(staticKey: $0) }
    }
}
