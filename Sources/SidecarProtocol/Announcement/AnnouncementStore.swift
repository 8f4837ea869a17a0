// The announcements that a node holds, and what it believes of them.
//
// Theory of operation
//
//   Nothing is stored or relayed that wasn't verified: the chain against the trust bundle, the
//   announcement against its certificate. An announcement whose certificate isn't at hand waits in a
//   short queue until the certificate comes, and is forgotten when the queue is full.
//
//   Of one instance the highest incarnation counts, and on one topic the highest sequence. A tombstone
//   buries exactly its incarnation, up to its sequence. Both are remembered until the certificate that
//   could have signed anything else has ended, across restarts of the node too.
//
//   The time to live runs on this host's monotonic clock from receipt.

package struct AnnouncementStore: Sendable {
    /// A verified chain, and the topics that its leaf may announce on.
    package struct Chain: Sendable {
        package let verified: VerifiedIdentity
        package let topics: [TopicID]

        package var leaf: Certificate { verified.certificate }
        package var issuer: Certificate { verified.chain.issuer }
    }

    package struct Entry: Sendable {
        package let announcement: Announcement
        /// As they came, and as they are relayed.
        package let bytes: [UInt8]
        package let expires: MonotonicTime
        fileprivate let arrived: MonotonicTime
        fileprivate let ageAtArrival: MonotonicTime.Span

        /// How long it has been held, here and by those it came through.
        package func age(at now: MonotonicTime) -> MonotonicTime.Span {
            ageAtArrival + (now - arrived)
        }
    }

    /// What outlives an instance's announcements.
    package struct Memory: Hashable, Sendable {
        package var incarnation: UInt64
        /// When the last certificate ends that this node has seen of the instance.
        package var until: WallTime
        package var tombstone: Burial?
    }

    package struct Burial: Hashable, Sendable {
        package let tombstone: Tombstone
        package let bytes: [UInt8]
        package let leaf: [UInt8]
        package let issuer: [UInt8]
        package let topics: [TopicID]
    }

    private struct Waiting: Sendable {
        let certificateHash: [UInt8]
        let bytes: [UInt8]
        let age: MonotonicTime.Span
        let arrived: MonotonicTime
        var until: MonotonicTime { arrived + Limits.nodeWaitingLife }
    }

    package enum Verdict: Equatable, Sendable {
        /// New, and to be relayed.
        case stored(Announcement)
        /// Known already, or older than what is known.
        case stale
        /// Its certificate must be asked for.
        case waits(certificateHash: [UInt8])
        case refused(StoreRefusal)
    }

    private var bundle: TrustBundle
    private let discoveryKey: DiscoveryKey
    private let capacity: NodeCapacity
    private var chains: [[UInt8]: Chain] = [:]
    private var entries: [TopicID: [InstanceID: Entry]] = [:]
    private var waiting: [Waiting] = []
    package private(set) var memories: [InstanceID: Memory]
    package private(set) var announcementCount = 0
    /// Never later than the first expiry.
    package private(set) var nextExpiry: MonotonicTime?

    package init(
        bundle: TrustBundle, discoveryKey: DiscoveryKey, capacity: NodeCapacity = NodeCapacity(),
        memories: [InstanceID: Memory] = [:]
    ) {
        self.capacity = capacity
        self.bundle = bundle
        self.discoveryKey = discoveryKey
        self.memories = memories
    }

    /// Keeps what a later bundle of the same domain stands by, and drops the rest.
    ///
    /// - Returns: false where it is another domain's, and nothing was changed.
    package mutating func follow(
        _ bundle: TrustBundle, _ discoveryKey: DiscoveryKey, at now: Now
    ) -> Bool {
        guard bundle.id == self.bundle.id, discoveryKey == self.discoveryKey else { return false }
        self.bundle = bundle
        chains = chains.filter { (try? bundle.verify($0.value.verified.chain, at: now.wall)) != nil }
        let known = Set(chains.keys)
        removeEntries { !known.contains($0.announcement.certificateHash) }
        return true
    }

    package var certificateCount: Int { chains.count }
    package var tombstoneCount: Int { memories.values.count { $0.tombstone != nil } }
    package var waitingCount: Int { waiting.count }

    package func chain(_ hash: [UInt8]) -> Chain? { chains[hash] }

    package func announcements(on topic: TopicID) -> [Entry] {
        entries[topic].map { Array($0.values) } ?? []
    }

    package var allEntries: [Entry] { entries.values.flatMap(\.values) }

    package func entry(_ instance: InstanceID, on topic: TopicID) -> Entry? { entries[topic]?[instance] }

    package var burials: [Burial] { memories.values.compactMap(\.tombstone) }

    package func burials(on topic: TopicID) -> [Burial] {
        burials.filter { $0.topics.contains(topic) }
    }
}

