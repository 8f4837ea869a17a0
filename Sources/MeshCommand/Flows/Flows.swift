import ArgumentParser
import Glibc
import SidecarProtocol

struct Flows: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Show flows: those that are open, those that ended, or each as it happens.",
        discussion: """
            A flow inside the mesh is told twice, once by each of its sidecars, under one flow id.

            Exit codes: 0 shown, also where there are none; 1 an instance doesn't answer, or the records \
            can't be read.
            """)

    @Flag(help: "Go on: a line for each record as it is written, until interrupted.") var watch = false
    @Flag(help: "Those of ended flows that the records still hold, the last ones last.") var ended = false

    @Option(help: "Only this workload: NAME, NAMESPACE/NAME or an instance's id.", completion: .workloads)
    var workload: String?

    @Option(help: "With --ended: at most this many.") var last: Int = 100

    @OptionGroup var options: ReportOptions

    func validate() throws {
        guard !(watch && ended) else { throw ValidationError("--watch and --ended exclude each other") }
        guard (1...100_000).contains(last) else {
            throw ValidationError("--last \(last) is not possible; use 1 to 100000")
        }
    }

    func run() throws {
        if watch { try FlowWatch(paths: options.place.paths, workload: workload, json: options.json).run() }
        try say(try answer())
    }

    func answer() throws -> Answer { ended ? endedFlows() : try openFlows() }

    private func openFlows() throws -> Answer {
        let all = try Instance.all(in: options.place.paths)
        let instances = all.filter { instance in workload.map(instance.isCalled) ?? true }
        let silent = instances.filter { (try? $0.status.get()) == nil }
        let warning = silent.map { "mesh: \($0.workload) (\($0.label)) doesn't answer; see mesh status\n" }
            .joined()
        let flows = Flow.live(of: instances).map { ($0.flow, $0.instance.workload, $0.instance.id) }
        return Answer(
            text: text(flows, none: "No flow is open."), exitCode: silent.isEmpty ? 0 : 1, warning: warning)
    }

    /// The last record of each flow that has ended.
    private func endedFlows() -> Answer {
        var found: [(Flow, String, String)] = []
        for file in RecordFile.all(in: options.place.paths) where workload.map(file.isCalled) ?? true {
            guard found.count < last else { break }
            for flow in file.tail(bytes: 1 << 18) where ["close", "denied", "refused"].contains(flow.event) {
                found.append((flow, file.workload, file.instance))
            }
        }
        found.sort { ($0.0.json["time"].text ?? "") < ($1.0.json["time"].text ?? "") }
        return Answer(text: text(Array(found.suffix(last)), none: "No ended flow is on record."))
    }

    private func text(_ flows: [(flow: Flow, workload: String, instance: String)], none: String) -> String {
        if options.json {
            let list = flows.map {
                $0.flow.json.adding(["workload": .text($0.workload), "instance": .text($0.instance)])
            }
            return "\(JSON.object(["flows": .list(list)]))\n"
        }
        guard !flows.isEmpty else { return none + "\n" }
        var table = FlowTable(ended: ended)
        for entry in flows { table.add(entry.flow, seenBy: entry.workload) }
        return table.text
    }
}

/// Follows the records files: what sidecars append, and files that are new.
struct FlowWatch {
    let paths: MeshPaths
    let workload: String?
    let json: Bool
    /// How far each file was read.
    private var offsets: [String: Int] = [:]

    init(paths: MeshPaths, workload: String?, json: Bool) {
        self.paths = paths
        self.workload = workload
        self.json = json
        for file in RecordFile.all(in: paths) { offsets[file.path] = FileStatus(file.path)?.size ?? 0 }
    }

    /// Until interrupted, or until nobody reads standard output any more.
    func run() throws -> Never {
        var watch = self
        while true {
            try StandardOutput.write(Array(watch.news().utf8))
            usleep(200_000)
        }
    }

    /// The records that were written since the last call, a line each.
    mutating func news() -> String {
        var text = ""
        for file in RecordFile.all(in: paths) where !file.isRotated && (workload.map(file.isCalled) ?? true) {
            let (flows, end) = file.lines(from: offsets[file.path] ?? 0, atMost: 4 << 20)
            offsets[file.path] = end
            for flow in flows {
                text +=
                    json
                    ? "\(flow.json.adding(["workload": .text(file.workload), "instance": .text(file.instance)]))\n"
                    : FlowTable.line(flow, seenBy: file.workload)
            }
        }
        return text
    }
}
