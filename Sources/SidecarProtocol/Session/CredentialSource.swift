/// What a sidecar proves itself with towards peers that dial it: its newest credential, and each
/// replaced one until its own leaf ends, since an announcement that names an old key may still be about.
///
/// One event loop owns it; all accepted links share it.
package final class CredentialSource {
    package private(set) var current: Credential
    /// Newest first.
    package private(set) var replaced: [Credential] = []

    private var answered = AnsweredFlights()

    package init(_ credential: Credential) { current = credential }

    /// Whether this very flight wasn't answered before, by any link of this source. It counts as answered
    /// from now on.
    func isFirst(_ flight: FirstFlight) -> Bool { answered.insert(flight) }

    /// For who looks at first flights before they come here.
    package var firstFlightKeys: FirstFlightKeys {
        FirstFlightKeys(
            domain: current.bundle.id, staticKeys: ([current] + replaced).map(\.staticKey.publicKey))
    }

    package func renew(_ credential: Credential, at now: WallTime) {
        replaced.insert(current, at: 0)
        current = credential
        prune(at: now)
    }

    /// The credential whose static key made the tag of a first flight.
    func credential(for flight: FirstFlight, at now: WallTime) -> Credential? {
        prune(at: now)
        return ([current] + replaced).first {
            flight.isTagged(with: FirstFlight.tagKey(staticKey: $0.staticKey.publicKey))
        }
    }

    /// One's own leaf ends at its not-after exactly.
    private func prune(at now: WallTime) {
        replaced.removeAll { $0.certificate.notAfter <= now }
        if replaced.count > Limits.replacedCredentialsMaximum {
            replaced.removeLast(replaced.count - Limits.replacedCredentialsMaximum)
        }
    }
}
