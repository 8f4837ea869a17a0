import ArgumentParser
import SidecarProtocol
import StateFiles

struct StateExportVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a replica's whole state into one file.",
        discussion: """
            The replica must not run meanwhile; others of the workload may. The file has a checksum for each of its \
            parts, and `mesh state import` makes a replica of it.

            Exit codes: 0 written; 1 the state is damaged, or the file can't be written; 2 there is no such state, \
            or it is in use.
            """)

    @Argument(
        help: "A workload with one replica here, or a replica's folder (/… or ./…).", completion: .workloads)
    var subject: String

    @Argument(help: "The file to write; it must not exist.", completion: .file())
    var file: String

    @OptionGroup var options: ReportOptions

    func answer() throws -> Answer {
        let slot = try StateSubject(subject, in: options.place.paths).slot()
        // Before it is locked, which leaves a file and takes the folder's mode back: it may be any folder.
        guard try StateReport(reading: slot).group != nil else {
            throw Complaint(
                "\(slot) holds no state that can be read", fix: "see `mesh state verify \(subject)`",
                exitCode: 2)
        }
        let folder: StateFolder
        do { folder = try StateFolder(path: slot) } catch {
            throw Complaint(error)
        }
        let contents: StateContents
        do {
            contents = try StateVerifier.contents { operation throws(DiskFailure) in
                try folder.perform(operation)
            }
        } catch {
            throw Complaint("\(slot) can't be exported: \(error)", fix: "see `mesh state verify \(subject)`")
        }
        var writer = StateExportWriter(group: contents.group)
        for chunk in contents.chunks { writer.append(chunk: chunk) }
        for record in contents.records {
            writer.append(record: record.payload, type: record.type, sequence: record.sequence)
        }
        writer.end()
        let bytes = writer.take()
        try StateExportFile.write(bytes, to: file)
        let json = JSON.object([
            "file": .text(file), "bytes": .number(String(bytes.count)),
            "records": .number(String(contents.records.count)),
        ])
        let text =
            "\(file): \(bytes.count) bytes, \(contents.chunks.count) pieces of a snapshot and "
            + "\(contents.records.count) records\n"
        return Answer(text: options.json ? "\(json)\n" : text)
    }
}
