// Who gets which certificate.
//
// Theory of operation
//
//   The kernel says which user asks. An issuer serves its own user, who may take any name: inside one
//   user names are no boundary. In system mode (root's) it also serves the users that a
//   launcher of root's has granted a name to, for as long as that launcher lives.
//
//   An instance is live while a process lives that was given a certificate for it. A second live
//   instance of a name needs the same configuration, or `--join`. Renewing one's own is neither.
//
//   A certificate says of an executable what the asker says (`self`), unless root's launcher said the same
//   with its grant: then it is the issuer's word.
//
//   A workload whose name was made up by its launcher gets a certificate without the right to announce
//   itself: it may call, and nobody can find it.

package struct IssuerPolicy: Sendable {
    /// A process, by the number that the shell watches it under.
    package struct Process: Hashable, Sendable {
        package let number: UInt64
        package init(number: UInt64) { self.number = number }
    }

    struct Instance: Sendable {
        var workload: WorkloadName
        var configurationHash: [UInt8]
        var processes: Set<Process>
    }

    private let ownUserID: UInt32
    let isSystem: Bool
    private let leafLifetime: MonotonicTime.Span
    let instancesMaximum: Int
    let grantsMaximum: Int
    /// The newest policy that the issuer knows, as persisted; it goes with each certificate, so that a
    /// new sidecar can't be given an older one. Nil before the first.
    package var policyHead: PolicyHead?
    var instances: [InstanceID: Instance] = [:]
    var grants: [IssuerGrant: Set<Process>] = [:]

    package init(
        ownUserID: UInt32, isSystem: Bool, leafLifetime: MonotonicTime.Span = Limits.leafLifetime,
        instancesMaximum: Int = Limits.issuerInstancesMaximum,
        grantsMaximum: Int = Limits.issuerGrantsMaximum
    ) {
        self.instancesMaximum = instancesMaximum
        self.grantsMaximum = grantsMaximum
        self.ownUserID = ownUserID
        self.isSystem = isSystem
        self.leafLifetime = leafLifetime
    }

    // MARK: Certificates

    /// - Parameters:
    ///   - userID: the asking process's, as the kernel says.
    ///   - serial: random.
    package mutating func answer(
        _ request: IssuerRequest, from process: Process, userID: UInt32, domain: IssuerDomain,
        at now: WallTime, serial: UInt64
    ) -> IssuerAnswer {
        if let reason = refusal(of: request, userID: userID, domain: domain, at: now) {
            return .refused(reason)
        }
        let leaf: Certificate
        do {
            leaf = try contents(for: request, userID: userID, domain: domain, at: now, serial: serial)
                .signed(by: domain.issuerKey)
        } catch {
            return .refused("no certificate can be made for \(request.subject.spelling): \(error)")
        }
        if case .workload(let workload) = request.subject {
            instances[
                request.instance,
                default: Instance(workload: workload, configurationHash: [], processes: [])
            ].processes.insert(process)
            instances[request.instance]?.configurationHash = request.configurationHash
        }
        return .issued(
            IssuedCertificate(
                chain: CertificateChain(leaf: leaf, issuer: domain.issuerCertificate),
                bundle: domain.bundle, policyHead: policyHead ?? .initial(of: domain.bundle.id),
                discoveryKey: domain.discoveryKey))
    }

    /// Why the request is refused, and what to do about it; nil where it isn't.
    private func refusal(
        of request: IssuerRequest, userID: UInt32, domain: IssuerDomain, at now: WallTime
    ) -> String? {
        let issuer = domain.issuerCertificate
        guard now < issuer.notAfter, now >= issuer.notBefore else {
            return "the issuer's certificate isn't valid at this time (\(now.seconds) s since 1970):"
                + " check the clock, or renew it with `mesh trust request` and `mesh trust sign`"
        }
        switch request.subject {
        case .host(let host):
            guard userID == ownUserID else {
                return "user \(userID) may not ask for a certificate of host \(host)"
            }
            guard issuer.subject == .host(host) else {
                return "this issuer may not name the host \(host), only \(issuer.subject?.spelling ?? "none")"
            }
            return nil
        case .workload(let workload):
            guard userID == ownUserID || isGranted(workload, to: userID) else {
                return "user \(userID) may not be \(workload) here: start it with mesh-launch as root,"
                    + " or use the mesh of that user"
            }
            guard issuer.names.contains(where: { $0.matches(workload) }) else {
                return "this host's issuer may not name \(workload)"
            }
            return conflict(of: request, workload)
        }
    }

    private func conflict(of request: IssuerRequest, _ workload: WorkloadName) -> String? {
        guard let known = instances[request.instance] else {
            guard instances.count < instancesMaximum else {
                return "\(instancesMaximum) instances run already, which is the maximum"
            }
            let other = instances.first {
                $0.value.workload == workload && $0.value.configurationHash != request.configurationHash
            }
            guard let other, !request.joins else { return nil }
            return "\(workload) runs already with another configuration (instance"
                + " \(other.key.bytes.prefix(8).hex)): stop it, start both from one configuration, or"
                + " start this one with --join"
        }
        guard known.workload == workload else {
            return "instance \(request.instance) is \(known.workload), and can't become \(workload)"
        }
        return nil
    }

    private func contents(
        for request: IssuerRequest, userID: UInt32, domain: IssuerDomain, at now: WallTime, serial: UInt64
    ) -> CertificateContents {
        let issuer = domain.issuerCertificate
        let isHost = if case .host = request.subject { true } else { false }
        var contents = CertificateContents(
            kind: isHost ? .host : .leaf, trustDomain: domain.bundle.trustDomain,
            subject: request.subject, signingKey: request.signingKey,
            notBefore: now - Limits.certificateBackdating,
            notAfter: min(now + leafLifetime, issuer.notAfter), serial: serial)
        contents.instance = request.instance
        contents.staticKey = request.staticKey
        contents.labels = request.labels
        guard case .workload(let workload) = request.subject else { return contents }
        contents.workloadVersion = request.workloadVersion
        contents.executable = executable(of: request, workload, userID: userID)
        guard request.isNamed else { return contents }
        if request.serves { contents.topics = [TopicName.service(workload)] }
        if let slot = request.replicaSlot {
            contents.topics.append(TopicName.state(workload))
            contents.replica = .init(
                group: ReplicaGroup.eventual(of: workload, in: domain.bundle.id), slot: slot)
        }
        return contents
    }

    // MARK: Grants and ends

    private func isGranted(_ workload: WorkloadName, to userID: UInt32) -> Bool {
        isSystem && grants.keys.contains { $0.userID == userID && $0.workload == workload }
    }

    /// The issuer's word only where root's launcher has said what it executes for another user: that user's
    /// own processes, its sidecar among them, could say anything.
    private func executable(
        of request: IssuerRequest, _ workload: WorkloadName, userID: UInt32
    ) -> CertificateContents.Executable? {
        guard let digest = request.executableDigest else { return nil }
        let said = GrantedExecutable(digest: digest, interpreter: request.interpreter)
        let isGranted =
            isSystem && userID != 0
            && grants.keys.contains {
                $0.userID == userID && $0.workload == workload && $0.executable == said
            }
        return .init(
            digest: digest, attested: isGranted ? .issuer : .own, interpreter: request.interpreter)
    }

    /// - Returns: why the grant isn't taken; nil where it is.
    package mutating func take(
        _ grant: IssuerGrant, from process: Process, userID: UInt32
    ) -> String? {
        guard isSystem else {
            return "only root's issuer gives names to other users"
        }
        guard userID == 0 else { return "only root may give \(grant.workload) to user \(grant.userID)" }
        guard grants[grant] != nil || grants.count < grantsMaximum else {
            return "\(grantsMaximum) names are granted already, which is the maximum"
        }
        grants[grant, default: []].insert(process)
        return nil
    }

    /// The process lives no longer: its instances aren't live by it, and its grants are over.
    package mutating func ended(_ process: Process) {
        for (id, instance) in instances where instance.processes.contains(process) {
            instances[id]?.processes.remove(process)
            if instance.processes.count == 1 { instances[id] = nil }
        }
        for (grant, processes) in grants where processes.contains(process) {
            grants[grant] = processes.count == 1 ? nil : processes.subtracting([process])
        }
    }
}

extension SPIFFEIdentity.Subject {
    fileprivate var spelling: String {
        switch self {
        case .workload(let name): "\(name)"
        case .host(let host): "host \(host)"
        }
    }
}
