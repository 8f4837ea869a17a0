// One's own standing: certificates, announcements, and the clock that ends them.

extension MeshNode {
    mutating func adopt(_ credential: Credential) {
        let isFirst = self.credential == nil
        self.credential = credential
        authorizer.adopt(
            Authorizer.Standing(notAfter: credential.certificate.notAfter, head: credential.policyHead))
        armOwnTimers()
        if isFirst {
            takeAddresses(in: credential.bundle.id)
            openCallees()
            if wantsIPv6 { openIPv6() }
            allowLiterals()
        }
        for name in callees.keys.sorted() { subscribe(to: name) }
        redecide()
        register()
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

    // MARK: Ends of validity

    private mutating func armOwnTimers() {
        guard let certificate = credential?.certificate else { return }
        timers.set(.ownExpiry, at: monotonic(certificate.notAfter))
        // Half of the life that is left, so that a failed renewal has the other half to be repeated.
        let left = certificate.notAfter.milliseconds - now.wall.milliseconds
        timers.set(.renewal, at: now.monotonic + .milliseconds(UInt64(max(0, left / 2))))
    }

    mutating func armExpiry(of id: LinkID) {
        if let peer = links[id]?.peer { timers.set(.peerExpiry(id), at: monotonic(peer.notAfter)) }
    }

    private func monotonic(_ wall: WallTime) -> MonotonicTime {
        now.monotonic + .milliseconds(UInt64(max(0, wall.milliseconds - now.wall.milliseconds)))
    }

    mutating func expiryReached() {
        authorizer.raise()
        redecide()
        for id in links.keys.sorted() {
            guard let peer = links[id]?.peer else { continue }
            let isOver = now.wall >= peer.notAfter || isOwnCertificateOver
            if isOver { close(id, .expiry) }
        }
    }

    private var isOwnCertificateOver: Bool {
        guard let notAfter = credential?.certificate.notAfter else { return true }
        return now.wall >= notAfter
    }

    /// The wall clock jumped: every deadline that comes from it is set anew, and every permit decided.
    mutating func clockStepped() {
        log(.notice, "the clock stepped; certificates and permits are checked again")
        armOwnTimers()
        for id in links.keys.sorted() { armExpiry(of: id) }
        expiryReached()
    }

    mutating func renewalDue() {
        effects.append(.renewCredential)
        timers.set(.renewal, at: now.monotonic + Limits.renewalRetry)
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
                announcements: announcement(by: credential).map { [$0] } ?? [],
                certificates: ([credential.certificate] + credential.chain).map(\.encoded),
                tombstone: tombstone))
        timers.set(.announcement, at: now.monotonic + Limits.announcementLife / 3)
    }

    private mutating func announcement(by credential: Credential) -> [UInt8]? {
        guard configuration.isNamed, !configuration.serves.isEmpty, !endpoints.isEmpty else { return nil }
        let announcement = Announcement(
            topic: TopicID(name: TopicName.service(configuration.workload), key: credential.discoveryKey),
            certificate: credential.certificate, incarnation: incarnation, sequence: announcedSequence,
            timeToLive: Limits.announcementLife,
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
