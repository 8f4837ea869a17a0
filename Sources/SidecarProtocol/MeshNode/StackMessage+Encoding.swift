// The bytes of StackMessage.swift.

private enum Kind {
    static let ready: UInt8 = 1
    static let question: UInt8 = 2
    static let flow: UInt8 = 3
    static let datagram: UInt8 = 4
    static let egress: UInt8 = 5
    static let counters: UInt8 = 6
    static let answer: UInt8 = 16
    static let unreachable: UInt8 = 17
    static let allow: UInt8 = 18
    static let revoke: UInt8 = 19
    static let reset: UInt8 = 20
    static let serve: UInt8 = 21
    static let withdraw: UInt8 = 22

    static let opened: UInt8 = 1
    static let refused: UInt8 = 2
    static let closed: UInt8 = 3
}

extension StackReport {
    package func encoded() -> [UInt8] {
        switch self {
        case .ready: return stackMessage(Kind.ready) { _ in }
        case .question(let id, let tuple):
            return stackMessage(Kind.question) {
                $0.append64(id.number)
                $0.append(tuple)
            }
        case .flow(let id, let tuple):
            return stackMessage(Kind.flow) {
                $0.append64(id.number)
                $0.append(tuple)
            }
        case .datagram(let tuple, let data): return encodedDatagram(tuple, data)
        case .egress(let report): return stackMessage(Kind.egress) { report.append(to: &$0) }
        case .counters(let counters):
            return stackMessage(Kind.counters) {
                for field in StackCounters.fields { $0.append64(counters[keyPath: field]) }
            }
        }
    }

    package init(_ bytes: ArraySlice<UInt8>) throws(StackMessageError) {
        var reader = try StackReader(bytes)
        switch reader.kind {
        case Kind.ready: self = .ready
        case Kind.question: self = .question(StackQuestionID(number: try reader.uint64()), try reader.tuple())
        case Kind.flow: self = .flow(StackQuestionID(number: try reader.uint64()), try reader.tuple())
        case Kind.datagram: self = .datagram(try reader.tuple(), try reader.data())
        case Kind.egress: self = .egress(try EgressReport(&reader))
        case Kind.counters:
            var counters = StackCounters()
            for field in StackCounters.fields { counters[keyPath: field] = try reader.uint64() }
            self = .counters(counters)
        default: throw reader.flaw
        }
        try reader.end()
    }
}

extension StackCommand {
    package func encoded() -> [UInt8] {
        switch self {
        case .answer(let id, let answer):
            stackMessage(Kind.answer) {
                $0.append64(id.number)
                $0.append(answer.rawValue)
            }
        case .serve(let endpoint): stackMessage(Kind.serve) { $0.append(endpoint) }
        case .withdraw(let endpoint): stackMessage(Kind.withdraw) { $0.append(endpoint) }
        case .datagram(let tuple, let data): encodedDatagram(tuple, data)
        case .unreachable(let tuple): stackMessage(Kind.unreachable) { $0.append(tuple) }
        case .reset(let tuple): stackMessage(Kind.reset) { $0.append(tuple) }
        case .allow(let endpoint, let flowProtocol, let until):
            stackMessage(Kind.allow) {
                $0.append(endpoint)
                $0.append(flowProtocol.rawValue)
                // The last moment of the clock, 585 years after the host's start, stands for "no end".
                $0.append64(until?.nanoseconds ?? .max)
            }
        case .revoke(let endpoint, let flowProtocol):
            stackMessage(Kind.revoke) {
                $0.append(endpoint)
                $0.append(flowProtocol.rawValue)
            }
        }
    }

    package init(_ bytes: ArraySlice<UInt8>) throws(StackMessageError) {
        var reader = try StackReader(bytes)
        switch reader.kind {
        case Kind.answer:
            let id = StackQuestionID(number: try reader.uint64())
            guard let answer = StackAnswer(rawValue: try reader.uint8()) else { throw reader.flaw }
            self = .answer(id, answer)
        case Kind.serve: self = .serve(try reader.endpoint())
        case Kind.withdraw: self = .withdraw(try reader.endpoint())
        case Kind.datagram: self = .datagram(try reader.tuple(), try reader.data())
        case Kind.unreachable: self = .unreachable(try reader.tuple())
        case Kind.reset: self = .reset(try reader.tuple())
        case Kind.allow:
            let endpoint = try reader.endpoint()
            let flowProtocol = try reader.flowProtocol()
            let until = try reader.uint64()
            self = .allow(
                endpoint, flowProtocol, until: until == .max ? nil : MonotonicTime(nanoseconds: until))
        case Kind.revoke: self = .revoke(try reader.endpoint(), try reader.flowProtocol())
        default: throw reader.flaw
        }
        try reader.end()
    }
}

