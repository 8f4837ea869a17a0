import SidecarProtocol
import Testing

@Suite("Issuer policy")
struct IssuerPolicyTests {
    let trust: TrustFixture
    let domain: IssuerDomain
    let own: UInt32 = 1000

    init() throws {
        trust = try TrustFixture()
        domain = IssuerDomain(
            bundle: trust.bundle, discoveryKey: trust.discoveryKey, issuerKey: trust.issuerKeys,
            issuerCertificate: trust.issuer, rootKey: nil)
    }

    func request(
        _ name: String = "web", seed: UInt8 = 1, isNamed: Bool = true, serves: Bool = true,
        configuration: UInt8 = 0, joins: Bool = false
    ) throws -> IssuerRequest {
        IssuerRequest(
            subject: .workload(try WorkloadName(namespace: "default", name: name)), isNamed: isNamed,
            instance: TrustFixture.instance(seed), staticKey: TrustFixture.exchange(seed).publicKey,
            signingKey: TrustFixture.signing(seed).publicKey, workloadVersion: "1.2",
            configurationHash: [UInt8](repeating: configuration, count: 32), joins: joins,
            serves: serves, executableDigest: [UInt8](repeating: 0xEE, count: 32),
            labels: ["tier": "front"])
    }

    func ask(
        _ policy: inout IssuerPolicy, _ request: IssuerRequest, process: UInt64 = 1,
        userID: UInt32 = 1000, at now: WallTime = TrustFixture.now
    ) -> IssuerAnswer {
        policy.answer(
            request, from: IssuerPolicy.Process(number: process), userID: userID, domain: domain, at: now,
            serial: 42)
    }

    @Test("a leaf says what was asked, lives an hour, and is believed")
    func issues() throws {
        var policy = IssuerPolicy(ownUserID: own, isSystem: false)
        guard case .issued(let issued) = ask(&policy, try request()) else {
            Issue.record("refused")
            return
        }
        let leaf = issued.chain.leaf
        #expect(leaf.notBefore == TrustFixture.now - Limits.certificateBackdating)
        #expect(leaf.notAfter == TrustFixture.now + Limits.leafLifetime)
        #expect(leaf.serial == 42)
        #expect(leaf.topics == ["svc/default/web"])
        #expect(leaf.workloadVersion == "1.2")
        #expect(leaf.labels == ["tier": "front"])
        #expect(leaf.executable?.attested == .own)
        #expect(issued.policyHead == PolicyHead.initial(of: trust.bundle.id))
        #expect(issued.discoveryKey == trust.discoveryKey)
        let verified = try trust.bundle.verify(
            issued.chain, at: TrustFixture.now, staticKey: TrustFixture.exchange(1).publicKey)
        #expect(verified.identity.description == "spiffe://local-00c0ffee/ns/default/w/web")
    }

    @Test("a workload that has no name of its own, or doesn't serve, may not announce itself")
    func withholdsTopics() throws {
        var policy = IssuerPolicy(ownUserID: own, isSystem: false)
        for (seed, request) in [
            (2, try request("a", seed: 2, isNamed: false)), (3, try request("b", seed: 3, serves: false)),
        ] {
            guard case .issued(let issued) = ask(&policy, request, process: UInt64(seed)) else {
                Issue.record("refused")
                continue
            }
            #expect(issued.chain.leaf.topics.isEmpty)
        }
    }

    @Test("a leaf never outlives its issuer, and an issuer that has ended issues nothing")
    func issuerEnds() throws {
        var policy = IssuerPolicy(ownUserID: own, isSystem: false)
        let end = trust.issuer.notAfter
        guard case .issued(let issued) = ask(&policy, try request(), at: end - .seconds(60)) else {
            Issue.record("refused")
            return
        }
        #expect(issued.chain.leaf.notAfter == end)
        for now in [end, trust.issuer.notBefore - .milliseconds(1)] {
            guard case .refused(let reason) = ask(&policy, try request(), at: now) else {
                Issue.record("issued")
                continue
            }
            #expect(reason.contains("isn't valid at this time"))
        }
    }

    @Test("a second live instance needs the same configuration, or to join")
    func secondInstance() throws {
        var policy = IssuerPolicy(ownUserID: own, isSystem: false)
        #expect(isIssued(ask(&policy, try request(seed: 1, configuration: 7), process: 1)))
        let other = ask(&policy, try request(seed: 2, configuration: 8), process: 2)
        guard case .refused(let reason) = other else {
            Issue.record("issued")
            return
        }
        #expect(reason.contains("--join") && reason.contains("0101010101010101"))
        #expect(isIssued(ask(&policy, try request(seed: 3, configuration: 7), process: 3)))
        #expect(isIssued(ask(&policy, try request(seed: 4, configuration: 8, joins: true), process: 4)))
        #expect(isIssued(ask(&policy, try request("db", seed: 5, configuration: 8), process: 5)))
        // A reloaded configuration is no second instance.
        #expect(isIssued(ask(&policy, try request(seed: 1, configuration: 9), process: 1)))
    }

