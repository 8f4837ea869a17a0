// One's own standing: certificates and announcements.

extension MeshNode {
    mutating func adopt(_ credential: Credential) {
        let isFirst = self.credential == nil
        let isOtherBundle = self.credential?.bundle != credential.bundle
        self.credential = credential
        renewalProblem = nil
        adoptFloor(of: credential, isFirst: isFirst)
        adaptEgressToRevocation()
        armOwnTimers()
        if isOtherBundle { verifyPeers() }
        if isFirst {
            takeAddresses(in: credential.bundle.id)
            openCallees()
            if hasState { effects.append(.listen(MeshNode.stateEndpoint.address, MeshNode.statePort)) }
            if wantsIPv6 { openIPv6() }
            allowLiterals()
        }
        for name in callees.keys.sorted() { subscribe(to: name) }
        subscribeToReplicas()
        redecide()
        register()
        sendAllVerdicts()
        for id in links.keys.sorted() { stateHead(on: id) }
        for name in callees.keys.sorted() { connect(name) }
    }

    private mutating func takeAddresses(in domain: TrustDomainID) {
        if let restoredAddresses, restoredAddresses.domain == domain,
            restoredAddresses.address(of: configuration.workload) != nil
        {
            addresses = restoredAddresses
        } else {
            addresses = VirtualAddresses(domain: domain, own: configuration.workload)
            persistAddresses()
        }
    }

    // MARK: Announcing

    mutating func announce(at endpoints: [Endpoint]) {
        self.endpoints = endpoints
        register()
    }

    /// Tells the node who we are, and where, if we serve anything.
    mutating func register() {
        guard let credential, isNodeConnected, !isStopping else { return }
        announcedSequence += 1
        let tombstone = Tombstone(
            certificate: credential.certificate, incarnation: incarnation, sequence: announcedSequence
        ).signed(by: credential.signingKey)
        effects.append(
            .register(
                announcements: topicsToAnnounceOn.compactMap { announcement(on: $0, by: credential) },
                certificates: ([credential.certificate] + credential.chain).map(\.encoded),
                tombstone: tombstone))
        timers.set(.announcement, at: now.monotonic + Limits.announcementLife / 3)
    }

    private var topicsToAnnounceOn: [String] {
        guard configuration.isNamed, !endpoints.isEmpty, !authorizer.isOwnRevoked else { return [] }
        return (configuration.serves.isEmpty ? [] : [TopicName.service(configuration.workload)])
            + (isReplica ? [TopicName.state(configuration.workload)] : [])
    }

    private mutating func announcement(on topic: String, by credential: Credential) -> [UInt8]? {
        let left = now.wall.span(until: credential.validUntil)
        guard left > .seconds(0) else { return nil }
        let announcement = Announcement(
            topic: TopicID(name: topic, key: credential.discoveryKey),
            certificate: credential.certificate, incarnation: incarnation, sequence: announcedSequence,
            timeToLive: min(Limits.announcementLife, left),
            endpoints: Array(endpoints.prefix(Limits.announcementEndpointsMaximum)),
            versions: Limits.wireVersions)
        do { return try announcement.signed(by: credential.signingKey) } catch {
            log(.error, "can't announce: \(error)")
            return nil
        }
    }

    // MARK: The end

    mutating func stop() {
        guard !isStopping else { return }
        for name in callees.keys.sorted() {
            for query in callees[name]?.queries ?? [] {
                effects.append(.answer(query, .serverFailure))
            }
        }
        for id in flows.keys.sorted() { cut(id, .shutdown, tellPeer: true) }
        if let credential, isNodeConnected {
            let tombstone = Tombstone(
                certificate: credential.certificate, incarnation: incarnation,
                sequence: announcedSequence
            ).signed(by: credential.signingKey)
            effects.append(.withdraw(tombstone: tombstone))
        }
        isStopping = true
        for name in callees.keys.sorted() { refreshListeners(of: name) }
        for id in links.keys.sorted() { close(id, .shutdown) }
        effects.append(.stopped)
    }
}
