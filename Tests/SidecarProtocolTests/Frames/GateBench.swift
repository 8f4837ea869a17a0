import SidecarProtocol

/// A gate with what it asked for, by kind.
final class GateBench {
    var gate: StackGate
    var now = MonotonicTime(nanoseconds: 1_000_000_000_000)
    var effects: [StackGate.Effect] = []

    init(
        _ datapath: WorkloadConfiguration.Datapath = .slirp, flowsMaximum: Int = Limits.stackFlowsMaximum
    ) {
        gate = StackGate(
            StackGate.Configuration(
                own: SampleFrames.own, hardware: SampleFrames.hardware, datapath: datapath,
                flowsMaximum: flowsMaximum))
    }

    /// The effects of one frame from the workload, while the sidecar says nothing.
    func receive(_ frame: [UInt8]) -> [StackGate.Effect] {
        let effects = receive(frame, hasHeard: false)
        return effects == [.hearSidecar] ? receive(frame, hasHeard: true) : effects
    }

    func receive(_ frame: [UInt8], hasHeard: Bool) -> [StackGate.Effect] {
        collect { gate, now, effects in
            gate.receive(frame.span.bytes, at: now, hasHeard: hasHeard, effects: &effects)
        }
    }

    func answer(_ id: StackQuestionID, _ answer: StackAnswer) -> [StackGate.Effect] {
        collect { gate, now, effects in gate.answer(id, answer, at: now, effects: &effects) }
    }

    func tick() -> [StackGate.Effect] {
        collect { gate, now, effects in gate.tick(at: now, effects: &effects) }
    }

    func revoke(_ endpoint: IPv4Endpoint, _ flowProtocol: FlowProtocol = .tcp)
        -> [StackGate.Effect]
    {
        collect { gate, now, effects in gate.revoke(endpoint, flowProtocol, at: now, effects: &effects) }
    }

    func allow(_ endpoint: IPv4Endpoint, _ flowProtocol: FlowProtocol, until: MonotonicTime?) -> Bool {
        gate.allow(endpoint, flowProtocol, until: until, at: now)
    }

    func passes(_ frame: [UInt8]) -> StackGate.Passage { gate.passes(frame.span.bytes, at: now) }

    func reset(_ tuple: FourTuple) -> [StackGate.Effect] {
        collect { gate, _, effects in gate.reset(tuple, effects: &effects) }
    }

    func registered(_ flow: StackFlow?) -> StackQuestionID? {
        gate.registered(flow, at: now, effects: &effects)
    }

    func unregistered(_ flow: StackFlow?) -> [StackGate.Effect] {
        collect { gate, now, effects in gate.unregistered(flow, at: now, effects: &effects) }
    }

    /// The question that a SYN to `destination` raises.
    func question(_ frame: [UInt8]) -> StackQuestionID? {
        for case .report(.question(let id, _)) in receive(frame) { return id }
        return nil
    }

    private func collect(
        _ change: (inout StackGate, MonotonicTime, inout [StackGate.Effect]) -> Void
    ) -> [StackGate.Effect] {
        effects.removeAll()
        change(&gate, now, &effects)
        return effects
    }
}

extension [StackGate.Effect] {
    /// The frames for the workload among them.
    var frames: [[UInt8]] { compactMap { if case .transmit(let frame) = $0 { frame } else { nil } } }
    var injected: [[UInt8]] { compactMap { if case .inject(let frame, _) = $0 { frame } else { nil } } }
    var reports: [StackReport] { compactMap { if case .report(let report) = $0 { report } else { nil } } }
    var egress: [EgressReport] {
        reports.compactMap { if case .egress(let report) = $0 { report } else { nil } }
    }
    /// Whether anything goes to libslirp.
    var reachesStack: Bool {
        contains {
            switch $0 {
            case .input, .open, .inject: true
            case .forward, .transmit, .report, .hearSidecar: false
            }
        }
    }
}
