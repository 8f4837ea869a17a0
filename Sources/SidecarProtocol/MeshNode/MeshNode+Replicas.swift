// The other replicas of the own workload's state: finding them, dialling them, and what may pass.
//
// Theory of operation
//
//   Replicas are instances of one identity whose certificates carry the right `replica`, with one group.
//   They announce themselves on their workload's state topic, and every one has a session with every
//   other: the one with the lower instance id dials, the other only if nothing comes of that.
//
//   State passes under a permit, as a flow's bytes do: it needs both certificates, both rights, equal
//   policy heads and a lease, and is decided anew with everything else. While two sessions lead to one
//   replica (simultaneous dials), either may carry a message, and the older gives way in its time.

extension MeshNode {
    /// Another replica that has announced itself.
    struct Replica {
        var provider: Provider
        /// The session that we dial or have dialled.
        var link: LinkID?
        var failures: UInt64 = 0
        /// Whether the shell has been told that it can be spoken to.
        var isUp = false
    }

    /// Whether the workload finds state at `state.mesh`.
    var hasState: Bool { configuration.consistency == .eventual }

    package static let statePort = ServicePort(6379, .tcp)
    package static let stateEndpoint = Endpoint(IPAddress(v4: ReservedAddress.state), statePort.port)

    /// Whether this instance holds a replica of its workload's state.
    var isReplica: Bool { credential?.certificate.contents.replica != nil }

    mutating func subscribeToReplicas() {
        guard isReplica, replicaTopic == nil, let credential else { return }
        let topic = TopicID(
            name: TopicName.state(configuration.workload), key: credential.discoveryKey)
        replicaTopic = topic
        if isNodeConnected { effects.append(.subscribe(topic)) }
    }

    // MARK: Announcements

    /// - Parameter provider: verified, of the own workload.
    mutating func replicaAnnounced(_ provider: Provider) {
        let id = provider.announcement.instance
        guard id != instance, isReplica,
            provider.certificate.contents.replica?.group == credential?.certificate.contents.replica?.group
        else { return }
        guard replicas[id] != nil || replicas.count < Limits.replicaPeersMaximum else {
            return log(
                .warning, "more than \(Limits.replicaPeersMaximum) replicas, instance \(id) is left out")
        }
        if let known = replicas[id]?.provider.announcement, known.supersedes(provider.announcement) { return }
        let isNew = replicas[id]?.provider.announcement.incarnation != provider.announcement.incarnation
        replicas[id, default: Replica(provider: provider)].provider = provider
        guard isNew, replicaLinks(to: id).isEmpty else { return }
        // The lower one dials, so that two sessions at once are rare; the other waits for it a while.
        if instance.bytes.lexicographicallyPrecedes(id.bytes) {
            timers.remove(.redialReplica(id))
            connectReplica(id)
        } else {
            timers.set(.redialReplica(id), at: now.monotonic + Limits.replicaDialPatience)
        }
    }

    mutating func buryReplica(_ tombstone: Tombstone) {
        guard let replica = replicas[tombstone.instance],
            (try? tombstone.verify(certificate: replica.provider.certificate)) != nil,
            tombstone.buries(replica.provider.announcement)
        else { return }
        timers.remove(.redialReplica(tombstone.instance))
        // Its session, if there still is one, ends by itself.
        if replicaLinks(to: tombstone.instance).isEmpty { replicas[tombstone.instance] = nil }
    }

    mutating func connectReplica(_ id: InstanceID) {
        guard !isStopping, let replica = replicas[id], replica.link == nil, replicaLinks(to: id).isEmpty,
            let topic = replicaTopic, credential != nil
        else { return }
        guard now.monotonic < replica.provider.expiry else {
            replicas[id] = nil
            return
        }
        lastLink += 1
        let link = LinkID(number: lastLink)
        links[link] = Link(phase: .diallingReplica(id), establishedAt: now.monotonic)
        replicas[id]?.link = link
        let announcement = replica.provider.announcement
        effects.append(
            .dial(
                link,
                DialTarget(
                    endpoints: announcement.endpoints, staticKey: announcement.staticKey,
                    workload: configuration.workload, topic: topic, versions: announcement.versions)))
    }

    /// A link is about to be forgotten.
    mutating func forgetReplica(on id: LinkID) {
        links[id]?.replicaPermit?.revoke()
        links[id]?.replicaPermit = nil
        let peer: InstanceID? =
            if case .diallingReplica(let instance)? = links[id]?.phase { instance } else { replica(at: id) }
        guard let peer, var replica = replicas[peer] else { return }
        if replica.link == id { replica.link = nil }
        replica.failures &+= 1
        replicas[peer] = replica
        let delay = min(
            Limits.redialDelayFirst * (1 << min(replica.failures, 10)), Limits.replicaRedialDelayMaximum)
        timers.set(.redialReplica(peer), at: now.monotonic + delay)
    }

