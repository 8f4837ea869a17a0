// Nodes of other hosts: what they are told, and what becomes of what they say.
//
// Theory of operation
//
//   A neighbour is told, when it comes, what this host's own instances announce, and every tombstone;
//   then each change. What it says in turn is verified as if it came from this host, stored, handed to
//   the subscribers here and relayed to the other neighbours: once, since what is known already, or
//   older, goes no further. So a ring of nodes carries each announcement once along each connection.
//
//   What was heard from others isn't told to those who come later: its time to live would begin anew
//   with each of them, and an announcement could outlive its instance. They hear it when it's renewed.

extension TopicTable {
    mutating func neighbourCame(_ neighbour: Neighbour, effects: inout [Effect]) {
        neighbours[neighbour] = []
        for burial in store?.burials ?? [] { tell(neighbour, burial, effects: &effects) }
        for (instance, registration) in registrations {
            for topic in registration.topics {
                guard let entry = store?.entry(instance, on: topic) else { continue }
                tell(neighbour, entry.announcement, entry.bytes, effects: &effects)
            }
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
                for bytes in store!.takeWaiting(for: chain.leaf.hash) {
                    accept(bytes, from: neighbour, at: now, effects: &effects)
                }
            } catch {
                effects.append(.log(.warning, "another node's certificate is refused: \(error)"))
            }
        case .announcement(let bytes): accept(bytes, from: neighbour, at: now, effects: &effects)
        case .tombstone(let bytes): bury(bytes, from: neighbour, effects: &effects)
        case .refused, .status, .unknown: break
        }
    }

    private mutating func accept(
        _ bytes: [UInt8], from neighbour: Neighbour, at now: Now, effects: inout [Effect]
    ) {
        switch store?.accept(bytes, at: now) {
        case .stored(let announcement)?:
            relay(announcement, bytes, except: nil, effects: &effects)
            tellNeighbours(of: announcement, bytes, except: neighbour, effects: &effects)
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
        of announcement: Announcement, _ bytes: [UInt8], except sender: Neighbour?,
        effects: inout [Effect]
    ) {
        for neighbour in neighbours.keys where neighbour != sender {
            tell(neighbour, announcement, bytes, effects: &effects)
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
        _ neighbour: Neighbour, _ announcement: Announcement, _ bytes: [UInt8], effects: inout [Effect]
    ) {
        guard let chain = store?.chain(announcement.certificateHash) else { return }
        tell(neighbour, chain.message, announcement.certificateHash, effects: &effects)
        effects.append(.tell(neighbour, .announcement(bytes)))
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
