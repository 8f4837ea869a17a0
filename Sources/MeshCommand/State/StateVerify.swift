import ArgumentParser
import SidecarProtocol

struct StateVerify: Verb {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read a state's files, and say whether they are whole.",
        discussion: """
            Every record and every piece of a snapshot has a checksum. A write that was interrupted at the end of \
            the log is no damage: it was never acknowledged, and the next start drops it. Nothing is changed.

            Exit codes: 0 whole; 1 a file is damaged, or the log wouldn't open; 2 there is no such state, or it \
            can't be read.
            """)

    @Argument(
        help: "A workload, whose replicas on this host are all checked, or a replica's folder (/… or ./…).",
        completion: .workloads)
    var subject: String

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let slots = try StateSubject(subject, in: options.place.paths).slots()
        let verdicts = try slots.map { (slot) throws(Complaint) in try StateVerdict(slot) }
        guard verdicts.contains(where: \.holdsState) else {
            throw Complaint(
                "\(subject) holds no state", fix: "name a workload that has one, or a replica's folder",
                exitCode: 2)
        }
        let isWhole = verdicts.allSatisfy(\.isWhole)
        let json = JSON.object(["whole": .bool(isWhole), "replicas": .list(verdicts.map(\.json))])
        return Answer(
            text: options.json ? "\(json)\n" : verdicts.map(\.text).joined(separator: "\n"),
            exitCode: isWhole ? 0 : 1)
    }
}

/// What was found in one replica's folder.
struct StateVerdict {
    private let folder: String
    private let report: StateReport

    init(_ folder: String) throws(Complaint) {
        self.folder = folder
        report = try StateReport(reading: folder)
    }

    /// A launch that was refused leaves a folder without one.
    var holdsState: Bool { !report.files.isEmpty || report.opening != nil || report.refusal != nil }

    /// A torn end is as it should be after a crash.
    var isWhole: Bool { report.refusal == nil && report.opening?.damage == nil }

    var text: String {
        var text = "\(folder)\n"
        for file in report.files {
            let records = file.records.map { "\($0.lowerBound) to \($0.upperBound)" } ?? "none"
            text += "  \(file.name): \(file.bytes) bytes, records \(records)"
            text += file.fault.map { "; \($0)" } ?? ""
            text += "\n"
        }
        // The replica's name belongs there, and is none of the log's files.
        for other in report.others where other != "replica" { text += "  \(other): not read\n" }
        return text + "  \(conclusion)\n"
    }

    private var conclusion: String {
        if let refusal = report.refusal { return "damaged: \(refusal)" }
        guard let opening = report.opening else { return "holds no state yet" }
        return "whole: \(opening.last) records" + (report.wasClosedInOrder ? ", closed in order" : "")
    }

    var json: JSON {
        .object([
            "folder": .text(folder), "whole": .bool(isWhole),
            "closed_in_order": .bool(report.wasClosedInOrder),
            "records": report.opening.map { .number(String($0.last)) } ?? .null,
            "refusal": report.refusal.map { .text($0.description) } ?? .null,
            "files": .list(
                report.files.map { file in
                    .object([
                        "name": .text(file.name), "bytes": .number(String(file.bytes)),
                        "first": file.records.map { .number(String($0.lowerBound)) } ?? .null,
                        "last": file.records.map { .number(String($0.upperBound)) } ?? .null,
                        "fault": file.fault.map { .text($0) } ?? .null,
                    ])
                }),
        ])
    }
}
