// What a replica shows, as another's first changes.
//
// A replica that the others have given up, or that may be one of those, is refused: nobody could tell which of its
// changes were seen by all, and have been removed since. Who decides that what it shows shall be there brings it back
// so: a replica that nobody knows writes all of it now, as its clients would. What was removed meanwhile by others
// comes back with it.

extension StateContents {
    /// - Parameters:
    ///   - name: of the replica that takes it, which must never have written anything.
    ///   - seed: random, for the hash of the keys.
    /// - Returns: A log of that replica's first epoch, without a snapshot.
    /// - Throws: Why what is kept here can't be read.
    package func anew(
        as name: [UInt8], at now: Now, seed: UInt64
    ) throws(StateUnreadable) -> StateContents {
        let hash = SeededHash(k0: seed, k1: ~seed)
        let shown = try store(ReplicaID(naming: name, epoch: 0), hash, at: now).shown()
        let replica = ReplicaID(naming: name, epoch: 1)
        var store = ReplicatedStore(replica: replica, hash: hash)
        var result = StateContents(group: group)
        var epoch: [UInt8] = []
        epoch.appendBigEndian(replica.epoch)
        result.append(epoch, StateReplica.RecordType.epoch)
        var left = shown[...]
        while !left.isEmpty {
            let part = left.prefix(left.countForDelta)
            left = left.dropFirst(part.count)
            if store.commit(part, at: now) { result.append(store.committed, StateReplica.RecordType.delta) }
        }
        return result
    }

    private mutating func append(_ payload: [UInt8], _ type: UInt8) {
        records.append(Record(sequence: UInt64(records.count) + 1, type: type, payload: payload))
    }

    /// As the replica's start finds it.
    private func store(
        _ replica: ReplicaID, _ hash: SeededHash, at now: Now
    ) throws(StateUnreadable) -> ReplicatedStore {
        var store = ReplicatedStore(replica: replica, hash: hash)
        do {
            if !chunks.isEmpty {
                var snapshot = StateImport()
                for chunk in chunks { try snapshot.append(chunk) }
                store = try ReplicatedStore(replica: replica, hash: hash, restoring: snapshot)
            }
            for record in records where record.type == StateReplica.RecordType.delta {
                let delta = try Delta(encoded: record.payload)
                store.clock.restore(delta.time)
                _ = try store.join(delta, at: now)
                store.joined.removeAll(keepingCapacity: true)
            }
        } catch {
            throw StateUnreadable(description: "\(error)")
        }
        return store
    }
}

/// A snapshot or a record that isn't of this version, or isn't what it should be.
package struct StateUnreadable: Error, CustomStringConvertible {
    package let description: String
}