    // MARK: Permits

    /// The replica at the other end of an established session; nil where it is none of ours.
    private func replica(at id: LinkID) -> InstanceID? {
        guard let link = links[id], link.peer?.workload == configuration.workload,
            let certificate = link.session?.certificate.contents, let own = credential?.certificate.contents,
            let theirs = certificate.replica, let ours = own.replica, theirs.group == ours.group,
            certificate.instance != instance
        else { return nil }
        return certificate.instance
    }

    private func replicaLinks(to peer: InstanceID) -> [LinkID] {
        links.keys.filter { replica(at: $0) == peer }.sorted()
    }

    /// Decides anew which sessions may carry state, and tells the shell what changed.
    mutating func decideReplicas() {
        guard isReplica else { return }
        for id in links.keys.sorted() {
            guard replica(at: id) != nil, let peer = links[id]?.peer else { continue }
            let decision = authorizer.mayReplicate(peer, at: now)
            switch (decision.isAllowed, links[id]?.replicaPermit) {
            case (true, let permit?): permit.confirm()
            case (true, nil): links[id]?.replicaPermit = authorizer.permit(for: decision)
            case (false, let permit?):
                permit.revoke()
                links[id]?.replicaPermit = nil
            case (false, nil): break
            }
        }
        tellReplicas()
    }

    private mutating func tellReplicas() {
        var reached: Set<InstanceID> = []
        for id in links.keys.sorted() where links[id]?.replicaPermit != nil {
            guard let peer = replica(at: id), reached.insert(peer).inserted,
                let provider = replicas[peer]
            else { continue }
            replicas[peer]?.failures = 0
            timers.remove(.redialReplica(peer))
            guard !provider.isUp else { continue }
            replicas[peer]?.isUp = true
            effects.append(.replicaUp(peer))
        }
        for peer in replicas.keys.sorted(by: { $0.bytes.lexicographicallyPrecedes($1.bytes) })
        where replicas[peer]?.isUp == true && !reached.contains(peer) {
            replicas[peer]?.isUp = false
            effects.append(.replicaDown(peer))
        }
    }

    // MARK: Messages

    /// Nothing is kept for a replica that can't be reached: gossip repeats what it lacks.
    mutating func replicate(_ message: [UInt8], to peer: InstanceID) {
        guard message.count <= Limits.stateMessageBytesMaximum else {
            return log(.error, "a state message of \(message.count) bytes fits no record, not sent")
        }
        let open = replicaLinks(to: peer).filter { links[$0]?.replicaPermit != nil }
        guard let link = open.first(where: { links[$0]?.isRetired == false }) ?? open.first,
            links[link]?.replicaPermit?.admitSent(message.count) == true
        else { return }
        effects.append(.send(link, .state(message)))
    }

    mutating func replicated(_ message: [UInt8], on id: LinkID) {
        guard let peer = replica(at: id) else {
            log(.warning, "state offered by \(links[id]?.peer?.workload.description ?? "a peer"), refused")
            return close(id, .protocolError)
        }
        guard links[id]?.replicaPermit?.admitReceived(message.count) == true else { return }
        effects.append(.replicated(message, from: peer))
    }
}

extension Authorizer {
    /// May the own workload's state pass to and from another instance that holds it?
    func mayReplicate(_ peer: Peer, at now: Now) -> Decision {
        guard peer.workload == configuration.workload else { return .deny("another workload's replica") }
        if let refusal = refusal(of: peer, at: now) { return refusal }
        if let refusal = refusalOfState(from: peer, at: now) { return refusal }
        return .allow("replica")
    }
}

/// What keeps the replicas of one state apart from those of another.
package enum ReplicaGroup {
    /// Under `eventual` any number of replicas of an identity is a group, so that its id follows from the
    /// identity: 16 bytes of BLAKE2b, keyed with the domain's id.
    package static func eventual(of workload: WorkloadName, in domain: TrustDomainID) -> [UInt8] {
        BLAKE2b.hash(
            Array("mesh/1 state \(workload.description)".utf8), key: domain.bytes, count: 16)
    }
}

extension Limits {
    /// One gossip message: a frame of one record.
    package static let stateMessageBytesMaximum = 60_000
    /// Other replicas that one has sessions with.
    package static let replicaPeersMaximum = 15
    /// What the higher of two instances gives the lower for its dial.
    package static let replicaDialPatience = MonotonicTime.Span.seconds(1)
    /// Replicas are few, and a partition isn't over for them before they are dialled.
    package static let replicaRedialDelayMaximum = MonotonicTime.Span.milliseconds(250)
}
