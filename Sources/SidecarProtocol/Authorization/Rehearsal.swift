// What the two sidecars of a flow would decide, asked without a flow. `mesh explain` is told by both what
// they decide by, and lets the same code decide.

package enum Rehearsal {
    /// No domain's id: where no policy is at hand, its head is only compared with itself.
    private static let nowhere = TrustDomainID([UInt8](repeating: 0, count: 32))!

    /// What one sidecar decides by, as it tells.
    package struct End {
        package var configuration: WorkloadConfiguration
        /// The end of its certificate, and its policy head; nil before it has one.
        package var standing: (notAfter: WallTime, head: PolicyHead)?
        /// What its certificate says of it; where nil, its name alone is known.
        package var subject: PolicySubject?
        /// The signed policy of `standing.head`, where there is one.
        package var policy: CompiledPolicy?

        package init(
            configuration: WorkloadConfiguration, standing: (notAfter: WallTime, head: PolicyHead)?,
            subject: PolicySubject? = nil, policy: CompiledPolicy? = nil
        ) {
            self.configuration = configuration
            self.standing = standing
            self.subject = subject
            self.policy = policy
        }

        fileprivate var party: PolicySubject { subject ?? PolicySubject(configuration.workload) }

        fileprivate func authorizer(at now: Now) -> Authorizer {
            var authorizer = Authorizer(configuration: configuration, gate: DecisionGate())
            if let standing {
                // Without the policy itself the configurations decide, as the heads alone say nothing.
                let head = policy?.head ?? .initial(of: Rehearsal.nowhere)
                authorizer.adopt(
                    Authorizer.Standing(
                        notAfter: standing.notAfter, head: head, subject: party, domain: Rehearsal.nowhere))
            }
            if let policy {
                var inForce = PolicyInForce(policy, at: now)
                // Whether beacons come is asked of the sidecars, not of the rules.
                inForce.freshUntil = now.monotonic + .seconds(1)
                authorizer.adopt(inForce)
            }
            return authorizer
        }

        /// As the other end sees it, with a statement of its policy head that has just come.
        fileprivate func peer(of other: End, at now: Now) -> Authorizer.Peer {
            Authorizer.Peer(
                subject: party,
                notAfter: (standing?.notAfter ?? now.wall) + Limits.peerClockSkew, head: standing?.head,
                statedAt: now.monotonic, hasAgreed: standing?.head == other.standing?.head,
                leaseEnd: now.monotonic + .seconds(1))
        }
    }

    /// The caller's decision; by its `calls` alone where nothing is known of the callee.
    package static func caller(
        _ own: End, calls target: WorkloadName, knownAs callee: End?, port: ServicePort, at now: Now
    ) -> Decision {
        guard let callee else { return own.authorizer(at: now).mayName(target, port: port.port) }
        return own.authorizer(at: now).mayCall(callee.peer(of: own, at: now), port: port, at: now)
    }

    /// The callee's decision; by its `serves` and `accepts` alone where nothing is known of the caller.
    package static func callee(
        _ own: End, isCalledBy source: WorkloadName, knownAs caller: End?, port: ServicePort, at now: Now
    ) -> Decision {
        guard let caller else { return own.authorizer(at: now).mayServe(source, port: port) }
        return own.authorizer(at: now).mayAccept(caller.peer(of: own, at: now), port: port, at: now)
    }

    /// Whether a workload may leave the mesh for a host: a name that `egress` lists, or an address that
    /// it lists literally.
    package static func egress(
        _ configuration: WorkloadConfiguration, host: String, port: UInt16
    ) -> Decision {
        let policy = EgressPolicy(configuration)
        guard policy.allows(host, port: port) else { return .deny("no rule in egress") }
        return .allow("egress \(host):\(port)")
    }
}
