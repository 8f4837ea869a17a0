import ArgumentParser
import SidecarProtocol

struct RecordsVerify: Verb {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Say whether records files are as their sidecars wrote them.",
        discussion: """
            Each line carries a hash over itself and the line before, over rotated files too: a line that was \
            changed, taken out, put in or moved is found, with its file and number. The sidecar signs the chain \
            when it begins, every 64 lines or each minute, and at its end, with the certificate that it has \
            then: so a series that was written anew is found too, and who wrote it is proved. The last lines of \
            a sidecar that was killed are unsigned, and lines cut off behind the last signature aren't seen \
            (of a workload that runs, its sidecar is asked how many it wrote): a note says so, and with \
            --strict it counts as a finding.

            Exit codes: 0 intact; 1 something is changed, missing, moved, torn, or not signed as it should be; \
            2 a file can't be read, or nothing has that name.
            """)

    @Argument(
        help: """
            A records file, whose older ones beside it are checked too; or the records of NAME, NAMESPACE/NAME \
            or an instance. All of this user's without it.
            """, completion: .workloads)
    var subject: String?

    @Flag(help: "Of an instance that has ended, the last line must be its closing signature.")
    var strict = false

    @Option(
        name: .customLong("bundle"),
        help: ArgumentHelp(
            "Another trust bundle that signers may belong to, such as one of another host or of before the roots "
                + "changed; may be repeated.", valueName: "file"), completion: .file())
    var bundleFiles: [String] = []

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let written = LinesWritten(in: options.place.paths)
        let bundles = try bundles()
        let verdicts = try series().map { (series) throws(Complaint) in
            try SeriesVerdict(
                OpenSeries(series.base), written: written.count(of: series), bundles: bundles,
                mustEnd: strict && !written.runs(series))
        }
        let isIntact = verdicts.allSatisfy(\.isIntact)
        let json = JSON.object(["intact": .bool(isIntact), "series": .list(verdicts.map(\.json))])
        let text =
            verdicts.isEmpty ? "There are no records.\n" : verdicts.map(\.text).joined()
        return Answer(text: options.json ? "\(json)\n" : text, exitCode: isIntact ? 0 : 1)
    }

    /// The trust domain's own, where there is one, and those that are named.
    private func bundles() throws(Complaint) -> [TrustBundle] {
        let own = options.place.paths.trustBundleFile
        let paths = (FileStatus(own) == nil ? [] : [own]) + bundleFiles
        return try paths.map { (path) throws(Complaint) in
            let bytes = try FileContent.read(path, atMost: Limits.trustBundleBytesMaximum + 1)
            do { return try TrustBundle(canonical: bytes) } catch {
                throw Complaint(
                    "\(path) isn't a trust bundle: \(error)",
                    fix: "name a copy of a state folder's trust/bundle",
                    exitCode: 2)
            }
        }
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
    private var running: Set<String> = []

    init(in paths: MeshPaths) {
        let folders = entries(of: paths.instancesFolder)
        let answers = AdminClient.ask(
            folders.map { ("\(paths.instancesFolder)/\($0)/\(MeshPaths.adminSocketName)", .get("/metrics")) })
        for (folder, answer) in zip(folders, answers) {
            let name = "mesh_records_lines_total "
            let line = (try? answer.get())?.text.split(separator: "\n").first { $0.hasPrefix(name) }
            if (try? answer.get()) != nil { running.insert(folder) }
            counts[folder] = line.flatMap { Int($0.dropFirst(name.count)) }
        }
    }

    /// Nil where nobody runs who would know.
    func count(of series: RecordSeries) -> Int? { counts[String(series.instance.prefix(16))] }

    func runs(_ series: RecordSeries) -> Bool { running.contains(String(series.instance.prefix(16))) }
}

/// What was found of one series.
struct SeriesVerdict {
    private let series: RecordSeries
    private let chain: RecordChain
    private let signatures: RecordSignatures
    private let missingAtEnd: Int
    /// The end should be signed, and isn't.
    private let lacksEnd: Bool

