// Ended flows as spans of OpenTelemetry: an `ExportTraceServiceRequest` of OTLP 1.
//
// The trace's id is the flow's, which both ends have alike, and each end's span id follows from it. So
// the two spans of a flow join in the collector, the callee's as a child of the caller's, although the
// two sidecars never spoke of them.

/// Whose spans these are.
package struct SpanSource: Hashable, Sendable {
    package var workload: WorkloadName
    package var version: String
    package var instance: InstanceID

    package init(workload: WorkloadName, version: String, instance: InstanceID) {
        self.workload = workload
        self.version = version
        self.instance = instance
    }
}

package enum FlowSpans {
    /// Whether a record is a span: flows that have ended, or never came about.
    package static func isSpan(_ record: FlowRecord) -> Bool {
        switch record.event {
        case .close, .denied, .refused: true
        case .open, .minute: false
        }
    }

    /// The body of `POST /v1/traces` (opentelemetry-proto, `trace_service.proto` and `trace.proto`).
    package static func request(_ records: [FlowRecord], from source: SpanSource) -> [UInt8] {
        var request = ProtobufWriter()
        request.field(1) { resourceSpans in
            resourceSpans.field(1) { resource in
                resource.attribute(1, "service.name", source.workload.name)
                resource.attribute(1, "service.namespace", source.workload.namespace)
                resource.attribute(1, "service.version", source.version)
                resource.attribute(1, "service.instance.id", source.instance.description)
            }
            resourceSpans.field(2) { scopeSpans in
                scopeSpans.field(1) { $0.field(1, text: "mesh") }
                for record in records where isSpan(record) {
                    scopeSpans.field(2) { $0.write(record, of: source) }
                }
            }
        }
        return request.bytes
    }

    /// 16 bytes; never zeros, which would be no trace.
    package static func traceID(of record: FlowRecord, source: SpanSource) -> [UInt8] {
        if let flow = record.flow { return flow.bytes }
        // Without a session both ends share nothing, so the trace is this end's alone.
        let told =
            "\(record.time.milliseconds) \(record.direction.rawValue) \(record.port) "
            + "\(record.source.endpoint?.description ?? "") \(record.destination.endpoint?.description ?? "") "
            + "\(record.source.identity) \(record.destination.identity)"
        return BLAKE2b.hash(Array(told.utf8), key: source.instance.bytes, count: 16)
    }

    /// 8 bytes, of one end of the flow.
    package static func spanID(_ trace: [UInt8], _ direction: FlowDirection) -> [UInt8] {
        Array(BLAKE2b.hash(trace, key: Array(direction.rawValue.utf8), count: 16).prefix(8))
    }
}

extension ProtobufWriter {
    fileprivate mutating func attribute(_ number: UInt64, _ key: String, _ text: String) {
        field(number) { pair in
            pair.field(1, text: key)
            pair.field(2) { $0.field(1, text: text) }
        }
    }

    private mutating func attribute(_ number: UInt64, _ key: String, _ value: UInt64) {
        field(number) { pair in
            pair.field(1, text: key)
            pair.field(2) { $0.field(3, varint: value) }
        }
    }

    /// A `Span`.
    fileprivate mutating func write(_ record: FlowRecord, of source: SpanSource) {
        let trace = FlowSpans.traceID(of: record, source: source)
        let isCaller = record.direction == .outbound
        field(1, bytes: trace)
        field(2, bytes: FlowSpans.spanID(trace, record.direction))
        if !isCaller, record.flow != nil { field(4, bytes: FlowSpans.spanID(trace, .outbound)) }
        field(5, text: "\(record.port) \(record.destination.identity.isEmpty ? "egress" : "flow")")
        // SPAN_KIND_CLIENT, SPAN_KIND_SERVER.
        field(6, varint: isCaller ? 3 : 2)
        let end = UInt64(clamping: record.time.milliseconds)
        let start = end - min(end, record.durationMilliseconds)
        field(7, fixed64: FlowSpans.nanoseconds(start))
        field(8, fixed64: FlowSpans.nanoseconds(end))
        writeAttributes(of: record)
        guard let reason = record.reason, reason != .finished else { return }
        field(15) { status in
            status.field(2, text: reason.name)
            // STATUS_CODE_ERROR; how a workload ended its own flow is no error of the mesh.
            if reason != .workloadReset, reason != .idle { status.field(3, varint: 2) }
        }
    }

    private mutating func writeAttributes(of record: FlowRecord) {
        attribute(9, "network.transport", record.port.protocol.description)
        attribute(9, "server.port", UInt64(record.port.port))
        attribute(9, "mesh.event", record.event.rawValue)
        attribute(9, "mesh.direction", record.direction.rawValue)
        attribute(9, "mesh.source.identity", record.source.identity)
        attribute(9, "mesh.source.version", record.source.version)
        attribute(9, "mesh.destination.identity", record.destination.identity)
        attribute(9, "mesh.destination.version", record.destination.version)
        if let endpoint = record.source.endpoint { attribute(9, "mesh.source.address", endpoint.description) }
        if let endpoint = record.destination.endpoint {
            attribute(9, "mesh.destination.address", endpoint.description)
        }
        attribute(9, "mesh.verdict", record.isAllowed ? "allow" : "deny")
        attribute(9, "mesh.rule", record.rule)
        attribute(9, "mesh.policy.epoch", record.head.epoch)
        attribute(9, "mesh.bytes_sent", record.bytesSent)
        attribute(9, "mesh.bytes_received", record.bytesReceived)
        if let reason = record.reason { attribute(9, "mesh.reason", reason.name) }
    }
}

extension FlowSpans {
    fileprivate static func nanoseconds(_ milliseconds: UInt64) -> UInt64 {
        milliseconds.multipliedReportingOverflow(by: 1_000_000).overflow ? .max : milliseconds * 1_000_000
    }
}
