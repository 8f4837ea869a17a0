import ArgumentParser
import SidecarProtocol

struct StateRepair: Verb {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Give up what lies behind the damage in a replica's log.",
        discussion: """
            Everything before the damage is kept; files behind it stay under the name damaged-… . What other \
            replicas have of the rest comes back when they meet. A write that only this replica had is lost.

            Exit codes: 0 it opens now; 1 it can't be repaired; 2 there is no such state, or it is in use.
            """)

    @Argument(
        help: "A workload with one replica here, or a replica's folder (/… or ./…).", completion: .workloads)
    var subject: String

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let slot = try StateSubject(subject, in: options.place.paths).slot()
        guard let group = try StateReport(reading: slot).group else {
            throw Complaint("\(slot) holds no state", fix: "name another", exitCode: 2)
        }
        var log = try StateLogRun(
            slot, StateLogConfiguration(group: group, fsync: .always, repair: .keepPrefix))
        let opening = log.opening
        try log.close()
        let damage = opening?.damage.map(\.description)
        let json = JSON.object([
            "folder": .text(slot), "given_up": damage.map { .text($0) } ?? .null,
            "records": opening.map { .number(String($0.last)) } ?? .null,
        ])
        let text = damage.map { "given up: \($0)\n" } ?? "nothing was damaged\n"
        return Answer(
            text: options.json ? "\(json)\n" : text + "\(slot): \(opening?.last ?? 0) records are kept\n")
    }
}
