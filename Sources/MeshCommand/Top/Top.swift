import ArgumentParser
import Glibc
import SidecarProtocol

struct Top: Verb {
    static let configuration = CommandConfiguration(
        abstract: "Watch the workloads that run here: their flows, traffic, processor time and memory.",
        discussion: """
            Redraws until interrupted; without a terminal it prints one table after another. Rates are those of \
            the time since the last drawing; with --once, those since each sidecar began.

            Exit codes: 0 shown, with --once or --json; 1 the instances can't be read, or standard output is \
            closed; else it ends by the signal that interrupts it.
            """)

    @Flag(help: "Show it once.") var once = false

    @Option(help: "Seconds between two drawings.") var interval: Double = 2

    @OptionGroup var options: ReportOptions

    func validate() throws {
        guard (0.2...3600).contains(interval) else {
            throw ValidationError("--interval \(interval) is not possible; use 0.2 to 3600")
        }
    }

    func run() throws {
        if once || options.json { return try say(try answer()) }
        let isTerminal = isatty(STDOUT_FILENO) == 1
        var before: [String: TopSample] = [:]
        while true {
            let samples = try TopSample.all(in: options.place.paths)
            let table = Top.text(samples, since: before)
            // Home, the table, and nothing below it: a cleared screen would flicker.
            let frame = isTerminal ? "\u{1B}[H" + Top.fitted(table) + "\u{1B}[J" : table + "\n"
            try StandardOutput.write(Array(frame.utf8))
            before = Dictionary(samples.map { ($0.instance.id, $0) }) { $1 }
            usleep(UInt32(interval * 1_000_000))
        }
    }

    func answer() throws -> Answer {
        let samples = try TopSample.all(in: options.place.paths)
        if options.json {
            let list = JSON.list(samples.map { $0.json(since: nil) })
            return Answer(text: "\(JSON.object(["instances": list]))\n")
        }
        return Answer(text: Top.text(samples, since: [:]))
    }

    static func text(_ samples: [TopSample], since before: [String: TopSample]) -> String {
        guard !samples.isEmpty else { return "No workload runs here.\n" }
        var table = Table([
            "WORKLOAD", "INSTANCE", "STATE", ">PEERS", ">FLOWS", ">OPENED/S", ">SENT/S", ">RECEIVED/S",
            ">DENIED", ">CUT", ">CPU%", ">MEMORY", "RECORDS",
        ])
        var open = 0
        for sample in samples {
            let rates = sample.rates(since: before[sample.instance.id])
            open += sample.flowsOpen
            table.add([
                sample.instance.workload, sample.instance.label, sample.instance.state, "\(sample.peers)",
                "\(sample.flowsOpen)", Top.decimal(rates.opened), Amount.bytes(Int(rates.sent)),
                Amount.bytes(Int(rates.received)), "\(sample.denied)", "\(sample.cut)",
                Top.decimal(rates.processor * 100), Amount.bytes(sample.memory),
                sample.isPressed ? "PRESSED" : sample.recordsLost > 0 ? "\(sample.recordsLost) lost" : "kept",
            ])
        }
        return "\(samples.count) instances, \(open) flows open, \(WallClock.rfc3339(WallClock.now()))\n"
            + table.text
    }

    private static func decimal(_ value: Double) -> String {
        let tenths = Int((max(0, min(value, 1e12)) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    /// Lines as the terminal has them; each clears what an earlier drawing left behind it.
    private static func fitted(_ text: String) -> String {
        var size = winsize()
        let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_row > 1
        let (rows, columns) = isKnown ? (Int(size.ws_row) - 1, Int(size.ws_col)) : (24, 0)
        return text.split(separator: "\n").prefix(rows).map { line in
            (columns > 0 ? String(line.prefix(columns)) : String(line)) + "\u{1B}[K\n"
        }.joined()
    }
}
