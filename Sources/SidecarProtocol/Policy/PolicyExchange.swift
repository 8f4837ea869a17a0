// How a newer policy gets here from whoever has it first.
//
// Theory of operation
//
//   Everyone states heads, and whoever hears one that it wants asks the one who stated it. One policy is
//   fetched at a time, from one peer; heads that others state meanwhile wait. What has come is verified
//   as a whole, adopted, and stated in turn. A peer that doesn't answer, answers slowly, or sends what
//   doesn't verify loses its turn to the next; a policy that was refused for what it says isn't asked for
//   again.
//
//   Where reading a large policy must not hold others up (`readsAside`), what has come is handed out as
//   bytes, and `read` takes it back; the transfer lasts until then.
//
//   The same type serves a sidecar (whose peers are its sessions and its node) and a node (whose peers are
//   its clients and other nodes).

package struct PolicyExchange<Peer: Hashable & Sendable>: Sendable {
    package enum Event: Sendable {
        case send(Peer, PolicyMessage)
        /// Read this aside, and hand it to `read`.
        case toBeRead([UInt8], as: PolicyHead)
        /// In force from now on: persist it, and state it to everyone.
        case adopted(SignedPolicy)
        /// A second policy of one epoch stands beside the first.
        case conflict(SignedPolicy)
        /// A beacon that prolongs what there is, and who brought it.
        case beacon([UInt8], from: Peer?)
        case refused(PolicyError, from: Peer?)
    }

    private struct Transfer {
        var peer: Peer
        var head: PolicyHead
        var bytes: [UInt8] = []
        var total: UInt32?
        var partsLeft = Limits.policyPartsOfRequest
        var answerDue: MonotonicTime
        var end: MonotonicTime
        /// All of it has come, and it is read aside.
        var isBeingRead = false
    }

    package private(set) var store: PolicyStore
    package private(set) var freshness = Freshness()
    private let readsAside: Bool
    private var transfer: Transfer?
    /// Heads that are wanted, and who has them, in the order in which they were stated.
    private var offers: [(peer: Peer, head: PolicyHead)] = []
    private var refused: [PolicyHead] = []

    package init(domain: TrustDomainID, readsAside: Bool = false) {
        store = PolicyStore(domain: domain)
        self.readsAside = readsAside
    }

    /// What somebody is told who has just come.
    package var greeting: [PolicyMessage] {
        store.current == nil ? [] : store.heads.map { .head($0) } + beacons
    }

    private var beacons: [PolicyMessage] { freshness.beacon.map { [.beacon($0)] } ?? [] }

    package var isFetching: Bool { transfer != nil }

    package var isReading: Bool { transfer?.isBeingRead == true }

    package var nextDeadline: MonotonicTime? {
        transfer.flatMap { $0.isBeingRead ? nil : min($0.answerDue, $0.end) }
    }
}

// MARK: - What comes in

extension PolicyExchange {
    /// - Parameter partBytes: what a part may have that is sent to this peer.
    package mutating func handle(
        _ message: PolicyMessage, from peer: Peer, partBytes: Int = Limits.policyPartBytesMaximum,
        bundle: TrustBundle, at now: Now
    ) -> [Event] {
        switch message {
        case .head(let head): heard(head, from: peer, at: now.monotonic)
        case .request(let head, let offset): answer(head, from: Int(offset), to: peer, partBytes)
        case .part(let part): take(part, from: peer, bundle: bundle, at: now)
        case .beacon(let bytes): take(beacon: bytes, from: peer, at: now)
        case .unknown: []
        }
    }

    /// `peer` has the policy of `head`.
    package mutating func heard(
        _ head: PolicyHead, from peer: Peer, at now: MonotonicTime
    ) -> [Event] {
        offers.removeAll { $0.peer == peer && $0.head != head && !store.heads.contains($0.head) }
        if let transfer, transfer.peer == peer, !transfer.isBeingRead, head.epoch > transfer.head.epoch {
            self.transfer = nil
        }
        guard store.wants(head), !refused.contains(head) else { return fetchNext(at: now) }
        if !offers.contains(where: { $0.peer == peer && $0.head == head }) { offers.append((peer, head)) }
        return fetchNext(at: now)
    }

    /// A whole policy: from the disk, or from where no exchange is needed.
    package mutating func take(
        _ bytes: [UInt8], from peer: Peer?, bundle: TrustBundle
    ) -> [Event] {
        do {
            return adopt(try SignedPolicy(canonical: bytes), from: peer, bundle: bundle)
        } catch { return [.refused(error, from: peer)] }
    }

    package mutating func take(beacon bytes: [UInt8], from peer: Peer?, at now: Now) -> [Event] {
        guard let document = store.current?.document, !document.freshnessKeys.isEmpty else { return [] }
        do {
            return try freshness.take(bytes, for: document, at: now) ? [.beacon(bytes, from: peer)] : []
        } catch .repeatedBeacon { return [] } catch { return [.refused(error, from: peer)] }
    }

    /// The policy at hand asks for beacons for the first time: what is allowed goes on for a lease.
    package mutating func beginFreshness(at now: MonotonicTime) { freshness.begin(at: now) }

    /// The peer is gone.
    package mutating func left(_ peer: Peer, at now: MonotonicTime) -> [Event] {
        offers.removeAll { $0.peer == peer }
        guard let transfer, transfer.peer == peer, !transfer.isBeingRead else { return [] }
        self.transfer = nil
        return fetchNext(at: now)
    }

