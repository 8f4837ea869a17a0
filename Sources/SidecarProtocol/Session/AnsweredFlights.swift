/// The newest first flights that were answered.
///
/// A recorded flight has a right tag, and so would cost the Diffie-Hellmans that the tag is there to save, as
/// often as somebody sends it again. An honest caller has a new ephemeral key each time, and never repeats one.
/// Only flights with a right tag are remembered, so that a stranger can't fill the memory.
struct AnsweredFlights {
    /// A keyed hash of the whole flight: as good as the flight itself.
    private typealias Tag = FirstFlight.Tag

    private var newer: Set<Tag> = []
    private var older: Set<Tag> = []

    /// - Returns: false where it is known.
    mutating func insert(_ flight: FirstFlight) -> Bool {
        guard !newer.contains(flight.shortTag), !older.contains(flight.shortTag) else { return false }
        if newer.count >= Limits.answeredFlightsMaximum / 2 {
            older = newer
            newer = []
        }
        newer.insert(flight.shortTag)
        return true
    }
}