    /// - Parameters:
    ///   - written: lines that the sidecar says it wrote, where it runs.
    ///   - mustEnd: whether an end without its signature is a finding.
    init(
        _ open: OpenSeries, written: Int?, bundles: [TrustBundle], mustEnd: Bool
    ) throws(Complaint) {
        series = open.series
        var chain = RecordChain(mayLackBeginning: series.mayLackBeginning)
        var signatures = RecordSignatures(
            bundles: bundles, instance: series.instance, mayLackBeginning: series.mayLackBeginning)
        try open.readLines { line, end, file, number in
            let before = chain.previous ?? RecordChain.beginning
            chain.add(line, end, file: file, number: number)
            signatures.add(line, end, after: before, file: file, number: number)
        }
        self.signatures = signatures
        lacksEnd = mustEnd && chain.lines > 0 && !signatures.isEnded
        if chain.wantsPlaces {
            try open.readLines { line, _, file, number in
                chain.offer(line, file: file, number: number)
            }
        }
        self.chain = chain
        // Files that were dropped held some of them.
        missingAtEnd = series.mayLackBeginning ? 0 : max(0, (written ?? 0) - chain.lines)
    }

    var isIntact: Bool { findings.isEmpty }

    private struct Finding {
        var file: Int
        var line: Int
        var kind: String
        var what: String
    }

    private var findings: [Finding] {
        var found = chain.breaks.map {
            Finding(file: $0.file, line: $0.line, kind: $0.kind.rawValue, what: what($0))
        }
        found += signatures.findings.map {
            Finding(file: $0.file, line: $0.line, kind: $0.kind.rawValue, what: $0.what)
        }
        found.sort { ($0.file, $0.line, $0.kind) < ($1.file, $1.line, $1.kind) }
        let last = series.paths.count - 1
        if missingAtEnd > 0 {
            found.append(Finding(file: last, line: chain.lines + 1, kind: "cut-off", what: missing))
        }
        if lacksEnd {
            found.append(Finding(file: last, line: chain.lines + 1, kind: "unsigned-end", what: unsignedEnd))
        }
        return found
    }

    private var findingCount: Int {
        chain.breakCount + signatures.findingCount + (missingAtEnd > 0 ? 1 : 0) + (lacksEnd ? 1 : 0)
    }

    private var unsignedEnd: String {
        "the end isn't signed: the sidecar was killed, or lines behind the last signature were cut off or changed"
    }

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
        var notes: [String] = []
        if !chain.isFirstLineProved, signatures.count == 0 {
            notes.append(
                "the oldest line's content can't be proved: files before it were dropped in due course")
        }
        if signatures.count > 0, !signatures.isAnybodyKnown {
            notes.append("who signed isn't proved: there is no trust bundle here; give one by --bundle")
        }
        let isSigned = signatures.count > 0 || signatures.isAnybodyKnown
        if chain.lines > 0, isSigned, !signatures.isEnded, !lacksEnd {
            let count = signatures.unsignedTail
            notes.append(
                count == 0
                    ? "it isn't closed: lines may follow, or were cut off"
                    : "the last \(count) lines aren't signed, or not yet, and lines may have been cut off behind them"
            )
        }
        return notes
    }

    private var authors: String {
        guard signatures.count > 0 else { return "" }
        return ", signed \(signatures.count) times by \(signatures.signers.joined(separator: ", "))"
    }

    var text: String {
        let files = series.paths.count == 1 ? "1 file" : "\(series.paths.count) files"
        let head = "\(series.workload) (\(series.label)): \(chain.lines) lines in \(files)\(authors), "
        let findings = findings
        var lines = [head + (findings.isEmpty ? "intact" : "NOT intact")]
        lines += findings.map {
            $0.kind == "cut-off" || $0.kind == "unsigned-end"
                ? "  \(name($0.file)): \($0.what)" : "  \(name($0.file)):\($0.line): \($0.what)"
        }
        if findingCount > findings.count {
            lines.append("  and \(findingCount - findings.count) more places")
        }
        lines += notes.map { "  note: \($0)" }
        return lines.map { Table.visible($0) + "\n" }.joined()
    }

    var json: JSON {
        let found = findings.map { found in
            JSON.object([
                "file": .text(name(found.file)), "line": .number(found.line), "kind": .text(found.kind),
                "what": .text(found.what),
            ])
        }
        return .object([
            "workload": .text(series.workload), "instance": .text(series.instance),
            "files": .list(series.paths.map(JSON.text)), "lines": .number(chain.lines),
            "signatures": .number(signatures.count), "signers": .list(signatures.signers.map(JSON.text)),
            "certificates": .number(signatures.serials.count), "closed": .bool(signatures.isEnded),
            "unsigned_lines": .number(signatures.unsignedTail),
            "intact": .bool(isIntact), "findings": .list(found), "findings_total": .number(findingCount),
            "notes": .list(notes.map(JSON.text)),
        ])
    }
}
