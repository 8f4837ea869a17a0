import SidecarProtocol
import Testing

/// What a message of Protocol Buffers holds, read by the encoding's rules alone.
private struct Message {
    enum Value: Equatable {
        case number(UInt64)
        case bytes([UInt8])
    }

    private(set) var fields: [(number: UInt64, value: Value)] = []

    init?(_ bytes: [UInt8]) {
        var rest = bytes[...]
        func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                guard let byte = rest.popFirst() else { return nil }
                value |= UInt64(byte & 0x7F) << shift
                if byte < 0x80 { return value }
            }
            return nil
        }
        while !rest.isEmpty {
            guard let tag = varint() else { return nil }
            switch tag & 7 {
            case 0:
                guard let value = varint() else { return nil }
                fields.append((tag >> 3, .number(value)))
            case 1:
                guard rest.count >= 8 else { return nil }
                let value = rest.prefix(8).enumerated().reduce(UInt64(0)) {
                    $0 | UInt64($1.element) << UInt64($1.offset * 8)
                }
                rest = rest.dropFirst(8)
                fields.append((tag >> 3, .number(value)))
            case 2:
                guard let count = varint(), count <= UInt64(rest.count) else { return nil }
                fields.append((tag >> 3, .bytes(Array(rest.prefix(Int(count))))))
                rest = rest.dropFirst(Int(count))
            default: return nil
            }
        }
    }

    func all(_ number: UInt64) -> [Value] { fields.filter { $0.number == number }.map(\.value) }
    func number(_ field: UInt64) -> UInt64? {
        if case .number(let value)? = all(field).first { return value }
        return nil
    }
    func bytes(_ field: UInt64) -> [UInt8]? {
        if case .bytes(let value)? = all(field).first { return value }
        return nil
    }
    func text(_ field: UInt64) -> String? { bytes(field).map { String(decoding: $0, as: UTF8.self) } }
    func messages(_ field: UInt64) -> [Message] {
        all(field).compactMap { value in
            if case .bytes(let bytes) = value { Message(bytes) } else { nil }
        }
    }
    /// `KeyValue`s by their keys.
    func attributes(_ field: UInt64) -> [String: String] {
        Dictionary(
            messages(field).compactMap { pair in
                guard let key = pair.text(1), let value = pair.messages(2).first else { return nil }
                return (key, value.text(1) ?? value.number(3).map { "\($0)" } ?? "?")
            }
        ) { $1 }
    }
}

@Suite("Spans of flows")
struct FlowSpansTests {
    private let source = SpanSource(
        workload: try! WorkloadName(namespace: "shop", name: "web"), version: "1.4",
        instance: InstanceID([UInt8](repeating: 9, count: 16))!)

    private func record(
        _ direction: FlowDirection = .outbound, event: FlowRecord.Event = .close, hasID: Bool = true,
        reason: CloseReason? = .finished
    ) -> FlowRecord {
        FlowRecord(
            time: WallTime(milliseconds: 1_767_225_600_500), event: event,
            flow: hasID ? FlowID([UInt8](0..<16)) : nil, direction: direction, port: ServicePort(8080, .tcp),
            source: .init(
                identity: "spiffe://d/ns/shop/w/client", version: "7",
                endpoint: Endpoint(IPAddress(v4: 0xC612_0101), 4000)),
            destination: .init(identity: "spiffe://d/ns/shop/w/web", version: "1.4", endpoint: nil),
            isAllowed: event == .close, rule: "calls[0] shop/web",
            head: PolicyHead(epoch: 3, hash: [UInt8](repeating: 1, count: 32))!, decisionEpoch: 3,
            bytesSent: 300, bytesReceived: 1 << 40, durationMilliseconds: 1_500, reason: reason)
    }

    private func spans(_ records: [FlowRecord]) throws -> [Message] {
        let request = try #require(Message(FlowSpans.request(records, from: source)))
        let resource = try #require(request.messages(1).first)
        #expect(
            resource.messages(1).first?.attributes(1) == [
                "service.name": "web", "service.namespace": "shop", "service.version": "1.4",
                "service.instance.id": "09090909090909090909090909090909",
            ])
        let scope = try #require(resource.messages(2).first)
        #expect(scope.messages(1).first?.text(1) == "mesh")
        return scope.messages(2)
    }

    @Test("a span has the flow's id, its times, its ends and its bytes")
    func span() throws {
        let span = try #require(try spans([record()]).first)
        #expect(span.bytes(1) == [UInt8](0..<16))
        #expect(span.bytes(2)?.count == 8 && span.bytes(4) == nil)
        #expect(span.text(5) == "8080/tcp flow")
        #expect(span.number(6) == 3)
        #expect(span.number(7) == 1_767_225_599_000_000_000)
        #expect(span.number(8) == 1_767_225_600_500_000_000)
        #expect(span.messages(15).isEmpty)
        let attributes = span.attributes(9)
        #expect(attributes["mesh.bytes_sent"] == "300")
        #expect(attributes["mesh.bytes_received"] == "1099511627776")
        #expect(attributes["mesh.source.identity"] == "spiffe://d/ns/shop/w/client")
        #expect(attributes["mesh.source.address"] == "198.18.1.1:4000")
        #expect(attributes["mesh.policy.epoch"] == "3" && attributes["mesh.reason"] == "finished")
    }

    @Test("the two ends of a flow make one trace, in which the callee's span is the caller's child")
    func ends() throws {
        let ends = try spans([record(.outbound), record(.inbound)])
        #expect(ends[0].bytes(1) == ends[1].bytes(1))
        #expect(ends[1].bytes(4) == ends[0].bytes(2))
        #expect(ends[0].bytes(2) != ends[1].bytes(2))
        #expect(ends[1].number(6) == 2)
    }

    @Test("what the mesh ended is an error, what a workload ended isn't")
    func status() throws {
        let reasons: [(CloseReason, UInt64?)] = [
            (.policy, 2), (.sessionLost, 2), (.workloadReset, nil), (.idle, nil),
        ]
        for (reason, code) in reasons {
            let status = try #require(try spans([record(reason: reason)]).first?.messages(15).first)
            #expect(status.text(2) == reason.name && status.number(3) == code)
        }
    }

    @Test("only flows that are over are spans, and each without an id has a trace of its own")
    func which() throws {
        #expect(try spans([record(event: .open), record(event: .minute)]).isEmpty)
        let denied = try spans([record(event: .denied, hasID: false, reason: .policy)])
        #expect(denied.first?.bytes(1)?.count == 16)
        #expect(denied.first?.bytes(1) != [UInt8](repeating: 0, count: 16))
        var other = record(event: .denied, hasID: false)
        other.time = WallTime(milliseconds: 1)
        #expect(FlowSpans.traceID(of: other, source: source) != denied.first?.bytes(1))
        // A duration before the clock's beginning.
        #expect(try spans([other]).first?.number(7) == 0)
    }

    @Test("numbers of every length are varints")
    func varints() {
        for value in [0, 1, 127, 128, 300, 1 << 35, UInt64.max] {
            var writer = ProtobufWriter()
            writer.field(20, varint: value)
            #expect(Message(writer.bytes)?.number(20) == value)
        }
        var writer = ProtobufWriter()
        writer.field(1, varint: 150)
        writer.field(2, text: "testing")
        // The examples of the encoding's own documentation.
        #expect(writer.bytes.hex == "089601" + "120774657374696e67")
    }
}
