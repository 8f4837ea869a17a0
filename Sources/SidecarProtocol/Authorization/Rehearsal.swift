// What the two sidecars of a flow would decide, asked without a flow. `mesh explain` is told by both what
// they decide by, and lets the same code decide.

package enum Rehearsal {
    /// What one sidecar decides by, as it tells.
    package struct End {
        package var configuration: WorkloadConfiguration
        /// The end of its certificate, and its policy head; nil before it has one.
        package var standing: (notAfter: WallTime, head: PolicyHead)?

        package init(
            configuration: WorkloadConfiguration, standing: (notAfter: WallTime, head: PolicyHead)?
        ) {
            self.configuration = configuration
            self.standing = standing
        }

        fileprivate var authorizer: Authorizer {
            var authorizer = Authorizer(configuration: configuration, gate: DecisionGate())
            if let standing {
                authorizer.adopt(Authorizer.Standing(notAfter: standing.notAfter, head: standing.head))
            }
            return authorizer
        }

        /// As the other end sees it, with a statement of its policy head that has just come.
        fileprivate func peer(at now: Now) -> Authorizer.Peer {
            Authorizer.Peer(
                workload: configuration.workload,
                notAfter: (standing?.notAfter ?? now.wall) + Limits.peerClockSkew, head: standing?.head,
                leaseEnd: now.monotonic + .seconds(1))
        }
    }

    /// The caller's decision; by its `calls` alone where nothing is known of the callee.
    package static func caller(
        _ own: End, calls target: WorkloadName, knownAs callee: End?, port: ServicePort, at now: Now
    ) -> Decision {
        guard let callee else { return own.authorizer.mayName(target, port: port.port) }
        return own.authorizer.mayCall(callee.peer(at: now), port: port, at: now)
    }

    /// The callee's decision; by its `serves` and `accepts` alone where nothing is known of the caller.
    package static func callee(
        _ own: End, isCalledBy source: WorkloadName, knownAs caller: End?, port: ServicePort, at now: Now
    ) -> Decision {
        guard let caller else { return own.authorizer.mayServe(source, port: port) }
        return own.authorizer.mayAccept(caller.peer(at: now), port: port, at: now)
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
