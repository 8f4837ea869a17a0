// One instance at one moment, from its sidecar's status and metrics.

import SidecarProtocol

struct TopSample {
    let instance: Instance
    let peers: Int
    let flowsOpen: Int
    let opened: Double
    let sent: Double
    let received: Double
    let denied: Int
    let cut: Int
    /// Seconds.
    let processor: Double
    let memory: Int
    let recordsLost: Int
    let isPressed: Bool
    /// Milliseconds of a clock that never steps.
    let takenAt: Int

    struct Rates {
        var opened: Double
        var sent: Double
        var received: Double
        /// 1 is one processor.
        var processor: Double
    }

    static func all(in paths: MeshPaths) throws(Complaint) -> [TopSample] {
        let instances = try Instance.all(in: paths)
        let answers = AdminClient.ask(instances.map { ($0.socket, .get("/metrics")) })
        return zip(instances, answers).map { instance, answer in
            TopSample(instance, metrics: (try? answer.get())?.text ?? "", at: monotonicMilliseconds())
        }
    }

    init(_ instance: Instance, metrics: String, at time: Int) {
        self.instance = instance
        let sums = TopSample.sums(of: metrics)
        peers = instance.report["peers"].list.count
        flowsOpen = instance.report["flows_open"].integer ?? 0
        opened = sums["tcp_open_total"] ?? 0
        sent = sums["tcp_write_bytes_total"] ?? 0
        received = sums["tcp_read_bytes_total"] ?? 0
        denied = TopSample.count(sums["mesh_denied_total"])
        cut = TopSample.count(sums["mesh_flows_cut_total"])
        processor = sums["process_cpu_seconds_total"] ?? 0
        memory = TopSample.count(sums["process_resident_memory_bytes"])
        recordsLost = TopSample.count(sums["mesh_records_lost"])
        isPressed = (sums["mesh_records_pressed"] ?? 0) > 0
        takenAt = time
    }

    private static func count(_ value: Double?) -> Int { Int(exactly: (value ?? 0).rounded()) ?? 0 }

    /// The sum of each metric's samples; of what queues drop, those of records alone.
    private static func sums(of metrics: String) -> [String: Double] {
        var sums: [String: Double] = [:]
        for line in metrics.split(separator: "\n") where !line.hasPrefix("#") {
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...])
            else { continue }
            var name = String(line.prefix { $0 != "{" && $0 != " " })
            if name == "mesh_queue_drops_total" {
                guard line.contains("\"records\"") || line.contains("\"disk\"") else { continue }
                name = "mesh_records_lost"
            }
            sums[name, default: 0] += value
        }
        return sums
    }

    /// Since an earlier sample of the same sidecar process; without one, since that began.
    func rates(since before: TopSample?) -> Rates {
        let isSame =
            before?.instance.report["sidecar_pid"] == instance.report["sidecar_pid"]
            && before?.processor ?? .infinity <= processor
        let old = isSame ? before : nil
        let seconds =
            old.map { Double(max(1, takenAt - $0.takenAt)) / 1000 }
            ?? Double(max(1, instance.report["uptime_seconds"].integer ?? 1))
        return Rates(
            opened: (opened - (old?.opened ?? 0)) / seconds, sent: (sent - (old?.sent ?? 0)) / seconds,
            received: (received - (old?.received ?? 0)) / seconds,
            processor: (processor - (old?.processor ?? 0)) / seconds)
    }

    func json(since before: TopSample?) -> JSON {
        .object([
            "workload": .text(instance.workload), "instance": .text(instance.id),
            "state": .text(instance.state), "peers": .number(peers), "flows_open": .number(flowsOpen),
            "flows_opened": .number(TopSample.count(opened)), "bytes_sent": .number(TopSample.count(sent)),
            "bytes_recv": .number(TopSample.count(received)), "denied": .number(denied), "cut": .number(cut),
            "cpu_ms": .number(TopSample.count(processor * 1000)), "memory_bytes": .number(memory),
            "records_lost": .number(recordsLost), "records_pressed": .bool(isPressed),
            "uptime_seconds": .number(instance.report["uptime_seconds"].integer ?? 0),
        ])
    }
}
