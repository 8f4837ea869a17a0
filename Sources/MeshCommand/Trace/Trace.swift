import ArgumentParser
import Glibc
import SidecarProtocol

struct Trace: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Join what both ends of a flow have on record: when, who, how much, and what differs.",
        discussion: """
            Looks through all records files that you can read, and asks the sidecars that run. Records of other \
            users or hosts are joined too where --records names their folder.

            Exit codes: 0 both ends say the same; 3 they differ, or one says nothing; 1 no flow, or more than \
            one, has that id.
            """)

    @Argument(help: "The first digits (4 at least) of a flow's id, as mesh flows shows it.")
    var flow: String

    @OptionGroup var records: RecordsOptions
    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        guard (4...32).contains(flow.utf8.count), flow.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            throw Complaint(
                "\"\(flow)\" is not the id of a flow", fix: "give 4 to 32 hexadecimal digits", exitCode: 64)
        }
        let (search, unread) = try found()
        let traces = search.traces.values.sorted { $0.id < $1.id }
        guard let trace = traces.first else {
            throw Complaint(
                "no flow here has an id that begins with \(flow)" + Trace.tell(unread),
                fix: "see mesh flows and mesh flows --ended")
        }
        guard traces.count == 1 else {
            let ids = traces.prefix(8).map { String($0.id.prefix(16)) }.joined(separator: ", ")
            throw Complaint(
                "\(search.isCrowded ? "more than " : "")\(traces.count) flows begin with \(flow): \(ids)",
                fix: "give more digits")
        }
        let report = TraceReport(trace)
        let warning = unread.isEmpty ? "" : "mesh: not read\(Trace.tell(unread))\n"
        return Answer(
            text: options.json ? "\(report.json)\n" : report.text, exitCode: report.exitCode,
            warning: warning)
    }

    private static func tell(_ unread: [String]) -> String {
        unread.isEmpty ? "" : " (\(unread.prefix(3).joined(separator: ", ")))"
    }

    /// The flows with such an id, and the files that couldn't be read.
    private func found() throws -> (search: FlowSearch, unread: [String]) {
        var search = FlowSearch(prefix: flow)
        let wanted = Array("\"flow_id\":\"\(flow.lowercased())".utf8)
        let unread = records.files(options.place.paths).forEachLine { file, line in
            let isWanted = wanted.withUnsafeBytes { line.index(of: $0) != nil }
            guard isWanted, let json = JSON(parsing: Array(line)) else { return }
            search.add(json, workload: file.workload, instance: file.instance)
        }
        for (instance, flow) in Flow.live(of: try Instance.all(in: options.place.paths)) {
            search.add(flow.json, workload: instance.workload, instance: instance.id, isLive: true)
        }
        return (search, unread)
    }
}
