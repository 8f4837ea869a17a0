// What every replica knows can be forgotten: see `Unsettled`.

extension ReplicatedStore {
    /// Another replica says what it has seen.
    ///
    /// Its word counts once we have all of its own changes until then: what it removed later has observed it.
    package mutating func observe(_ version: VersionVector, of replica: ReplicaID) {
        guard let place = intern(replica), place != 0, seen[place] >= version[replica] else { return }
        for entry in version.entries {
            guard let other = replicas.place(of: entry.replica), seen[other] >= entry.counter else {
                continue
            }
            raiseContext(of: place, other, to: entry.counter)
        }
        if hasSeenAll(version) {
            // The seals, too, the last of which is by somebody who isn't retired.
            for (other, standing) in standings.enumerated() where standing.isRetired {
                raiseContext(of: place, other, to: .max)
            }
        }
        settle()
    }

    /// A version covers what is seen here.
    private func hasSeenAll(_ version: VersionVector) -> Bool {
        seen.indices.allSatisfy {
            seen[$0] == 0 || !standings[$0].hasContext || version[replicas.names[$0]] >= seen[$0]
        }
    }

    /// Forgets what can be, and lets go of logged deltas that every replica has.
    package mutating func settle() {
        noteSuccessions()
        for place in seen.indices { log.drop(of: place, upTo: stableCounter(of: place)) }
        // After the logs, so that who needs a retired replica's changes finds none.
        retire()
        for _ in 0..<2 {
            unsettled.close(seen)
            guard !unsettled.closed.isEmpty, isStable(unsettled.bound) else { return }
            for key in unsettled.takeClosed() where !unsettled.open.contains(key) { forget(key) }
        }
    }

    /// The counter of a replica that every other is known to have seen.
    private func stableCounter(of place: Int) -> UInt64 {
        var least = seen[place]
        for other in seen.indices.dropFirst() where isLive(other) {
            least = min(least, place < contexts[other].count ? contexts[other][place] : 0)
        }
        return least
    }

    private func isStable(_ bound: [UInt64]) -> Bool {
        for other in seen.indices.dropFirst() where isLive(other) {
            for (place, counter) in bound.enumerated() where counter > 0 {
                guard place < contexts[other].count, contexts[other][place] >= counter else { return false }
            }
        }
        return true
    }

    private mutating func forget(_ key: ByteString) {
        guard let place = entries.index(of: key), !entries[place].value.isPlain else { return }
        entries[place].value.change { $0.forget() }
        if entries[place].value.isEmpty { entries.remove(at: place) }
    }
}

extension Entry.Contents {
    fileprivate mutating func forget() {
        string?.forget()
        if string?.isEmpty ?? false { string = nil }
        for field in hash.names where hash[field]?.hasHollow ?? false { hash.change(field) { $0.forget() } }
        for member in scores.names where scores[member]?.hasHollow ?? false {
            scores.change(member) { $0.forget() }
        }
        if kind == nil { expiry = nil }
    }
}

extension Cell {
    fileprivate var hasHollow: Bool {
        if case .many(let parts) = self { return parts.sums.contains { $0.isHollow } }
        return false
    }

    fileprivate mutating func forget() {
        guard case .many(var parts) = self else { return }
        parts.sums.removeAll { $0.isHollow }
        self = Cell(parts)
    }
}
