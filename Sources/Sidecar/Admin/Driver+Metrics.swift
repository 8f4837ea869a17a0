// `GET /metrics`: names of linkerd's and istio's TCP metrics where they fit, and our own.

import Glibc
import SidecarProtocol
import Transport

extension Driver {
    func metricsText() -> String {
        let totals = metrics.totals(with: node.liveFlows(at: Now.current()))
        var text = MetricsText()
        Driver.writeTransport(totals, to: &text)
        Driver.writeIstio(totals, to: &text)
        writeMesh(to: &text)
        writeProcess(to: &text)
        return text.text
    }

    private typealias Series = [(key: FlowMetrics.Key, totals: FlowMetrics.Totals)]

    /// As linkerd's proxy names them. What is written goes to the peer, what is read comes from it.
    private static func writeTransport(_ series: Series, to text: inout MetricsText) {
        func family(
            _ name: String, _ kind: MetricKind, _ help: String,
            _ value: (FlowMetrics.Totals) -> UInt64
        ) {
            text.family(name, kind, help) { family in
                for (key, totals) in series {
                    family.sample(
                        [
                            ("direction", key.direction.rawValue), ("peer", key.peer),
                            ("src_version", key.sourceVersion), ("dst_version", key.destinationVersion),
                        ], value(totals))
                }
            }
        }
        family("tcp_open_total", .counter, "Flows opened.") { $0.opened }
        family("tcp_close_total", .counter, "Flows closed.") { $0.closed }
        family("tcp_open_connections", .gauge, "Flows open now.") { $0.opened &- $0.closed }
        family("tcp_read_bytes_total", .counter, "Payload bytes that came from the peer.") { $0.received }
        family("tcp_write_bytes_total", .counter, "Payload bytes that went to the peer.") { $0.sent }
    }

    /// As istio names them: bytes are received with a request and sent with a response, whoever reports.
    private static func writeIstio(_ series: Series, to text: inout MetricsText) {
        func family(_ name: String, _ help: String, _ value: (Bool, FlowMetrics.Totals) -> UInt64) {
            text.family(name, .counter, help) { family in
                for (key, totals) in series {
                    family.sample(labels(of: key), value(key.direction == .outbound, totals))
                }
            }
        }
        family("istio_tcp_connections_opened_total", "Flows opened.") { $1.opened }
        family("istio_tcp_connections_closed_total", "Flows closed.") { $1.closed }
        family("istio_tcp_sent_bytes_total", "Payload bytes of responses.") { isCaller, totals in
            isCaller ? totals.received : totals.sent
        }
        family("istio_tcp_received_bytes_total", "Payload bytes of requests.") { isCaller, totals in
            isCaller ? totals.sent : totals.received
        }
    }

    private static func labels(of key: FlowMetrics.Key) -> [(String, String)] {
        func end(_ side: String, _ identity: String, _ version: String) -> [(String, String)] {
            let workload = (try? SPIFFEIdentity(parsing: identity))?.workload
            return [
                ("\(side)_workload", workload?.name ?? "unknown"),
                ("\(side)_workload_namespace", workload?.namespace ?? "unknown"),
                ("\(side)_principal", identity), ("\(side)_version", version),
            ]
        }
        return [("reporter", key.direction == .outbound ? "source" : "destination")]
            + end("source", key.source, key.sourceVersion)
            + end("destination", key.destination, key.destinationVersion)
            + [("request_protocol", "tcp")]
    }

    private func writeMesh(to text: inout MetricsText) {
        let own = records.counts
        text.single("mesh_ready", .gauge, "1 once the workload may run.", stage == .ready ? 1 : 0)
        text.single(
            "mesh_handshakes_total", .counter, "Handshakes with peers that succeeded.", counters.handshakes)
        text.single("mesh_sessions", .gauge, "Sessions with peers, dials included.", links.count)
        text.single(
            "mesh_decision_epoch", .gauge, "Raised whenever a decision may change.",
            node.decisionEpoch.number)
        writePolicyMetrics(to: &text)
        writeIdentity(to: &text)
        if let certificate = credentials?.current.certificate {
            text.single(
                "mesh_certificate_not_after_seconds", .gauge, "When the certificate ends, as Unix time.",
                certificate.notAfter.seconds)
        }
        text.single(
            "mesh_certificate_renewal_failures_total", .counter, "Certificates that weren't renewed.",
            counters.renewalFailures)
        Driver.writeReasons(
            "mesh_flows_cut_total", "Open flows that a sidecar ended.", metrics.cuts, to: &text)
        Driver.writeReasons(
            "mesh_flows_refused_total", "Flows that never opened.", metrics.refused, to: &text)
        text.single("mesh_denied_total", .counter, "Ports that were denied.", metrics.denied)
        text.single(
            "mesh_connections_refused_total", .counter, "Connections refused at a limit.",
            counters.refusedConnections)
        text.single("mesh_records_written_total", .counter, "Records on disk.", own.written)
        text.single(
            "mesh_records_lines_total", .counter, "Lines on disk: records, signatures and gaps.", own.lines)
        text.single(
            "mesh_records_signatures_total", .counter, "Signatures over records.", own.signatures)
        text.single(
            "mesh_records_gaps_total", .counter, "Gaps on record: lines that say how many were lost.",
            own.gaps)
        text.single(
            "mesh_records_pressed", .gauge,
            "1 while records can't be written or the queue is nearly full; with records: required, no flow opens.",
            node.isRecordingPressed ? 1 : 0)
        text.family("mesh_queue_drops_total", .counter, "What a full queue or disk refused.") { family in
            family.sample([("queue", "records")], own.dropped)
            family.sample([("queue", "disk")], own.failed)
            family.sample([("queue", "names")], names.refusedCount)
            if let spans { family.sample([("queue", "spans")], spans.queue.droppedCount) }
        }
        if let spans {
            text.single(
                "mesh_spans_sent_total", .counter, "Spans that the collector took.", spans.queue.sentCount)
        }
    }

    private static func writeReasons(
        _ name: String, _ help: String, _ counts: [CloseReason: UInt64], to text: inout MetricsText
    ) {
        text.family(name, .counter, help) { family in
            for (reason, count) in counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
                family.sample([("reason", reason.name)], count)
            }
        }
    }

    private func writeProcess(to text: inout MetricsText) {
        let pages = SmallFile.read("/proc/self/statm").map { String(decoding: $0, as: UTF8.self) }
        if let resident = pages?.split(separator: " ").dropFirst().first.flatMap({ UInt64($0) }) {
            text.single(
                "process_resident_memory_bytes", .gauge, "Resident memory.",
                resident * UInt64(sysconf(Int32(_SC_PAGESIZE))))
        }
        let secrets = SecretMemory.pages
        text.family("mesh_secret_memory_bytes", .gauge, "Pages of keys, by whether they are locked.") {
            family in
            family.sample([("locked", "yes")], secrets.locked)
            family.sample([("locked", "no")], secrets.unlocked)
        }
        text.single(
            "mesh_confinement_failures", .gauge, "What the kernel wouldn't let this process give up.",
            counters.confinementFailures)
        var used = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used)
        text.family("process_cpu_seconds_total", .counter, "CPU time used.") { family in
            family.sample([], seconds: Double(used.tv_sec) + Double(used.tv_nsec) / 1e9)
        }
        text.single(
            "process_start_time_seconds", .gauge, "When the sidecar started, as Unix time.",
            startedAt.wall.seconds)
        text.single(
            "process_max_fds", .gauge, "Descriptors that it may have.", counters.descriptorsMaximum)
    }
}
