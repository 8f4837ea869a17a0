// What two sidecars say to each other inside a session, beside the bytes of flows.

/// The caller asks for a flow to `port` of the callee's workload.
package struct FlowOpen: Hashable, Sendable {
    package var port: ServicePort
    /// The port that the caller's workload dials from; the callee's workload sees it where it is free.
    package var sourcePort: UInt16

    package init(port: ServicePort, sourcePort: UInt16) {
        self.port = port
        self.sourcePort = sourcePort
    }
}

/// What the caller's `calls` name of this callee.
package enum CallInterest: Hashable, Sendable {
    case anyPort
    case ports([UInt16])
}

/// The callee's answer: what this caller may do, port by port. Sent after the handshake, after each
/// CALLS, and at each change.
package struct Verdicts: Hashable, Sendable {
    package enum Verdict: UInt8, Hashable, Sendable {
        case deny = 0
        case allow = 1
        /// Allowed, but the workload refused the last connection.
        case down = 2
    }

    package struct Port: Hashable, Sendable {
        package var port: ServicePort
        package var verdict: Verdict
        /// The rule that decided, as records print it: `accepts[0] default/client`, `no rule`.
        package var rule: String

        package init(port: ServicePort, verdict: Verdict, rule: String) {
            self.port = port
            self.verdict = verdict
            self.rule = rule
        }
    }

    package var head: PolicyHead
    package var decisionEpoch: UInt64
    package var ports: [Port]

    package init(head: PolicyHead, decisionEpoch: UInt64, ports: [Port]) {
        self.head = head
        self.decisionEpoch = decisionEpoch
        self.ports = ports
    }
}

/// The frames that the `MeshNode` handles. Data, datagrams, ends of streams, credit, re-handshakes and
/// renewed certificates stay within the session.
package enum ControlFrame: Hashable, Sendable {
    case open(StreamID, FlowOpen)
    case accepted(StreamID)
    /// The callee's no, or a cut by either side: the stream is gone, its workload sees a reset.
    case reset(StreamID, CloseReason)
    case calls(CallInterest)
    case verdicts(Verdicts)
    /// The sender's policy head; renews the lease of every permit of the session.
    case head(PolicyHead)
    /// A policy on its way, asked for by its head, and beacons.
    case policy(PolicyMessage)
    /// Number of the sender's trust bundle: whether a rotation has reached it.
    case bundle(UInt64)
    case goodbye(CloseReason)
    /// A message between two replicas of one workload's state, as StateGossip encodes it.
    case state([UInt8])
}

// MARK: - On the wire

extension ControlFrame {
    func encode(into pending: inout PendingFrames) {
        switch self {
        case .open(let stream, let open): pending.append(.open, stream, open.encoded)
        case .accepted(let stream): pending.append(.accepted, stream)
        case .reset(let stream, let reason): pending.append(.reset, stream, [reason.rawValue])
        case .calls(let interest): pending.append(.calls, body: interest.item)
        case .verdicts(let verdicts): pending.append(.verdicts, body: verdicts.item)
        case .head(let head): pending.append(.head, body: head.item)
        case .policy(let message): pending.append(.policy, body: message.item)
        case .bundle(let number): pending.append(.bundle, body: .unsigned(number))
        case .goodbye(let reason): pending.append(.goodbye, StreamID(number: 0), [reason.rawValue])
        case .state(let message): pending.append(.state, StreamID(number: 0), message)
        }
    }

    /// - Returns: nil for a frame of another kind.
    static func decode(
        _ type: FrameType, _ stream: StreamID, _ body: UnsafeRawBufferPointer
    ) throws(SessionError) -> ControlFrame? {
        do {
            switch type {
            case .open: return .open(stream, try FlowOpen(reading: body))
            case .accepted: return .accepted(stream)
            case .reset: return .reset(stream, try reason(body))
            case .calls: return .calls(try CallInterest(item(body)))
            case .verdicts: return .verdicts(try Verdicts(item(body)))
            case .head: return .head(try PolicyHead(frame: item(body)))
            case .policy: return .policy(try PolicyMessage(item(body)))
            case .bundle:
                guard case .unsigned(let number) = try item(body) else {
                    throw CBORError.unexpected(field: "bundle")
                }
                return .bundle(number)
            case .goodbye: return .goodbye(try reason(body))
            case .state: return .state(Array(body))
            case .data, .datagram, .end, .credit, .ping, .pong, .rekey1, .rekey2, .rekey3, .rekeyed:
                return nil
            }
        } catch { throw .malformedFrame(type: type.rawValue) }
    }

    private static func item(_ body: UnsafeRawBufferPointer) throws(CBORError) -> CBOR {
        try CBOR(canonical: Array(body))
    }

