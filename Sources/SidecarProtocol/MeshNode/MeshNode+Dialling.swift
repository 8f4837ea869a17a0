// From a callee that is wanted to a session with it.

extension MeshNode {
    /// The workload needs `name` now: subscribe to its topic and dial it, from here on for the whole run.
    mutating func want(_ name: WorkloadName) {
        guard callees[name] != nil else { return }
        callees[name]?.isWanted = true
        subscribe(to: name)
        connect(name)
    }

    mutating func subscribe(to name: WorkloadName) {
        guard let callee = callees[name], callee.isWanted, callee.topic == nil, let credential else { return }
        let topic = TopicID(name: TopicName.service(name), key: credential.discoveryKey)
        callees[name]?.topic = topic
        if isNodeConnected { effects.append(.subscribe(topic)) }
    }

    mutating func nodeConnected() {
        isNodeConnected = true
        register()
        tellNodeHeads()
        for name in callees.keys.sorted() {
            if let topic = callees[name]?.topic { effects.append(.subscribe(topic)) }
        }
        if let replicaTopic { effects.append(.subscribe(replicaTopic)) }
    }

    /// Takes a session that is there, or dials one, unless a dial is under way or backing off.
    mutating func connect(_ name: WorkloadName) {
        guard !isStopping, !authorizer.isOwnRevoked, let callee = callees[name], callee.isWanted,
            callee.link == nil
        else { return }
        if let link = links.first(where: { $0.value.peer?.workload == name && !$0.value.isRetired })?.key {
            return use(link, for: name)
        }
        guard !isOwnCertificateOver, timers[.redial(name)] == nil, let topic = callee.topic,
            let provider = provider(of: callee)
        else { return }
        lastLink += 1
        let id = LinkID(number: lastLink)
        links[id] = Link(phase: .dialling(name), establishedAt: now.monotonic)
        callees[name]?.link = id
        effects.append(
            .dial(
                id,
                DialTarget(
                    endpoints: provider.announcement.endpoints,
                    staticKey: provider.announcement.staticKey, workload: name, topic: topic,
                    versions: provider.announcement.versions)))
    }

    /// One of the live instances; after a failure, the next.
    private func provider(of callee: Callee) -> Provider? {
        let live = callee.providers.values.filter { now.monotonic < $0.expiry }
            .sorted {
                $0.announcement.instance.bytes.lexicographicallyPrecedes($1.announcement.instance.bytes)
            }
        return live.isEmpty ? nil : live[Int(callee.failures % UInt64(live.count))]
    }

    /// After a failed dial or a lost session: at once at first, then ever later, up to a second.
    mutating func redial(_ name: WorkloadName) {
        guard let callee = callees[name], callee.isWanted, !isStopping else { return }
        callees[name]?.failures &+= 1
        let delay = min(
            Limits.redialDelayFirst * (1 << min(callee.failures, 10)), Limits.redialDelayMaximum)
        timers.set(.redial(name), at: now.monotonic + delay)
    }

    // MARK: Announcements

    mutating func announced(_ bytes: [UInt8], _ certificates: [[UInt8]]) {
        guard let credential else { return }
        do {
            let announcement = try Announcement(canonical: bytes)
            let isReplica = announcement.topic == replicaTopic
            let callee = callees.first { $0.value.topic == announcement.topic }
            guard isReplica || callee != nil else { return }
            let name = callee?.key ?? configuration.workload
            guard certificates.count == 2 else {
                return log(.warning, "announcement for \(name) without leaf and issuer certificates, ignored")
            }
            let chain = CertificateChain(
                leaf: try Certificate(canonical: certificates[0]),
                issuer: try Certificate(canonical: certificates[1]))
            let verified = try credential.bundle.verify(chain, at: now.wall)
            try announcement.verify(
                certificate: verified.certificate, discoveryKey: credential.discoveryKey, at: now.wall)
            guard verified.identity.workload == name else {
                return log(.warning, "announcement of \(verified.identity) on the topic of \(name), ignored")
            }
            let provider = Provider(
                announcement: announcement, certificate: verified.certificate,
                expiry: now.monotonic + announcement.life(under: verified.certificate, at: now.wall))
            if isReplica { replicaAnnounced(provider) }
            if let callee { take(provider, of: name, callee.value) }
        } catch {
            log(.warning, "announcement refused: \(error)")
        }
    }

    private mutating func take(_ provider: Provider, of name: WorkloadName, _ callee: Callee) {
        let id = provider.announcement.instance
        guard id != instance else { return }
        guard let subject = PolicySubject(provider.certificate), !authorizer.isRevoked(subject) else {
            return log(.warning, "announcement of \(name) ignored: its certificate is revoked")
        }
        if let known = callee.providers[id]?.announcement, known.supersedes(provider.announcement) { return }
        guard callee.providers[id] != nil || callee.providers.count < Limits.providersMaximum else {
            return log(.warning, "more than \(Limits.providersMaximum) instances of \(name), one ignored")
        }
        let isNew = callee.providers[id]?.announcement.incarnation != provider.announcement.incarnation
        callees[name]?.providers[id] = provider
        // A fresh instance needn't wait for the back-off that its predecessor caused.
        if isNew { timers.remove(.redial(name)) }
        connect(name)
    }

    mutating func buried(_ bytes: [UInt8]) {
        guard let tombstone = try? Tombstone(canonical: bytes) else {
            return log(.warning, "tombstone that can't be read, ignored")
        }
        for name in callees.keys {
            guard let provider = callees[name]?.providers[tombstone.instance],
                (try? tombstone.verify(certificate: provider.certificate)) != nil,
                tombstone.buries(provider.announcement)
            else { continue }
            callees[name]?.providers[tombstone.instance] = nil
        }
        buryReplica(tombstone)
    }
}
