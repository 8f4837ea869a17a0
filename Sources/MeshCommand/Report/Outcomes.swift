/// What became of an order to several instances of a workload.
struct Outcomes {
    private let isJSON: Bool
    private var lines: [String] = []
    private var failures: [String] = []
    private var members: [JSON] = []
    private var exitCode: Int32 = 0

    init(json: Bool) { isJSON = json }

    mutating func add(_ instance: Instance, _ outcome: String, _ details: KeyValuePairs<String, JSON> = [:]) {
        lines.append("\(instance.workload) (\(instance.label)): \(outcome)\n")
        members.append(
            JSON.object([
                "workload": .text(instance.workload), "instance": .text(instance.id),
                "done": .bool(true),
                "outcome": .text(outcome),
            ]).adding(details))
    }

    mutating func fail(_ instance: Instance, _ what: String, fix: String) {
        exitCode = 1
        failures.append("mesh: \(instance.workload) (\(instance.label)) \(Table.visible(what)); \(fix)\n")
        members.append(
            .object([
                "workload": .text(instance.workload), "instance": .text(instance.id),
                "done": .bool(false),
                "error": .text(what), "fix": .text(fix),
            ]))
    }

    var answer: Answer {
        isJSON
            ? Answer(text: "\(JSON.object(["instances": .list(members)]))\n", exitCode: exitCode)
            : Answer(text: lines.joined(), exitCode: exitCode, warning: failures.joined())
    }
}
