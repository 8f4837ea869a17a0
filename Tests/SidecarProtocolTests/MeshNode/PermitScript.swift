@testable import SidecarProtocol

/// A fault that is put into the model, to see that the oracle notices it.
enum PermitMutant: CaseIterable {
    case none
    /// Policies arrive and aren't taken over.
    case forgetsPolicies
    /// Timers aren't fired.
    case forgetsDeadlines
    /// Nobody says that the clock stepped.
    case forgetsClockSteps
    /// A permit that was valid stays so, whatever happens.
    case keepsPermits
    /// Permits outlive what the peer stated by three leases.
    case longLease
}

/// Which policies there are, and who publishes them in which order.
struct PermitScript {
    static let port = ServicePort(8080, .tcp)

    let name: String
    var policies: [ScriptedPolicy] = []
    /// Numbers of policies, by epoch.
    var sequence: [Int] = []
    var rival: Int?
    var beaconKey: SigningKeyPair?
    var actions: [PermitAction]
    var mutant = PermitMutant.none
    let start = TrustFixture.now
    /// From the start to the end of the caller's first certificate.
    var callerLife: MonotonicTime.Span = .seconds(3000)
    let fixture: PolicyFixture

    init(_ name: String, actions: [PermitAction]) throws {
        self.name = name
        self.actions = actions
        fixture = try PolicyFixture()
    }

    var initialHead: PolicyHead { .initial(of: fixture.trust.bundle.id) }

    static let names = ["client", "web"]

    func credential(of end: Int, _ renewals: UInt8) -> Credential {
        let seed = UInt8(end + 1)
        var contents = try! fixture.trust.leafContents(PermitScript.names[end], seed: seed)
        contents.notAfter =
            end == 0 && renewals == 0 ? start + callerLife : start + Limits.leafLifetime
        contents.serial = UInt64(end) + 10 + UInt64(renewals) * 10
        return Credential(
            certificate: try! contents.signed(by: fixture.trust.issuerKeys), chain: [fixture.trust.issuer],
            bundle: fixture.trust.bundle, staticKey: TrustFixture.exchange(seed),
            signingKey: TrustFixture.signing(seed), policyHead: initialHead,
            discoveryKey: fixture.trust.discoveryKey)
    }

    func peer(of end: Int, _ renewals: UInt8, isInitiator: Bool) -> SessionPeer {
        let credential = credential(of: end, end == 0 ? renewals : 0)
        return SessionPeer(
            CertificateChain(leaf: credential.certificate, issuer: fixture.trust.issuer),
            validUntil: credential.validUntil, bundle: fixture.trust.bundle.sequence,
            handshakeHash: [UInt8](repeating: 1, count: 32), isInitiator: isInitiator)
    }

    func configuration(of end: Int) -> WorkloadConfiguration {
        var configuration = WorkloadConfiguration(
            workload: try! WorkloadName(namespace: "default", name: PermitScript.names[end]))
        if end == 0 {
            configuration.calls = [
                .init(target: try! WorkloadName(namespace: "default", name: "web"), port: nil)
            ]
        } else {
            configuration.serves = [PermitScript.port]
            configuration.accepts = [.init(from: PolicyFixture.pattern("client"), ports: [])]
        }
        return configuration
    }

    /// Both sidecars with their certificates, and no session.
    func initial() -> PermitState {
        let now = Now(monotonic: MonotonicTime(nanoseconds: 0), wall: start)
        let ends = (0...1).map { end in
            PermitEnd(
                node: MeshNode(
                    configuration: configuration(of: end), instance: TrustFixture.instance(UInt8(end + 1)),
                    incarnation: 1, addresses: nil, now: now),
                ownEnd: credential(of: end, 0).validUntil)
        }
        var state = PermitState(script: self, ends: ends, monotonic: MonotonicTime(nanoseconds: 0))
        for end in 0...1 { state.hand(.credential(credential(of: end, 0)), to: end) }
        return state
    }

    /// A session and an open flow.
    func open() -> PermitState? {
        var state = initial()
        func settle(_ state: PermitState) -> PermitState? {
            var state = state
            while let next = state.after(.toCallee) ?? state.after(.toCaller) { state = next }
            return state
        }
        for action in [PermitAction.connect, .dial, .accept] {
            guard let next = state.after(action), let settled = settle(next) else { return nil }
            state = settled
        }
        return state
    }

    // MARK: Scripts

    private mutating func add(_ rule: ScriptedPolicy.Rule, epoch: UInt64) throws {
        var document = fixture.document(epoch: epoch)
        switch rule {
        case .allowsAll: break
        case .deniesAll: document.rules = [PolicyFixture.rule(.deny, "stop")]
        case .locksUntil(let until):
            document.locks = [PolicyLock(PolicyFixture.pattern("client"), until: until, reason: "")]
        case .revokesCaller:
            document.revocations = [PolicyRevocation(.instance(TrustFixture.instance(1)), reason: "")]
        case .asksForBeacons: document.freshnessKeys = [TrustFixture.signing(0x60).publicKey]
        }
        policies.append(ScriptedPolicy(signed: try fixture.sign(document), rule: rule))
    }

    static let traffic: [PermitAction] = [.connect, .lose, .dial, .accept, .toCallee, .toCaller]

    static func all() throws -> [PermitScript] {
        let news: [PermitAction] = [.publishAtCaller, .publishAtCallee, .wait10]
        var change = try PermitScript("change", actions: traffic + news + [.wait30])
        try change.add(.deniesAll, epoch: 1)
        try change.add(.allowsAll, epoch: 2)
        change.sequence = [0, 1]
        var revocation = try PermitScript(
            "revocation", actions: traffic + news + [.callerClockBack, .renewCaller])
        try revocation.add(.revokesCaller, epoch: 1)
        revocation.sequence = [0]
        var lock = try PermitScript(
            "lock", actions: traffic + news + [.wait30, .callerClockBack, .callerClockForward])
        try lock.add(.locksUntil(lock.start + .seconds(35)), epoch: 1)
        lock.sequence = [0]
        var conflict = try PermitScript("conflict", actions: traffic + news + [.publishRivalAtCaller])
        try conflict.add(.allowsAll, epoch: 1)
        try conflict.add(.deniesAll, epoch: 1)
        (conflict.sequence, conflict.rival) = ([0], 1)
        var freshness = try PermitScript(
            "freshness", actions: traffic + news + [.wait30, .beaconAtCallee, .calleeClockBack])
        try freshness.add(.asksForBeacons, epoch: 1)
        freshness.sequence = [0]
        freshness.beaconKey = TrustFixture.signing(0x60)
        var expiry = try PermitScript(
            "expiry",
            actions: traffic + [
                .wait10, .wait30, .callerClockBack, .callerClockForward, .calleeClockBack, .renewCaller,
            ])
        try expiry.add(.allowsAll, epoch: 1)
        expiry.callerLife = .seconds(25)
        return [change, revocation, lock, conflict, freshness, expiry]
    }
}