package enum StoreRefusal: Error, Equatable, Sendable, CustomStringConvertible {
    case certificate(CertificateError)
    case untrusted(TrustError)
    case announcement(AnnouncementError)
    /// The instance lives on, or has lived, in a higher incarnation.
    case replaced(incarnation: UInt64)
    /// The instance has said itself that this incarnation has ended.
    case buried(incarnation: UInt64)
    case full(String, limit: Int)

    package var description: String {
        switch self {
        case .certificate(let error): "\(error)"
        case .untrusted(let error): "\(error)"
        case .announcement(let error): "the announcement is refused: \(error)"
        case .replaced(let incarnation): "incarnation \(incarnation) of the instance has taken its place"
        case .buried(let incarnation): "incarnation \(incarnation) of the instance has ended"
        case .full(let what, let limit): "the node holds its maximum of \(limit) \(what)"
        }
    }
}

// MARK: - Certificates

extension AnnouncementStore {
    /// Verifies a chain and keeps it.
    ///
    /// - Returns: the chain, and what waited for it.
    package mutating func admit(
        leaf: [UInt8], issuer: [UInt8], at now: Now
    ) throws(StoreRefusal) -> Chain {
        let leafHash = SHA256.hash(leaf)
        if let known = chains[leafHash], known.isValid(at: now.wall) { return known }
        let pair: CertificateChain
        do {
            pair = CertificateChain(
                leaf: try Certificate(canonical: leaf), issuer: try Certificate(canonical: issuer))
        } catch { throw .certificate(error) }
        let verified: VerifiedIdentity
        do { verified = try bundle.verify(pair, at: now.wall) } catch { throw .untrusted(error) }
        if chains.count >= capacity.certificates { forgetUnusedChains(at: now) }
        guard chains.count < capacity.certificates else {
            throw .full("certificates", limit: capacity.certificates)
        }
        let chain = Chain(
            verified: verified, topics: pair.leaf.topics.map { TopicID(name: $0, key: discoveryKey) })
        chains[leafHash] = chain
        return chain
    }

    /// What waited for this certificate, to be handed to `accept` again.
    package mutating func takeWaiting(
        for certificateHash: [UInt8], at now: MonotonicTime
    ) -> [(bytes: [UInt8], age: MonotonicTime.Span)] {
        let ready = waiting.filter { $0.certificateHash == certificateHash }
            .map { (bytes: $0.bytes, age: $0.age + (now - $0.arrived)) }
        waiting.removeAll { $0.certificateHash == certificateHash }
        return ready
    }

    /// Drops chains that have ended, or that no announcement names.
    private mutating func forgetUnusedChains(at now: Now) {
        var used: Set<[UInt8]> = []
        for topic in entries.values {
            for entry in topic.values { used.insert(entry.announcement.certificateHash) }
        }
        chains = chains.filter { used.contains($0.key) && $0.value.isValid(at: now.wall) }
    }
}

extension AnnouncementStore.Chain {
    fileprivate func isValid(at now: WallTime) -> Bool {
        now < verified.validUntil + Limits.peerClockSkew
    }
}

// MARK: - Announcements

extension AnnouncementStore {
    /// Whether `accept` would store these bytes; nothing is changed. Announcements of one's own
    /// registration are checked together before the first of them is stored.
    package func check(
        _ bytes: [UInt8], at now: Now
    ) throws(StoreRefusal) -> (Announcement, Chain)? {
        let announcement: Announcement
        do { announcement = try Announcement(canonical: bytes) } catch { throw .announcement(error) }
        guard let chain = chains[announcement.certificateHash] else { return nil }
        guard chain.isValid(at: now.wall) else { throw .announcement(.certificateOver) }
        do {
            try announcement.verify(
                certificate: chain.leaf, discoveryKey: discoveryKey, at: now.wall)
        } catch { throw .announcement(error) }
        if let memory = memories[announcement.instance] {
            if let burial = memory.tombstone, burial.tombstone.buries(announcement) {
                throw .buried(incarnation: announcement.incarnation)
            }
            guard announcement.incarnation >= memory.incarnation else {
                throw .replaced(incarnation: memory.incarnation)
            }
        }
        return (announcement, chain)
    }