    @Test("a name is free again when every process of its instances has ended")
    func nameIsFreed() throws {
        var policy = IssuerPolicy(ownUserID: own, isSystem: false)
        #expect(isIssued(ask(&policy, try request(seed: 1, configuration: 7), process: 1)))
        #expect(isIssued(ask(&policy, try request(seed: 1, configuration: 7), process: 2)))
        let rival = try request(seed: 2, configuration: 8)
        policy.ended(IssuerPolicy.Process(number: 1))
        #expect(!isIssued(ask(&policy, rival, process: 3)))
        policy.ended(IssuerPolicy.Process(number: 2))
        #expect(isIssued(ask(&policy, rival, process: 3)))
    }

    @Test("an instance can't change its name")
    func keepsName() throws {
        var policy = IssuerPolicy(ownUserID: own, isSystem: false)
        #expect(isIssued(ask(&policy, try request("web", seed: 1))))
        #expect(!isIssued(ask(&policy, try request("db", seed: 1))))
    }

    @Test("another user gets nothing, root neither", arguments: [0, 1001] as [UInt32])
    func otherUser(userID: UInt32) throws {
        var policy = IssuerPolicy(ownUserID: own, isSystem: false)
        #expect(!isIssued(ask(&policy, try request(), userID: userID)))
        let grant = IssuerGrant(userID: userID, workload: try WorkloadName(namespace: "default", name: "web"))
        #expect(policy.take(grant, from: .init(number: 9), userID: 0) != nil)
        #expect(!isIssued(ask(&policy, try request(), userID: userID)))
    }

    @Test("in system mode a user may be what root's launcher grants, as long as that lives")
    func systemMode() throws {
        var policy = IssuerPolicy(ownUserID: 0, isSystem: true)
        let launcher = IssuerPolicy.Process(number: 9)
        let web = IssuerGrant(userID: 1001, workload: try WorkloadName(namespace: "default", name: "web"))
        #expect(policy.take(web, from: launcher, userID: 1001) != nil)
        #expect(!isIssued(ask(&policy, try request(), userID: 1001)))
        #expect(policy.take(web, from: launcher, userID: 0) == nil)
        #expect(isIssued(ask(&policy, try request(), userID: 1001)))
        #expect(!isIssued(ask(&policy, try request("db", seed: 2), userID: 1001)))
        #expect(!isIssued(ask(&policy, try request("web", seed: 3), userID: 1002)))
        #expect(isIssued(ask(&policy, try request("db", seed: 4), userID: 0)))
        policy.ended(launcher)
        #expect(!isIssued(ask(&policy, try request(), userID: 1001)))
    }

    @Test("an issuer names its own host, and no other")
    func hosts() throws {
        var policy = IssuerPolicy(ownUserID: own, isSystem: false)
        for (host, isAllowed) in [("host-a", true), ("host-b", false)] {
            var host = try {
                var request = try request()
                request.subject = .host(host)
                return request
            }()
            host.labels = [:]
            #expect(isIssued(ask(&policy, host)) == isAllowed)
            #expect(!isIssued(ask(&policy, host, userID: 0)))
        }
    }

    @Test("an issuer whose certificate doesn't match the name says so")
    func names() throws {
        let narrow = try TrustFixture(names: ["default/db"])
        let domain = IssuerDomain(
            bundle: narrow.bundle, discoveryKey: narrow.discoveryKey, issuerKey: narrow.issuerKeys,
            issuerCertificate: narrow.issuer, rootKey: nil)
        var policy = IssuerPolicy(ownUserID: own, isSystem: false)
        for (name, isAllowed) in [("db", true), ("web", false)] {
            let answer = policy.answer(
                try request(name, seed: isAllowed ? 1 : 2), from: .init(number: 1), userID: own,
                domain: domain, at: TrustFixture.now, serial: 1)
            #expect(isIssued(answer) == isAllowed)
        }
    }

