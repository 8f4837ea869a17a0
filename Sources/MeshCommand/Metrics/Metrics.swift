import ArgumentParser
import SidecarProtocol

struct Metrics: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Merge the metrics of all instances, for Prometheus.",
        discussion: """
            Without --listen, prints them once. Each sample says its workload and instance; \
            mesh_instance_up says which instances answer.

            Exit codes: 0 printed; 1 an instance doesn't answer, or the address can't be listened on.
            """)

    @Option(help: "Answer scrapers at this address and port, such as 127.0.0.1:9464, until interrupted.")
    var listen: String?

    @OptionGroup var options: ReportOptions

    func run() throws {
        if let listen {
            let server = try MetricsServer(listen)
            StandardError.write("mesh: metrics at http://\(server.address)/metrics\n")
            let paths = options.place.paths
            server.serve { try? Metrics.text(in: paths).text }
        }
        try say(try answer())
    }

    func answer() throws -> Answer {
        let (text, isWhole) = try Metrics.text(in: options.place.paths)
        guard options.json else { return Answer(text: text, exitCode: isWhole ? 0 : 1) }
        let families = PrometheusText.families(in: text).map { family in
            JSON.object([
                "name": .text(family.name), "type": .text(family.type), "help": .text(family.help),
                "samples": .list(family.samples.map(Metrics.json)),
            ])
        }
        return Answer(text: "\(JSON.object(["families": .list(families)]))\n", exitCode: isWhole ? 0 : 1)
    }

    private static func json(_ sample: MetricSample) -> JSON {
        let labels = sample.labels.map { label in
            JSON.Member(key: label.name, value: JSON(parsing: Array(label.value.utf8)) ?? .text(label.value))
        }
        return .object([
            "name": .text(sample.name), "labels": .object(labels), "value": .text(sample.value),
        ])
    }

    /// All instances' metrics, and whether every instance answered.
    static func text(in paths: MeshPaths) throws(Complaint) -> (text: String, isWhole: Bool) {
        let instances = try Instance.all(in: paths)
        let answers = AdminClient.ask(instances.map { ($0.socket, .get("/metrics")) })
        var parts: [(labels: [(name: String, value: String)], text: String)] = []
        var isWhole = true
        for (instance, answer) in zip(instances, answers) {
            let text = (try? answer.get()).flatMap { $0.isOK ? $0.text : nil }
            if text == nil { isWhole = false }
            let up = """
                # HELP mesh_instance_up Whether the instance's sidecar answers.
                # TYPE mesh_instance_up gauge
                mesh_instance_up \(text == nil ? 0 : 1)

                """
            parts.append(
                ([("workload", instance.workload), ("instance", instance.label)], up + (text ?? "")))
        }
        return (PrometheusText.merged(parts), isWhole)
    }
}
