import ArgumentParser
import SidecarProtocol
import StateFiles

struct StateImportVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make a replica of a workload from an export.",
        discussion: """
            The workload must have no state on this host; its next start finds what was exported, and merges it with \
            its other replicas'. An export belongs to one workload of one trust domain; --adopt takes another's.

            A replica that the others refuse, since they have given it up, comes back with --anew: what the export \
            shows is written again, now, by a replica that is new to them. What they have removed since comes back too.

            Exit codes: 0 done; 1 it belongs to another workload, or can't be written; 2 the file isn't whole, or \
            there is a state already.
            """)

    @Argument(help: "The workload, NAME or NAMESPACE/NAME.", completion: .workloads)
    var subject: String

    @Argument(help: "What `mesh state export` wrote.", completion: .file())
    var file: String

    @Flag(help: "Take the state of another workload, or of another trust domain.")
    var adopt = false

    @Flag(help: "Write what the state shows as new changes, for replicas that refuse the old ones.")
    var anew = false

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let paths = options.place.paths
        let workload = try StateSubject(subject, in: paths).workload()
        let contents = try StateExportFile.read(file)
        let group = try group(of: workload, paths)
        guard adopt || contents.group == group else {
            throw Complaint(
                "\(file) is the state of another workload or trust domain, group \(contents.group)",
                fix: "name its workload, or add --adopt")
        }
        let folder = paths.stateDataFolder(workload)
        guard entries(of: folder).isEmpty else {
            throw Complaint(
                "\(folder) holds a state already, or what an import left that failed",
                fix: "move it away, or start the workload, which has it", exitCode: 2)
        }
        var log = try StateLogRun("\(folder)/slot-0", StateLogConfiguration(group: group, fsync: .none))
        let taken = anew ? try renewed(contents, log.folder) : contents
        if !taken.chunks.isEmpty { try log.restore(taken.chunks) }
        for record in taken.records { try log.append(record.payload, type: record.type) }
        try log.close()
        let json = JSON.object([
            "folder": .text("\(folder)/slot-0"), "records": .number(String(taken.records.count)),
        ])
        let text = "\(folder)/slot-0 holds the state; the next start of \(workload) finds it\n"
        return Answer(text: options.json ? "\(json)\n" : text)
    }

    private func renewed(
        _ contents: StateContents, _ folder: StateFolder
    ) throws(Complaint) -> StateContents {
        let seed = UInt64.random(in: .min ... .max)
        let now = Now(monotonic: MonotonicTime(nanoseconds: 0), wall: KeyFiles.exactNow())
        do { return try contents.anew(as: folder.replicaName(), at: now, seed: seed) } catch {
            throw Complaint("\(file) can't be written anew: \(error)", fix: "update mesh, or check the disk")
        }
    }

    private func group(of workload: WorkloadName, _ paths: MeshPaths) throws(Complaint) -> StateGroup {
        guard FileStatus(paths.trustBundleFile) != nil else {
            throw Complaint(
                "there is no trust domain in \(paths.state) yet, which the state would belong to",
                fix: "join one (mesh trust install), or let a first launch make a local one", exitCode: 1)
        }
        let bytes = try FileContent.read(
            paths.trustBundleFile, atMost: Limits.trustBundleBytesMaximum + 1)
        guard let bundle = try? TrustBundle(canonical: bytes),
            let group = StateGroup(ReplicaGroup.eventual(of: workload, in: bundle.id))
        else {
            throw Complaint("\(paths.trustBundleFile) isn't a trust bundle", fix: "see `mesh trust show`")
        }
        return group
    }
}