    @Test("instances and grants are refused past their limits")
    func limits() throws {
        var policy = IssuerPolicy(ownUserID: 0, isSystem: true, instancesMaximum: 2, grantsMaximum: 2)
        for seed in 1...3 as ClosedRange<UInt8> {
            let name = "w\(seed)"
            let answer = ask(&policy, try request(name, seed: seed), process: UInt64(seed), userID: 0)
            #expect(isIssued(answer) == (seed <= 2))
            let workload = try WorkloadName(namespace: "default", name: name)
            let refusal = policy.take(
                IssuerGrant(userID: 7, workload: workload), from: .init(number: 9), userID: 0)
            #expect((refusal == nil) == (seed <= 2))
        }
        policy.ended(IssuerPolicy.Process(number: 1))
        #expect(isIssued(ask(&policy, try request("w3", seed: 3), process: 3, userID: 0)))
    }

    @Test("the next issuer takes over names and grants of processes that live")
    func restores() throws {
        var first = IssuerPolicy(ownUserID: 0, isSystem: true)
        let (sidecar, launcher) = (IssuerPolicy.Process(number: 1), IssuerPolicy.Process(number: 2))
        #expect(isIssued(ask(&first, try request(configuration: 7), process: 1, userID: 0)))
        let db = IssuerGrant(userID: 1001, workload: try WorkloadName(namespace: "default", name: "db"))
        #expect(first.take(db, from: launcher, userID: 0) == nil)
        let saved = [sidecar, launcher].enumerated().map { index, process in
            let (instances, grants) = first.rights(of: process)
            return SavedRights(
                processID: Int32(100 + index), startTime: 5, instances: instances, grants: grants)
        }
        let read = try SavedRights.read(log: saved.flatMap(\.lines))
        #expect(Set(read.rights) == Set(saved) && !read.isTorn)
        var second = IssuerPolicy(ownUserID: 0, isSystem: true)
        for (rights, process) in zip(saved, [sidecar, launcher]) { second.restore(rights, to: process) }
        #expect(!isIssued(ask(&second, try request(seed: 2, configuration: 8), process: 3, userID: 0)))
        #expect(isIssued(ask(&second, try request("db", seed: 3), process: 4, userID: 1001)))
        second.ended(sidecar)
        #expect(isIssued(ask(&second, try request(seed: 2, configuration: 8), process: 3, userID: 0)))
    }

    @Test("an executable is attested by the issuer only where root's launcher said the same for another user")
    func attested() throws {
        let digest = [UInt8](repeating: 7, count: 32)
        let python = try #require(ScriptInterpreter(path: "/usr/bin/python3", digest: digest))
        let said = GrantedExecutable(digest: digest, interpreter: python)
        let workload = try WorkloadName(namespace: "default", name: "db")
        func attested(
            _ granted: GrantedExecutable?, _ asked: GrantedExecutable, userID: UInt32 = 1001
        ) throws -> CertificateContents.Executable? {
            var policy = IssuerPolicy(ownUserID: 0, isSystem: true)
            let grant = IssuerGrant(userID: userID, workload: workload, executable: granted)
            #expect(policy.take(grant, from: .init(number: 1), userID: 0) == nil)
            var request = try request("db", seed: 3)
            (request.executableDigest, request.interpreter) = (asked.digest, asked.interpreter)
            guard case .issued(let issued) = ask(&policy, request, process: 4, userID: userID) else {
                Issue.record("not issued")
                return nil
            }
            return issued.chain.leaf.executable
        }
        #expect(try attested(said, said)?.attested == .issuer)
        #expect(try attested(said, said)?.interpreter == python)
        #expect(try attested(nil, said)?.attested == .own)
        #expect(try attested(said, GrantedExecutable(digest: digest, interpreter: nil))?.attested == .own)
        let other = GrantedExecutable(digest: [UInt8](repeating: 8, count: 32), interpreter: python)
        #expect(try attested(said, other)?.attested == .own)
        // Of root's own workloads the issuer knows no more than they say.
        #expect(try attested(said, said, userID: 0)?.attested == .own)
    }

    @Test("grants are read back; nothing else is taken for one")
    func grantEncoding() throws {
        let grant = IssuerGrant(userID: 1001, workload: try WorkloadName(namespace: "a", name: "b"))
        #expect(IssuerGrant(canonical: grant.encoded()) == grant)
        let digest = [UInt8](repeating: 7, count: 32)
        for interpreter in [nil, ScriptInterpreter(path: "/bin/sh", digest: nil)] {
            var attested = grant
            attested.executable = GrantedExecutable(digest: digest, interpreter: interpreter)
            #expect(IssuerGrant(canonical: attested.encoded()) == attested)
        }
        #expect(IssuerGrant(canonical: try request().signed(by: TrustFixture.signing(1))) == nil)
        for count in 0..<grant.encoded().count {
            #expect(IssuerGrant(canonical: Array(grant.encoded().prefix(count))) == nil)
        }
    }

    private func isIssued(_ answer: IssuerAnswer) -> Bool {
        if case .issued = answer { true } else { false }
    }
}
