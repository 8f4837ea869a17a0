import ArgumentParser
import SidecarProtocol

struct DrillNoun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill", abstract: "Measure on canaries what must hold of real flows.",
        subcommands: [DrillCut.self])
}

struct DrillCut: Verb {
    static let configuration = CommandConfiguration(
        commandName: "cut",
        abstract: "Measure how long a withdrawn permission takes to cut its flows, on a sidecar that works.",
        discussion: """
            The workload's sidecar opens canary flows between two identities of their own, through sessions, \
            permits and TCP as real flows go, and beside them; then it withdraws the canaries' permission, at \
            the caller's and at the callee's side in turn. A sample is the time from a withdrawal until both \
            ends of a flow were cut. Real flows are neither touched nor decided anew.

            Exit codes: 0 every canary flow was cut, and no byte moved after; 1 one wasn't, or a byte did, or \
            the sidecar couldn't.
            """)

    @Argument(help: "NAME, NAMESPACE/NAME or an instance's id.", completion: .workloads)
    var workload: String

    @Option(help: "Cuts to measure, on each instance.") var samples: Int = 100

    @OptionGroup var options: ReportOptions

    func validate() throws {
        guard (1...Limits.drillSamplesMaximum).contains(samples) else {
            throw ValidationError(
                "--samples \(samples) is not possible; use 1 to \(Limits.drillSamplesMaximum)")
        }
    }

    func answer() throws -> Answer {
        var drill = DrillReport(workload: workload)
        // One after the other: sidecars of one host would measure each other.
        for instance in try Instance.named(workload, in: options.place.paths) {
            let answers = AdminClient.ask(
                [(instance.socket, .post("/drill", Array("\(samples)".utf8)))], patience: DrillCut.patience)
            switch answers[0] {
            case .success(let answer) where answer.isOK: drill.add(answer.json ?? .null)
            case .success(let answer): throw failure(instance, answer.text)
            case .failure(let why): throw failure(instance, "its sidecar " + why.description)
            }
        }
        guard let figures = DrillFigures(drill.samples) else {
            throw Complaint("no cut was measured", fix: "see the sidecar's log")
        }
        return Answer(
            text: options.json ? "\(drill.json(figures))\n" : drill.text(figures),
            exitCode: drill.isClean ? 0 : 1)
    }

    /// A step of a drill has five seconds; a round has five steps, and there are few rounds.
    private static let patience = 120_000

    private func failure(_ instance: Instance, _ what: String) -> Complaint {
        Complaint(
            "the drill on \(instance.workload) (\(instance.label)) failed: \(what)",
            fix: "see \(instance.folder)/\(MeshPaths.sidecarLogName)")
    }
}

/// The drills of a workload's instances, as one.
struct DrillReport {
    let workload: String
    /// Nanoseconds.
    private(set) var samples: [UInt64] = []
    private var lastByte = 0
    private var bytesAfterCut = 0
    private var instances = 0
    private var flows = 0

    init(workload: String) { self.workload = workload }

    mutating func add(_ told: JSON) {
        instances += 1
        samples += told["samples_ns"].list.compactMap { $0.integer.flatMap { UInt64(exactly: $0) } }
        lastByte = max(lastByte, told["last_byte_max_ns"].integer ?? 0)
        bytesAfterCut += told["bytes_after_cut"].integer ?? 0
        flows += told["flows_open"].integer ?? 0
    }

    var isClean: Bool { bytesAfterCut == 0 }

    private static func milliseconds(_ nanoseconds: UInt64) -> String {
        Amount.milliseconds(microseconds: Int(nanoseconds / 1000))
    }

    func text(_ figures: DrillFigures) -> String {
        let verdict =
            isClean
            ? "no byte moved at either end after it was cut"
            : "\(bytesAfterCut) BYTES MOVED after a cut"
        return Table.visible(
            "\(workload): \(figures.samples) cuts, p50 \(DrillReport.milliseconds(figures.p50)) ms, "
                + "p99 \(DrillReport.milliseconds(figures.p99)) ms, "
                + "max \(DrillReport.milliseconds(figures.maximum)) ms; \(verdict); "
                + "\(flows) real flows were open beside") + "\n"
    }

    /// Flat.
    func json(_ figures: DrillFigures) -> JSON {
        .object([
            "samples": .number(figures.samples),
            "p50_ms": .number(DrillReport.milliseconds(figures.p50)),
            "p99_ms": .number(DrillReport.milliseconds(figures.p99)),
            "max_ms": .number(DrillReport.milliseconds(figures.maximum)),
            "last_byte_max_ms": .number(DrillReport.milliseconds(UInt64(max(0, lastByte)))),
            "bytes_after_cut": .number(bytesAfterCut), "instances": .number(instances),
            "flows_open": .number(flows), "workload": .text(workload),
        ])
    }
}
