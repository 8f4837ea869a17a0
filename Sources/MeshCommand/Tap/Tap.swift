import ArgumentParser
import Glibc
import SidecarProtocol

struct Tap: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Follow a workload's flows: a line as each opens, closes or is refused.",
        discussion: """
            From now on, and until interrupted. Instances that start later are followed too.

            Exit codes: 1 nothing here has that name, or standard output is closed; else it ends by the signal \
            that interrupts it.
            """)

    @Argument(help: "NAME, NAMESPACE/NAME or an instance's id.", completion: .workloads)
    var workload: String

    @OptionGroup var options: ReportOptions

    func run() throws {
        var turn = try TapTurn(workload: workload, paths: options.place.paths, json: options.json)
        while true {
            try StandardOutput.write(Array(turn.news().utf8))
            usleep(50_000)
        }
    }

}

/// The files of one workload that are followed.
struct TapTurn {
    private let workload: String
    private let paths: MeshPaths
    private let json: Bool
    private var followers: [String: (file: RecordFile, follower: RecordFollower)] = [:]

    /// Begins at the end of what is there.
    init(workload: String, paths: MeshPaths, json: Bool) throws(Complaint) {
        self.workload = workload
        self.paths = paths
        self.json = json
        let files = TapTurn.files(workload, paths)
        if files.isEmpty {
            let instances = try Instance.named(workload, in: paths)
            // Root sees other users' sockets here, but their records lie in their own state folders.
            guard instances.contains(where: { $0.folder.hasPrefix(paths.instancesFolder + "/") }) else {
                throw Complaint(
                    "\(workload) is another user's, and so are its records",
                    fix: "name that user's state folder by --state-dir")
            }
        }
        for file in files {
            followers[file.path] = (file, RecordFollower(path: file.path, fromEnd: true))
        }
    }

    private static func files(_ workload: String, _ paths: MeshPaths) -> [RecordFile] {
        RecordFile.all(in: paths).filter { !$0.isRotated && $0.isCalled(workload) }
    }

    /// The lines of what has happened since the last call.
    mutating func news() -> String {
        for file in TapTurn.files(workload, paths) where followers[file.path] == nil {
            followers[file.path] = (file, RecordFollower(path: file.path, fromEnd: false))
        }
        var text = ""
        for path in followers.keys.sorted() {
            guard let (file, follower) = followers[path] else { continue }
            for line in follower.lines() {
                guard let tapped = TapLine(line) else { continue }
                text +=
                    json
                    ? tapped.json(toldBy: file.workload, instance: file.instance)
                    : tapped.text(toldBy: file.workload)
            }
        }
        return text
    }
}