    /// - Parameter age: for how long others have held it.
    package mutating func accept(
        _ bytes: [UInt8], age: MonotonicTime.Span = .seconds(0), at now: Now
    ) -> Verdict {
        do {
            guard let (announcement, chain) = try check(bytes, at: now) else {
                return wait(bytes, age: age, at: now)
            }
            guard age < announcement.timeToLive else { return .stale }
            let known = entries[announcement.topic]?[announcement.instance]
            if let known, !announcement.supersedes(known.announcement) { return .stale }
            guard known != nil || announcementCount < capacity.announcements else {
                return .refused(.full("announcements", limit: capacity.announcements))
            }
            try remember(
                announcement.instance, incarnation: announcement.incarnation, until: chain.leaf.notAfter)
            let expires = now.monotonic + announcement.life(under: chain.leaf, at: now.wall, age: age)
            entries[announcement.topic, default: [:]][announcement.instance] = Entry(
                announcement: announcement, bytes: bytes, expires: expires, arrived: now.monotonic,
                ageAtArrival: age)
            if known == nil { announcementCount += 1 }
            nextExpiry = min(nextExpiry ?? expires, expires)
            return .stored(announcement)
        } catch {
            return .refused(error)
        }
    }

    private mutating func wait(_ bytes: [UInt8], age: MonotonicTime.Span, at now: Now) -> Verdict {
        guard let announcement = try? Announcement(canonical: bytes) else { return .stale }
        guard waiting.count < capacity.waiting else {
            return .refused(
                .full("announcements without certificate", limit: capacity.waiting))
        }
        waiting.append(
            Waiting(
                certificateHash: announcement.certificateHash, bytes: bytes, age: age,
                arrived: now.monotonic))
        return .waits(certificateHash: announcement.certificateHash)
    }

    /// Notes that the instance has come to this incarnation.
    package mutating func remember(
        _ instance: InstanceID, incarnation: UInt64, until: WallTime
    ) throws(StoreRefusal) {
        guard var memory = memories[instance] else {
            guard memories.count < capacity.instances else {
                throw .full("instances", limit: capacity.instances)
            }
            memories[instance] = Memory(incarnation: incarnation, until: until)
            return
        }
        memory.incarnation = max(memory.incarnation, incarnation)
        memory.until = max(memory.until, until)
        memories[instance] = memory
    }
}

// MARK: - Ends

extension AnnouncementStore {
    /// Buries what the tombstone names. Nil where the same or more is buried already.
    ///
    /// - Parameter chain: of the leaf that signed it, verified.
    package mutating func bury(
        _ bytes: [UInt8], chain: Chain
    ) throws(StoreRefusal) -> Burial? {
        let tombstone: Tombstone
        do {
            tombstone = try Tombstone(canonical: bytes)
            try tombstone.verify(certificate: chain.leaf)
        } catch { throw .announcement(error) }
        if let known = memories[tombstone.instance]?.tombstone?.tombstone,
            (known.incarnation, known.sequence) >= (tombstone.incarnation, tombstone.sequence)
        {
            return nil
        }
        try remember(
            tombstone.instance, incarnation: tombstone.incarnation, until: chain.leaf.notAfter)
        let burial = Burial(
            tombstone: tombstone, bytes: bytes, leaf: chain.leaf.encoded, issuer: chain.issuer.encoded,
            topics: chain.topics)
        memories[tombstone.instance]?.tombstone = burial
        removeEntries { tombstone.buries($0.announcement) }
        return burial
    }

    /// Takes over what an earlier node of this user left on the disk. What can't be verified any more
    /// is left out.
    package mutating func restore(_ saved: [SavedMemory], at now: Now) {
        for item in saved where item.until > now.wall && memories.count < capacity.instances {
            memories[item.instance] = Memory(incarnation: item.incarnation, until: item.until)
            guard let left = item.tombstone,
                let chain = try? admit(leaf: left.leaf, issuer: left.issuer, at: now)
            else { continue }
            _ = try? bury(left.bytes, chain: chain)
        }
    }

    /// Forgets what has ended by either clock.
    package mutating func expire(at now: Now) {
        removeEntries { $0.expires <= now.monotonic }
        memories = memories.filter { $0.value.until + Limits.peerClockSkew > now.wall }
        chains = chains.filter { $0.value.isValid(at: now.wall) }
        waiting.removeAll { $0.until <= now.monotonic }
    }

    private mutating func removeEntries(where isOver: (Entry) -> Bool) {
        var next: MonotonicTime?
        for (topic, instances) in entries {
            let kept = instances.filter { !isOver($0.value) }
            announcementCount -= instances.count - kept.count
            entries[topic] = kept.isEmpty ? nil : kept
            if let first = kept.values.map(\.expires).min() { next = min(next ?? first, first) }
        }
        nextExpiry = next
    }
}
