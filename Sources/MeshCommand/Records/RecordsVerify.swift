import ArgumentParser
import SidecarProtocol

struct RecordsVerify: Verb {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Say whether records files are as their sidecars wrote them.",
        discussion: """
            Each line carries a hash over itself and the line before, over rotated files too: a line that was \
            changed, taken out, put in or moved is found, with its file and number. Nothing is signed, so the \
            chain can't show that lines were cut off at the very end of the newest file (of a workload that \
            runs, its sidecar is asked how many it wrote), nor that a whole series was written anew.

            Exit codes: 0 intact; 1 something is changed, missing, moved or torn; 2 a file can't be read, or \
            nothing has that name.
            """)

    @Argument(
        help: """
            A records file, whose older ones beside it are checked too; or the records of NAME, NAMESPACE/NAME \
            or an instance. All of this user's without it.
            """, completion: .workloads)
    var subject: String?

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let written = LinesWritten(in: options.place.paths)
        let verdicts = try series().map { (series) throws(Complaint) in
            try SeriesVerdict(OpenSeries(series.base), written: written.count(of: series))
        }
        let isIntact = verdicts.allSatisfy(\.isIntact)
        let json = JSON.object(["intact": .bool(isIntact), "series": .list(verdicts.map(\.json))])
        let text =
            verdicts.isEmpty ? "There are no records.\n" : verdicts.map(\.text).joined()
        return Answer(text: options.json ? "\(json)\n" : text, exitCode: isIntact ? 0 : 1)
    }

    private func series() throws(Complaint) -> [RecordSeries] {
        let files = RecordFile.all(in: options.place.paths)
        guard let subject else { return RecordSeries.all(of: files) }
        if let status = FileStatus(subject), !status.isFolder { return [RecordSeries(holding: subject)] }
        let found = RecordSeries.all(of: files.filter { $0.isCalled(subject) })
        guard !found.isEmpty else {
            throw Complaint(
                "\"\(subject)\" is neither a records file nor a workload with records in "
                    + "\(options.place.paths.state)/records",
                fix: "name one of \(Set(files.map(\.workload)).sorted().joined(separator: ", "))",
                exitCode: 2)
        }
        return found
    }
}

/// How many lines running sidecars say that they have written. Asked before the files are read, which
/// then have at least as many.
struct LinesWritten {
    private var counts: [String: Int] = [:]

    init(in paths: MeshPaths) {
        let folders = entries(of: paths.instancesFolder)
        let answers = AdminClient.ask(
            folders.map { ("\(paths.instancesFolder)/\($0)/\(MeshPaths.adminSocketName)", .get("/metrics")) })
        for (folder, answer) in zip(folders, answers) {
            let name = "mesh_records_written_total "
            let line = (try? answer.get())?.text.split(separator: "\n").first { $0.hasPrefix(name) }
            counts[folder] = line.flatMap { Int($0.dropFirst(name.count)) }
        }
    }

    /// Nil where nobody runs who would know.
    func count(of series: RecordSeries) -> Int? { counts[String(series.instance.prefix(16))] }
}

/// What was found of one series.
struct SeriesVerdict {
    private let series: RecordSeries
    private let chain: RecordChain
    private let missingAtEnd: Int

    /// - Parameter written: lines that the sidecar says it wrote, where it runs.
    init(_ open: OpenSeries, written: Int?) throws(Complaint) {
        series = open.series
        var chain = RecordChain(mayLackBeginning: series.mayLackBeginning)
        try open.readLines { chain.add($0, $1, file: $2, number: $3) }
        if chain.wantsPlaces {
            try open.readLines { line, _, file, number in
                chain.offer(line, file: file, number: number)
            }
        }
        self.chain = chain
        // Files that were dropped held some of them.
        missingAtEnd = series.mayLackBeginning ? 0 : max(0, (written ?? 0) - chain.lines)
    }

    var isIntact: Bool { chain.isIntact && missingAtEnd == 0 }

    private func name(_ file: Int) -> String {
        series.paths.indices.contains(file) ? series.paths[file] : "?"
    }

    private func what(_ found: RecordChain.Break) -> String {
        switch found.kind {
        case .changed:
            if found.line > 1 {
                return "the line was changed, or lines between it and the one before are missing"
            }
            return found.file == 0
                ? "this isn't how the records began: the line was changed, or lines before it are missing"
                : "it doesn't follow the end of \(name(found.file - 1)): that was cut off, a file between is "
                    + "missing, or the line was changed"
        case .moved:
            let (file, line) = found.follows ?? (0, 0)
            return "lines were moved, put in or repeated: this one was written after line \(line)"
                + (file == found.file ? "" : " of \(name(file))")
        case .unreadable: return "not a record with its hash: the line was changed or put in"
        case .torn: return "a part of a line: cut off, or torn when the sidecar or the machine died"
        case .begunAnew:
            return
                "the chain begins anew: lines are missing, or a replaced sidecar didn't find where to go on"
        }
    }

    private var missing: String {
        "\(missingAtEnd) lines are missing at the end: the sidecar says that it wrote "
            + "\(chain.lines + missingAtEnd)"
    }

    private var notes: [String] {
        chain.isFirstLineProved
            ? [] : ["the oldest line's content can't be proved: files before it were dropped in due course"]
    }

    var text: String {
        let files = series.paths.count == 1 ? "1 file" : "\(series.paths.count) files"
        let head = "\(series.workload) (\(series.label)): \(chain.lines) lines in \(files), "
        var lines = [head + (isIntact ? "intact" : "NOT intact")]
        lines += chain.breaks.map { "  \(name($0.file)):\($0.line): \(what($0))" }
        if chain.breakCount > chain.breaks.count {
            lines.append("  and \(chain.breakCount - chain.breaks.count) more places")
        }
        if missingAtEnd > 0 { lines.append("  \(name(series.paths.count - 1)): \(missing)") }
        lines += notes.map { "  note: \($0)" }
        return lines.map { Table.visible($0) + "\n" }.joined()
    }

    var json: JSON {
        var findings = chain.breaks.map { found in
            JSON.object([
                "file": .text(name(found.file)), "line": .number(found.line),
                "kind": .text(found.kind.rawValue),
                "what": .text(what(found)),
            ])
        }
        if missingAtEnd > 0 {
            findings.append(
                .object([
                    "file": .text(name(series.paths.count - 1)), "line": .number(chain.lines + 1),
                    "kind": .text("cut-off"), "what": .text(missing),
                ]))
        }
        return .object([
            "workload": .text(series.workload), "instance": .text(series.instance),
            "files": .list(series.paths.map(JSON.text)), "lines": .number(chain.lines),
            "intact": .bool(isIntact), "findings": .list(findings),
            "findings_total": .number(chain.breakCount + (missingAtEnd > 0 ? 1 : 0)),
            "notes": .list(notes.map(JSON.text)),
        ])
    }
}