    /// What `toBeRead` handed out was read, or can't be.
    package mutating func read(
        _ result: Result<SignedPolicy, PolicyError>, as head: PolicyHead, bundle: TrustBundle,
        at now: MonotonicTime
    ) -> [Event] {
        guard let transfer, transfer.isBeingRead, transfer.head == head else { return [] }
        return end(transfer, with: result, at: now, bundle: bundle)
    }

    /// Other roots are believed: what was refused may be right now.
    package mutating func trustChanged() { refused = [] }

    package mutating func deadline(at now: MonotonicTime) -> [Event] {
        guard let transfer, let due = nextDeadline, due <= now else { return [] }
        self.transfer = nil
        // It may state its head again, and is then asked again, after the others.
        offers.removeAll { $0.peer == transfer.peer }
        return fetchNext(at: now)
    }
}

// MARK: - Fetching

extension PolicyExchange {
    private mutating func fetchNext(at now: MonotonicTime) -> [Event] {
        guard transfer == nil else { return [] }
        offers.removeAll { !store.wants($0.head) || refused.contains($0.head) }
        guard let newest = offers.map(\.head.epoch).max(),
            let next = offers.first(where: { $0.head.epoch == newest })
        else { return [] }
        transfer = Transfer(
            peer: next.peer, head: next.head, answerDue: now + Limits.policyRequestSpan,
            end: now + Limits.policyTransferSpan)
        return [.send(next.peer, .request(next.head, offset: 0))]
    }

    private mutating func take(
        _ part: PolicyPart, from peer: Peer, bundle: TrustBundle, at now: Now
    ) -> [Event] {
        guard let running = transfer, !running.isBeingRead, running.peer == peer, running.head == part.head,
            Int(part.offset) == running.bytes.count, running.total == nil || running.total == part.total
        else { return [] }
        transfer?.total = part.total
        transfer?.bytes += part.bytes
        transfer?.partsLeft -= 1
        let count = running.bytes.count + part.bytes.count
        guard count < Int(part.total) else { return complete(at: now.monotonic, bundle: bundle) }
        guard running.partsLeft == 1 else { return [] }
        transfer?.partsLeft = Limits.policyPartsOfRequest
        transfer?.answerDue = now.monotonic + Limits.policyRequestSpan
        return [.send(peer, .request(part.head, offset: UInt32(count)))]
    }

    private mutating func complete(at now: MonotonicTime, bundle: TrustBundle) -> [Event] {
        guard let done = transfer else { return [] }
        guard !readsAside || done.bytes.count <= Limits.policyReadAtOnceBytesMaximum else {
            transfer?.isBeingRead = true
            transfer?.bytes = []
            return [.toBeRead(done.bytes, as: done.head)]
        }
        let result = Result { () throws(PolicyError) in try SignedPolicy(canonical: done.bytes) }
        return end(done, with: result, at: now, bundle: bundle)
    }

    private mutating func end(
        _ done: Transfer, with result: Result<SignedPolicy, PolicyError>, at now: MonotonicTime,
        bundle: TrustBundle
    ) -> [Event] {
        transfer = nil
        var events: [Event]
        do throws(PolicyError) {
            let policy = try result.get()
            guard policy.head == done.head else {
                throw PolicyError.wrongHead(policy.head, expected: done.head)
            }
            events = adopt(policy, from: done.peer, bundle: bundle)
        } catch {
            refuse(done.head, for: error)
            events = [.refused(error, from: done.peer)]
        }
        offers.removeAll { $0.peer == done.peer && $0.head == done.head }
        return events + fetchNext(at: now)
    }

    private mutating func adopt(
        _ policy: SignedPolicy, from peer: Peer?, bundle: TrustBundle
    ) -> [Event] {
        do {
            switch try store.take(policy, bundle: bundle) {
            case .known: return []
            case .conflict: return [.conflict(policy)]
            case .adopted:
                refused = []
                freshness.keep(only: policy.document.freshnessKeys)
                return [.adopted(policy)]
            }
        } catch {
            refuse(policy.head, for: error)
            return [.refused(error, from: peer)]
        }
    }

    /// What came under a head that isn't its own says nothing about that head.
    private mutating func refuse(_ head: PolicyHead, for error: PolicyError) {
        if case .wrongHead = error { return }
        if refused.count >= Limits.policyRefusedMaximum { refused.removeFirst() }
        refused.append(head)
    }

    // MARK: Answering

    private func answer(_ head: PolicyHead, from offset: Int, to peer: Peer, _ partBytes: Int) -> [Event] {
        guard let policy = store.policy(of: head) else {
            // Replaced meanwhile: the newer head says so.
            return store.heads.map { .send(peer, .head($0)) }
        }
        let bytes = policy.encoded
        var events: [Event] = []
        var start = offset
        while start < bytes.count, events.count < Limits.policyPartsOfRequest {
            let end = min(start + partBytes, bytes.count)
            events.append(
                .send(
                    peer,
                    .part(
                        PolicyPart(
                            head: head, offset: UInt32(start), total: UInt32(bytes.count),
                            bytes: Array(bytes[start..<end])))))
            start = end
        }
        // Whoever has the policy now can judge the beacon.
        return start < bytes.count ? events : events + beacons.map { .send(peer, $0) }
    }
}
