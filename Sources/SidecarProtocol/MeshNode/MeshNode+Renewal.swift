// The ends of certificates: one's own, which is renewed before, and the peers'.
//
// Theory of operation
//
//   One's own leaf is renewed at half of its life, by a new one with new keys, and asked for again until it
//   comes. Where it hasn't come at 66 % of its life, somebody must know: a warning, a metric, a line of
//   `mesh check`. At its end, or that of the issuer or root above it, everything is cut.
//
//   Ends are moments of the wall clock, and timers count on one that never steps. The wall clock may be
//   slewed against it, by a second in half an hour. So a timer for an end is set in steps, each most of
//   what is left, and the last one is so short that it is exact.
//
//   A credential brings the domain's newest trust bundle along. Where that is another than before, every
//   peer is verified anew: a root that was taken out of it takes its sessions with it.

extension MeshNode {
    mutating func armOwnTimers() {
        guard let life = credential?.life else { return }
        timers.set(.ownExpiry, at: approach(life.end))
        timers.set(.renewal, at: monotonic(life.renewal(at: now.wall)))
        timers.set(.renewalAlarm, at: monotonic(life.alarm))
    }

    mutating func armExpiry(of id: LinkID) {
        if let peer = links[id]?.peer { timers.set(.peerExpiry(id), at: approach(peer.notAfter)) }
    }

    private func monotonic(_ wall: WallTime) -> MonotonicTime { now.monotonic + now.wall.span(until: wall) }

    private func approach(_ wall: WallTime) -> MonotonicTime {
        let left = now.wall.span(until: wall)
        return now.monotonic + (left > MeshNode.exactSpan ? left / 16 * 15 : left)
    }

    /// A clock that is slewed gains or loses less than 0.1 ms in it.
    private static let exactSpan = MonotonicTime.Span.milliseconds(100)

    // MARK: Renewal

    mutating func renewalDue() {
        guard let life = credential?.life else { return }
        effects.append(.renewCredential)
        timers.set(.renewal, at: now.monotonic + life.retry)
    }

    mutating func renewalFailed(_ problem: String) {
        renewalProblem = problem
        let isAlarming = credential?.life.isAlarming(at: now.wall) ?? true
        log(isAlarming ? .warning : .notice, "certificate not renewed: \(problem)")
    }

    mutating func renewalAlarmDue() {
        guard let life = credential?.life else { return }
        guard life.isAlarming(at: now.wall) else { return armOwnTimers() }
        log(
            .warning,
            "the certificate isn't renewed at \(life.percentUsed(at: now.wall)) % of its life, and everything"
                + " is cut at its end, in \(life.left(at: now.wall).milliseconds / 1000) s: "
                + (renewalProblem ?? "the issuer hasn't answered; see `mesh check` and the node's log"))
    }

    /// Whether two thirds of the own certificate's life are over.
    package func isRenewalAlarming(at now: WallTime) -> Bool {
        credential?.life.isAlarming(at: now) ?? false
    }

    // MARK: Ends

    var isOwnCertificateOver: Bool {
        guard let standing = authorizer.standing else { return true }
        return now.wall >= standing.notAfter
    }

    mutating func ownExpiryDue() {
        if isOwnCertificateOver {
            log(.error, "the own certificate has ended: every session is closed until there is a new one")
            expiryReached()
        } else if let end = authorizer.standing?.notAfter {
            timers.set(.ownExpiry, at: approach(end))
        }
    }

    mutating func peerExpiryDue(_ id: LinkID) {
        guard let peer = links[id]?.peer, now.wall >= peer.notAfter else { return armExpiry(of: id) }
        expiryReached()
    }

    private mutating func expiryReached() {
        authorizer.raise()
        redecide()
        for id in links.keys.sorted() {
            guard let peer = links[id]?.peer else { continue }
            if now.wall >= peer.notAfter || isOwnCertificateOver { close(id, .expiry) }
        }
    }

    /// More than a clock is slewed by between two inputs.
    static let stepMilliseconds: Int64 = 1000

    /// The wall clock jumped: every deadline that comes from it is set anew, and every permit decided.
    mutating func clockStepped() {
        log(.notice, "the clock stepped; certificates and permits are checked again")
        armOwnTimers()
        for id in links.keys.sorted() { armExpiry(of: id) }
        expiryReached()
        armPolicyChange()
        sendAllVerdicts()
    }

    // MARK: Another trust bundle

    /// Closes the sessions whose peers the newest bundle doesn't stand by.
    mutating func verifyPeers() {
        for id in links.keys.sorted() {
            guard let session = links[id]?.session, let problem = problem(of: session) else { continue }
            let name = links[id]?.peer?.workload.description ?? "a peer"
            log(.warning, "the session with \(name) is closed: the newest trust bundle says no: \(problem)")
            close(id, .untrusted)
        }
        for id in links.keys.sorted() { stateBundle(on: id) }
    }

    /// So that a rotation's rehearsal on the peer's host knows what it reached here.
    mutating func stateBundle(on id: LinkID) {
        guard links[id]?.peer != nil, let number = credential?.bundle.sequence else { return }
        effects.append(.send(id, .bundle(number)))
    }

    /// Nil where the newest bundle stands by the peer.
    func problem(of session: SessionPeer) -> TrustError? {
        guard let bundle = credential?.bundle, bundle.sequence != session.bundle else { return nil }
        do {
            _ = try bundle.verify(session.chain, at: now.wall)
            return nil
        } catch { return error }
    }
}

extension Now {
    /// The wall clock's lead over the one that never steps, in milliseconds.
    var clockOffset: Int64 {
        wall.milliseconds &- Int64(truncatingIfNeeded: monotonic.nanoseconds / 1_000_000)
    }
}
