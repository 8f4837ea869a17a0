// Who may bring what, now that some have left: see ReplicatedStore+Seal.swift.

extension ReplicatedStore {
    /// Retired here, and so long ago that only this is left of it.
    func isForgotten(_ replica: ReplicaID) -> Bool {
        if mutant == .recallsForgotten { return false }
        return replicas.place(of: replica) == nil
            && (forgotten[replica.hash].map { replica.epoch <= $0 } ?? false)
    }

    /// Another replica's digest may be believed.
    mutating func admit(_ digest: GossipMessage.Digest) throws(JoinError) {
        let replica = digest.replica
        // Two folders with one name, such as a folder and its copy, would use one dot for two changes.
        guard replica.hash != self.replica.hash else { throw .impostor(self.replica) }
        guard !isForgotten(replica) else { throw .sealed(replica) }
        if let place = replicas.place(of: replica) {
            guard isLive(place) else { throw .sealed(replica) }
        } else if replicas.names.contains(where: { $0.hash == replica.hash }) {
            let isBehind =
                digest.lastSeal < horizon && digest.version.entries.contains { isUnknown($0.replica) }
            guard !removed.contains(replica.hash), !isBehind else { throw .gone(replica) }
        } else {
            let isAlone = digest.version.entries.allSatisfy { $0.replica.hash == replica.hash }
            let isNew = isAlone && digest.birth > horizon
            let knows = digest.version.entries.isEmpty || digest.lastSeal >= horizon || isNew
            guard knows else { throw .gone(replica) }
        }
        try adopt(digest)
    }

    /// In no epoch anything of it is known.
    private func isUnknown(_ replica: ReplicaID) -> Bool {
        !replicas.names.contains { $0.hash == replica.hash }
    }

    /// Every replica that a digest names is known from here on.
    private mutating func adopt(_ digest: GossipMessage.Digest) throws(JoinError) {
        guard intern(digest.replica) != nil else { throw .tooManyReplicas(digest.replica) }
        for entry in digest.version.entries where !isForgotten(entry.replica) {
            // Sealed by a change that is seen here, and yet unknown: it was forgotten.
            if let seal = digest.seals.first(where: { $0.replica == entry.replica }),
                replicas.place(of: seal.replica) == nil, hasSeen(seal.by)
            {
                continue
            }
            guard intern(entry.replica) != nil else { throw .tooManyReplicas(entry.replica) }
        }
    }

    /// Its changes may be taken.
    func isAdmitted(_ replica: ReplicaID?) -> Bool {
        guard let replica, let place = replicas.place(of: replica) else { return false }
        return isLive(place)
    }

    /// Who has seen this much has seen all of the replica, whether its version says so or not.
    func isSealed(_ replica: ReplicaID, for version: VersionVector) -> Bool {
        guard let place = replicas.place(of: replica), case .sealed(let by, _, _) = standings[place] else {
            return false
        }
        return version.covers(replicas.dot(by))
    }

    /// It was sealed or retired.
    func hasAll(of replica: ReplicaID) -> Bool {
        guard let place = replicas.place(of: replica) else { return isForgotten(replica) }
        switch standings[place] {
        case .sealed, .retired: return true
        case .live, .left, .free: return false
        }
    }

    func hasSeen(_ dot: Dot) -> Bool {
        if isForgotten(dot.replica) { return true }
        return replicas.place(of: dot.replica).map { standings[$0].isRetired || seen[$0] >= dot.counter }
            ?? false
    }
}

// MARK: - With a whole state

extension ReplicatedStore {
    /// The places here of the replicas that a state names; of a free place 0.
    mutating func intern(_ head: StateImport.Head) throws(JoinError) -> [Int] {
        let horizon = horizon
        var places: [Int] = []
        for (index, name) in head.replicas.enumerated() {
            let standing = head.standings[index]
            if standing == .free {
                places.append(0)
                continue
            }
            let isOld = isForgotten(name)
            let isNew = replicas.place(of: name) == nil
            guard let place = intern(name) else { throw .tooManyReplicas(name) }
            places.append(place)
            guard isNew else { continue }
            // Whether all of it was seen here once, and forgotten, or nothing of it ever.
            var wasSeen = isOld
            switch standing {
            case .retired(let time):
                wasSeen = wasSeen || time <= horizon
                markRetired(place, time)
            case .sealed(let by, _, let time):
                wasSeen = wasSeen || hasSeen(Dot(head.replicas[by.replica], by.counter))
                if wasSeen { markRetired(place, time) }
            case .live, .left, .free: if wasSeen { markRetired(place, HybridTime(raw: 0)) }
            }
            if wasSeen { seen[place] = head.seen[index] }
        }
        return places
    }

    /// What a state has seen, by the places here.
    func counters(of head: StateImport.Head, _ places: [Int]) -> [UInt64] {
        var theirs = [UInt64](repeating: 0, count: seen.count)
        for (index, place) in places.enumerated() where head.standings[index] != .free {
            theirs[place] = head.seen[index]
        }
        // Those that they have forgotten they have seen to the end.
        for (place, standing) in standings.enumerated() where !places.contains(place) || place == 0 {
            switch standing {
            case .sealed(let by, let counter, _): if covers(theirs, by) { theirs[place] = counter }
            case .retired(let time):
                // That they have seen a later seal doesn't say so: two groups may have sealed apart.
                if head.horizon >= time || head.hasForgotten(replicas.names[place]) {
                    theirs[place] = seen[place]
                }
            case .live, .left:
                if head.hasForgotten(replicas.names[place]) { theirs[place] = seen[place] }
            case .free: break
            }
        }
        return theirs
    }

    /// After the contents: who has left, and who has seen what, as they know it.
    mutating func takeStandings(_ head: StateImport.Head, _ places: [Int]) {
        for (index, place) in places.enumerated() where head.standings[index] != .free && place != 0 {
            if standings[place].isRetired { continue }
            switch (head.standings[index], standings[place]) {
            case (.retired(let time), _): markRetired(place, time)
            case (.sealed(let by, let counter, let time), .live),
                (.sealed(let by, let counter, let time), .left):
                let by = LocalDot(places[by.replica], by.counter)
                standings[place] = .sealed(by: by, at: counter, time: time)
            case (.left, .live): close(place)
            default: break
            }
        }
        for (index, place) in places.enumerated() where head.standings[index].hasContext {
            for (other, counter) in head.contexts[index].enumerated() where head.standings[other] != .free {
                raiseContext(of: place, places[other], to: counter)
            }
        }
        lastSeal = max(lastSeal, head.lastSeal)
        horizon = max(horizon, head.horizon)
        removed.formUnion(head.removed)
        for (place, name) in replicas.names.enumerated() where !places.contains(place) && place != 0 {
            guard standings[place].hasContext else { continue }
            // What they have forgotten everybody had seen, whatever a crash has taken here.
            if head.hasForgotten(name) { markRetired(place, HybridTime(raw: 0)) }
        }
        for old in head.forgotten { forgotten[old.hash] = max(forgotten[old.hash] ?? 0, old.epoch) }
        noteSuccessions()
    }
}

extension StateImport.Head {
    /// A later epoch of it is known there, and all of this one was seen.
    fileprivate func hasForgotten(_ name: ReplicaID) -> Bool {
        forgotten.contains { $0.hash == name.hash && name.epoch <= $0.epoch }
    }
}