extension EgressReport {
    fileprivate func append(to bytes: inout [UInt8]) {
        bytes.append(flowProtocol.rawValue)
        bytes.append(tuple)
        switch event {
        case .opened: bytes.append(Kind.opened)
        case .refused(let refusal, let attempts):
            bytes += [Kind.refused, refusal.rawValue]
            bytes.append32(attempts)
        case .closed(let end, let sent, let received, let milliseconds):
            bytes += [Kind.closed, end.rawValue]
            for value in [sent, received, milliseconds] { bytes.append64(value) }
        }
    }

    fileprivate init(_ reader: inout StackReader) throws(StackMessageError) {
        flowProtocol = try reader.flowProtocol()
        tuple = try reader.tuple()
        switch try reader.uint8() {
        case Kind.opened: event = .opened
        case Kind.refused:
            guard let refusal = Refusal(rawValue: try reader.uint8()) else { throw reader.flaw }
            event = .refused(refusal, attempts: try reader.uint32())
        case Kind.closed:
            guard let end = End(rawValue: try reader.uint8()) else { throw reader.flaw }
            event = .closed(
                end, sent: try reader.uint64(), received: try reader.uint64(),
                milliseconds: try reader.uint64())
        default: throw reader.flaw
        }
    }
}

extension StackCounters {
    fileprivate static var fields: [WritableKeyPath<StackCounters, UInt64>] {
        [\.frames, \.malformed, \.spoofed, \.fragments, \.unserved, \.refused, \.unreported]
    }
}

private func stackMessage(
    _ kind: UInt8, room: Int = 0, _ fields: (inout [UInt8]) -> Void
) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(64 + room)
    bytes.append(StackMessageVersion.current)
    bytes.append(kind)
    fields(&bytes)
    return bytes
}

private func encodedDatagram(_ tuple: FourTuple, _ data: [UInt8]) -> [UInt8] {
    stackMessage(Kind.datagram, room: data.count) {
        $0.append(tuple)
        $0 += data
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ tuple: FourTuple) {
        append(tuple.source)
        append(tuple.destination)
    }

    fileprivate mutating func append(_ endpoint: IPv4Endpoint) {
        append32(endpoint.address.number)
        append16(endpoint.port)
    }
}

private struct StackReader {
    let kind: UInt8
    private let bytes: ArraySlice<UInt8>
    private var offset: Int

    init(_ bytes: ArraySlice<UInt8>) throws(StackMessageError) {
        guard bytes.count >= 2 else { throw .empty }
        let version = bytes[bytes.startIndex]
        guard version == StackMessageVersion.current else { throw .version(version) }
        kind = bytes[bytes.startIndex + 1]
        offset = bytes.startIndex + 2
        self.bytes = bytes
    }

    var flaw: StackMessageError { .malformed(kind: kind) }

    mutating func uint8() throws(StackMessageError) -> UInt8 { UInt8(truncatingIfNeeded: try number(1)) }
    mutating func uint16() throws(StackMessageError) -> UInt16 { UInt16(truncatingIfNeeded: try number(2)) }
    mutating func uint32() throws(StackMessageError) -> UInt32 { UInt32(truncatingIfNeeded: try number(4)) }
    mutating func uint64() throws(StackMessageError) -> UInt64 { try number(8) }

    mutating func endpoint() throws(StackMessageError) -> IPv4Endpoint {
        IPv4Endpoint(IPv4Address(number: try uint32()), try uint16())
    }

    mutating func tuple() throws(StackMessageError) -> FourTuple {
        FourTuple(source: try endpoint(), destination: try endpoint())
    }

    mutating func flowProtocol() throws(StackMessageError) -> FlowProtocol {
        guard let flowProtocol = FlowProtocol(rawValue: try uint8()) else { throw flaw }
        return flowProtocol
    }

    /// The rest of the message.
    mutating func data() throws(StackMessageError) -> [UInt8] {
        defer { offset = bytes.endIndex }
        guard bytes.endIndex - offset <= Limits.datagramBytesMaximum else { throw flaw }
        return Array(bytes[offset...])
    }

    func end() throws(StackMessageError) {
        guard offset == bytes.endIndex else { throw flaw }
    }

    private mutating func number(_ count: Int) throws(StackMessageError) -> UInt64 {
        guard bytes.endIndex - offset >= count else { throw flaw }
        defer { offset += count }
        return bytes[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
