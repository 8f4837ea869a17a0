// What leaves the mesh, through the userland stack.

extension MeshNode {
    /// The host's resolver answered for a name that `egress` lists. The allow-list grows before the
    /// workload learns the address.
    mutating func resolved(
        _ query: QueryID, _ host: String, _ addresses: [IPAddress], _ timeToLive: MonotonicTime.Span
    ) {
        let until = now.monotonic + max(timeToLive, Limits.egressGrantMinimum)
        egress.dropExpired(at: now.monotonic)
        let (usable, grants) = egress.resolved(host, addresses, until: until)
        if mayLeave {
            for grant in grants { effects.append(.allowEgress(grant.endpoint, until: grant.until)) }
        }
        if usable.count < addresses.count {
            log(.notice, "\(addresses.count - usable.count) inward addresses of \(host) dropped")
        }
        effects.append(.answer(query, usable.isEmpty ? .noData : .addresses(usable)))
    }

    /// While flows can't be recorded none is let out; those that are open go on.
    mutating func adaptEgressToRecords() {
        for grant in egress.grants.values.sorted(by: { "\($0.endpoint)" < "\($1.endpoint)" }) {
            effects.append(
                .allowEgress(grant.endpoint, until: mayLeave ? grant.until : now.monotonic))
        }
    }

    /// New flows out of the mesh: on record only, and never of a workload whose certificate is revoked.
    private var mayLeave: Bool { !isUnrecordable && !isEgressRevoked }

    /// One's own revocation ends what has left the mesh, too. A policy that takes it back, or a certificate
    /// that it doesn't name, lets new flows out again.
    mutating func adaptEgressToRevocation() {
        let wasRevoked = isEgressRevoked
        isEgressRevoked = authorizer.isOwnRevoked
        guard isEgressRevoked != wasRevoked else { return }
        if isEgressRevoked {
            for endpoint in egress.endpoints { effects.append(.revokeEgress(endpoint)) }
        } else {
            adaptEgressToRecords()
        }
    }

    /// Addresses that the configuration lists literally are allowed from the start.
    mutating func allowLiterals() {
        guard mayLeave else { return }
        for grant in egress.grants.values where grant.until == nil {
            effects.append(.allowEgress(grant.endpoint, until: nil))
        }
    }

    mutating func adoptEgress(of configuration: WorkloadConfiguration) {
        let old = egress
        egress = EgressPolicy(configuration)
        for endpoint in old.endpointsLost(to: egress) { effects.append(.revokeEgress(endpoint)) }
        egress.inherit(from: old)
        allowLiterals()
    }

    /// The userland stack let a flow out, or refused it. Both are on record.
    mutating func egressAttempted(
        _ source: Endpoint, _ destination: Endpoint, _ flowProtocol: FlowProtocol, _ isAllowed: Bool
    ) {
        if isAllowed { egress.flowOpened(to: destination) }
        recordEgress(
            isAllowed ? .open : .denied, source, destination, flowProtocol, isAllowed: isAllowed,
            sent: 0, received: 0, reason: isAllowed ? nil : .policy)
    }

    mutating func egressEnded(
        _ source: Endpoint, _ destination: Endpoint, _ flowProtocol: FlowProtocol, sent: UInt64,
        received: UInt64, _ reason: CloseReason
    ) {
        egress.flowEnded(to: destination)
        recordEgress(
            .close, source, destination, flowProtocol, isAllowed: true, sent: sent, received: received,
            reason: reason)
    }

    private mutating func recordEgress(
        _ event: FlowRecord.Event, _ source: Endpoint, _ destination: Endpoint,
        _ flowProtocol: FlowProtocol, isAllowed: Bool, sent: UInt64, received: UInt64,
        reason: CloseReason?
    ) {
        guard let credential else { return }
        let own = credential.certificate
        effects.append(
            .record(
                FlowRecord(
                    time: now.wall, event: event, flow: nil, direction: .outbound,
                    port: ServicePort(destination.port, flowProtocol),
                    source: FlowRecord.End(
                        identity: own.subjectText, version: own.workloadVersion, endpoint: source),
                    destination: FlowRecord.End(identity: "", version: "", endpoint: destination),
                    isAllowed: isAllowed,
                    rule: egress.rule(for: destination) ?? (isAllowed ? "egress" : "no rule in egress"),
                    head: policyHead ?? credential.policyHead, decisionEpoch: decisionEpoch.number,
                    bytesSent: sent,
                    bytesReceived: received, durationMilliseconds: 0, reason: reason)))
    }
}