    /// A reason that a newer version has added reads as the plainest one.
    private static func reason(_ body: UnsafeRawBufferPointer) throws(CBORError) -> CloseReason {
        guard let first = body.first else { throw .truncated(at: 0) }
        return CloseReason(rawValue: first) ?? .sessionLost
    }
}

extension PendingFrames {
    fileprivate mutating func append(_ type: FrameType, body: CBOR) {
        append(type, StreamID(number: 0), body.encoded())
    }
}

extension FlowOpen {
    /// Protocol 1, port 2, source port 2.
    fileprivate var encoded: [UInt8] {
        var out: [UInt8] = [port.protocol.rawValue]
        out.appendBigEndian(port.port)
        out.appendBigEndian(sourcePort)
        return out
    }

    fileprivate init(reading body: UnsafeRawBufferPointer) throws(CBORError) {
        guard body.count >= 5 else { throw .truncated(at: body.count) }
        self.init(
            port: ServicePort(
                body.bigEndian(at: 1, as: UInt16.self), try FlowProtocol(number: body[0])),
            sourcePort: body.bigEndian(at: 3, as: UInt16.self))
    }
}

extension FlowProtocol {
    fileprivate init(number: UInt8) throws(CBORError) {
        guard let known = FlowProtocol(rawValue: number) else { throw .unexpected(field: "protocol") }
        self = known
    }
}

extension CallInterest {
    /// Null for any port, else the list.
    fileprivate var item: CBOR {
        switch self {
        case .anyPort: .null
        case .ports(let ports):
            .array(ports.prefix(Limits.statedPortsMaximum).map { .unsigned(UInt64($0)) })
        }
    }

    fileprivate init(_ item: CBOR) throws(CBORError) {
        switch item {
        case .null: self = .anyPort
        case .array(let items):
            guard items.count <= Limits.statedPortsMaximum else { throw .unexpected(field: "ports") }
            var ports: [UInt16] = []
            for item in items {
                guard case .unsigned(let number) = item, let port = UInt16(exactly: number) else {
                    throw .unexpected(field: "port")
                }
                ports.append(port)
            }
            self = .ports(ports)
        default: throw .unexpected(field: "calls")
        }
    }
}

extension PolicyHead {
    /// Epoch, hash.
    var item: CBOR { .array([.unsigned(epoch), .bytes(hash)]) }

    init(frame item: CBOR) throws(CBORError) {
        guard case .array(let items) = item, items.count >= 2, case .unsigned(let epoch) = items[0],
            case .bytes(let hash) = items[1], let head = PolicyHead(epoch: epoch, hash: hash)
        else { throw .unexpected(field: "head") }
        self = head
    }
}

extension Verdicts {
    /// Head, decision epoch, ports: each port, protocol, verdict, rule.
    fileprivate var item: CBOR {
        .array([
            head.item, .unsigned(decisionEpoch),
            .array(
                ports.prefix(Limits.statedPortsMaximum).map {
                    .array([
                        .unsigned(UInt64($0.port.port)), .unsigned(UInt64($0.port.protocol.rawValue)),
                        .unsigned(UInt64($0.verdict.rawValue)), .text($0.rule.cut),
                    ])
                }),
        ])
    }

    fileprivate init(_ item: CBOR) throws(CBORError) {
        guard case .array(let items) = item, items.count >= 3, case .unsigned(let epoch) = items[1],
            case .array(let ports) = items[2], ports.count <= Limits.statedPortsMaximum
        else { throw .unexpected(field: "verdicts") }
        self.init(head: try PolicyHead(frame: items[0]), decisionEpoch: epoch, ports: [])
        for port in ports { self.ports.append(try Port(port)) }
    }
}

extension Verdicts.Port {
    fileprivate init(_ item: CBOR) throws(CBORError) {
        guard case .array(let items) = item, items.count >= 4, case .unsigned(let number) = items[0],
            let port = UInt16(exactly: number), case .unsigned(let ip) = items[1],
            let ip = UInt8(exactly: ip), case .unsigned(let raw) = items[2],
            let raw = UInt8(exactly: raw), case .text(let rule) = items[3],
            rule.utf8.count <= Limits.ruleTextBytesMaximum
        else { throw .unexpected(field: "port") }
        // What a newer version says of a port, and we can't read, isn't permission.
        self.init(
            port: ServicePort(port, try FlowProtocol(number: ip)),
            verdict: Verdicts.Verdict(rawValue: raw) ?? .deny, rule: rule)
    }
}

extension String {
    fileprivate var cut: String {
        guard utf8.count > Limits.ruleTextBytesMaximum else { return self }
        var text = self
        while text.utf8.count > Limits.ruleTextBytesMaximum { text.removeLast() }
        return text
    }
}
