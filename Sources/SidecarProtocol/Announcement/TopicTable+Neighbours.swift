// Nodes of other hosts: what they are told, and what becomes of what they say.
//
// Theory of operation
//
//   A neighbour is told, when it comes, all that is known: what this host's own instances announce, what
//   was heard of others, and every tombstone; then each change. What it says in turn is verified as if it
//   came from this host, stored, handed to the subscribers here and relayed to the other neighbours: once,
//   since what is known already, or older, goes no further. So a ring of nodes carries each announcement
//   once along each connection.
//
//   The time to live runs from where an announcement began, and not anew at each host: beside its own bytes,
//   as they were signed, goes the age that it has reached. A node that says too little of it gains what it
//   could have by holding the bytes back: until its certificate ends, at most.

extension TopicTable {
    mutating func neighbourCame(_ neighbour: Neighbour, at now: Now, effects: inout [Effect]) {
        neighbours[neighbour] = []
        greet(neighbour, effects: &effects)
        for burial in store?.burials ?? [] { tell(neighbour, burial, effects: &effects) }
        for entry in store?.allEntries ?? [] where now.monotonic < entry.expires {
            tell(neighbour, entry, at: now, effects: &effects)
        }
    }

    mutating func neighbourSaid(
        _ message: NodeMessage, _ neighbour: Neighbour, at now: Now, effects: inout [Effect]
    ) {
        guard neighbours[neighbour] != nil, store != nil else { return }
        switch message {
        case .certificate(let leaf, let issuer):
            do {
                let chain = try store!.admit(leaf: leaf, issuer: issuer, at: now)
                for (bytes, age) in store!.takeWaiting(for: chain.leaf.hash, at: now.monotonic) {
                    accept(bytes, age: age, from: neighbour, at: now, effects: &effects)
                }
            } catch {
                effects.append(.log(.warning, "another node's certificate is refused: \(error)"))
            }
        case .announcement(let bytes, let age):
            accept(bytes, age: age, from: neighbour, at: now, effects: &effects)
        case .tombstone(let bytes): bury(bytes, from: neighbour, effects: &effects)
        case .policy(let message): policyMessage(message, from: neighbour, at: now, effects: &effects)
        case .refused, .status, .unknown: break
        }
    }

    private mutating func accept(
        _ bytes: [UInt8], age: MonotonicTime.Span, from neighbour: Neighbour, at now: Now,
        effects: inout [Effect]
    ) {
        switch store?.accept(bytes, age: age, at: now) {
        case .stored(let announcement)?:
            relay(announcement, bytes, except: nil, effects: &effects)
            tellNeighbours(of: announcement, except: neighbour, at: now, effects: &effects)
        case .refused(.buried)?, .refused(.replaced)?, .stale?, nil: break
        case .refused(let refusal)?:
            effects.append(.log(.warning, "another node's announcement is refused: \(refusal)"))
        case .waits(let hash)?:
            effects.append(.log(.debug, "an announcement waits for certificate \(hash.prefix(8).hex)"))
        }
    }

    /// Its chain came before it. The tombstones of other hosts aren't kept on this one's disk: after a
    /// restart, the neighbours tell of them again.
    private mutating func bury(
        _ bytes: [UInt8], from neighbour: Neighbour, effects: inout [Effect]
    ) {
        do {
            let tombstone: Tombstone
            do { tombstone = try Tombstone(canonical: bytes) } catch {
                throw StoreRefusal.announcement(error)
            }
            guard let chain = store?.chain(tombstone.certificateHash),
                let burial = try store?.bury(bytes, chain: chain)
            else { return }
            tell(burial, effects: &effects)
            tellNeighbours(of: burial, except: neighbour, effects: &effects)
        } catch {
            effects.append(.log(.warning, "another node's tombstone is refused: \(error)"))
        }
    }

    // MARK: Telling

    mutating func tellNeighbours(
        of announcement: Announcement, except sender: Neighbour?, at now: Now,
        effects: inout [Effect]
    ) {
        guard let entry = store?.entry(announcement.instance, on: announcement.topic) else { return }
        for neighbour in neighbours.keys where neighbour != sender {
            tell(neighbour, entry, at: now, effects: &effects)
        }
    }

    mutating func tellNeighbours(
        of burial: AnnouncementStore.Burial, except sender: Neighbour?, effects: inout [Effect]
    ) {
        for neighbour in neighbours.keys where neighbour != sender {
            tell(neighbour, burial, effects: &effects)
        }
    }

    private mutating func tell(
        _ neighbour: Neighbour, _ entry: AnnouncementStore.Entry, at now: Now, effects: inout [Effect]
    ) {
        let hash = entry.announcement.certificateHash
        guard let chain = store?.chain(hash) else { return }
        tell(neighbour, chain.message, hash, effects: &effects)
        effects.append(.tell(neighbour, .announcement(entry.bytes, age: entry.age(at: now.monotonic))))
    }

    private mutating func tell(
        _ neighbour: Neighbour, _ burial: AnnouncementStore.Burial, effects: inout [Effect]
    ) {
        tell(
            neighbour, .certificate(leaf: burial.leaf, issuer: burial.issuer),
            burial.tombstone.certificateHash, effects: &effects)
        effects.append(.tell(neighbour, .tombstone(burial.bytes)))
    }

    /// The chain, once; again where the list of those that it has was full.
    private mutating func tell(
        _ neighbour: Neighbour, _ chain: NodeMessage, _ hash: [UInt8], effects: inout [Effect]
    ) {
        guard neighbours[neighbour]?.contains(hash) == false else { return }
        if neighbours[neighbour]!.count >= Limits.nodeCertificatesMaximum {
            neighbours[neighbour]?.removeAll()
        }
        neighbours[neighbour]?.insert(hash)
        effects.append(.tell(neighbour, chain))
    }
}
