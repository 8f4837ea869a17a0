// What is written down of a flow, at both of its ends.

extension MeshNode {
    mutating func record(_ event: FlowRecord.Event, flow id: FlowHandle, reason: CloseReason?) {
        guard let flow = flows[id] else { return }
        record(
            event, direction: flow.direction, port: flow.port, workload: flow.workload, link: flow.link,
            flow: flowID(of: flow), source: flow.source, destination: flow.destination, rule: flow.rule,
            isAllowed: flow.permit != nil, reason: reason, permit: flow.permit, since: flow.since)
    }

    /// Whether no flow may open, since its records might be lost.
    var isUnrecordable: Bool { isRecordingPressed && configuration.records == .required }

    mutating func recordsPressed(_ isPressed: Bool) {
        let before = isUnrecordable
        isRecordingPressed = isPressed
        guard isUnrecordable != before else { return }
        let what =
            isPressed
            ? "records can't be kept, and the config requires them: no flow opens until they can"
            : "records are kept again: flows open again"
        adaptEgressToRecords()
        log(isPressed ? .error : .notice, what)
    }

    /// Equal at both ends; nil before the flow has a stream.
    func flowID(of flow: Flow) -> FlowID? {
        guard let link = flow.link, let stream = flow.stream, let session = links[link]?.session else {
            return nil
        }
        return FlowID(handshakeHash: session.handshakeHash, stream: stream)
    }

    mutating func record(
        _ event: FlowRecord.Event, direction: FlowDirection, port: ServicePort, workload: WorkloadName,
        link: LinkID?, flow: FlowID?, source: Endpoint?, destination: Endpoint?, rule: String,
        isAllowed: Bool, reason: CloseReason?, permit: FlowPermit?, since: MonotonicTime
    ) {
        guard let credential else { return }
        let certificate = link.flatMap { links[$0]?.session?.certificate }
        let own = credential.certificate
        let ownEnd = (own.subjectText, own.workloadVersion)
        let peerEnd = (
            certificate?.subjectText
                ?? SPIFFEIdentity(trustDomain: own.trustDomain, subject: .workload(workload)).description,
            certificate?.workloadVersion ?? ""
        )
        let (from, to) = direction == .outbound ? (ownEnd, peerEnd) : (peerEnd, ownEnd)
        effects.append(
            .record(
                FlowRecord(
                    time: now.wall, event: event, flow: flow, direction: direction, port: port,
                    source: FlowRecord.End(identity: from.0, version: from.1, endpoint: source),
                    destination: FlowRecord.End(identity: to.0, version: to.1, endpoint: destination),
                    isAllowed: isAllowed, rule: rule, head: policyHead ?? credential.policyHead,
                    decisionEpoch: decisionEpoch.number, bytesSent: permit?.bytesSent ?? 0,
                    bytesReceived: permit?.bytesReceived ?? 0,
                    durationMilliseconds: (now.monotonic - since).milliseconds, reason: reason)))
    }
}
