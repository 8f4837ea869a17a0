extension ReplicatedStore {
    /// The highest epoch under which the replica has written what is seen here; 0: none.
    func highestEpoch(of replica: ReplicaID) -> UInt32 {
        let known = replicas.names.lazy.filter { $0.hash == replica.hash }.map(\.epoch).max() ?? 0
        return max(known, forgotten[replica.hash] ?? 0)
    }

    /// Takes a new name, under which nothing was ever written; the store itself must not have written yet.
    mutating func begin(_ replica: ReplicaID) {
        precondition(seen[0] == 0, "a replica's name changes before its first change only")
        replicas.rename(0, replica)
    }
}

extension StateGossip {
    /// Those that can be spoken to now.
    var peerIDs: [InstanceID] { peers.map(\.id) }
}
