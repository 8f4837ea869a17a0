// What every verb that reports has in common.

import ArgumentParser
import Glibc

/// What a verb says, and how it ends.
struct Answer: Equatable {
    /// For standard output, with its last newline.
    var text: String
    var exitCode: Int32 = 0
    /// For standard error.
    var warning = ""
}

/// A verb that looks, answers once and ends.
protocol Verb: ParsableCommand {
    func answer() throws -> Answer
}

extension Verb {
    func run() throws { try say(try answer()) }

    func say(_ answer: Answer) throws {
        if !answer.warning.isEmpty { StandardError.write(answer.warning) }
        try StandardOutput.write(Array(answer.text.utf8))
        if answer.exitCode != 0 { throw ExitCode(answer.exitCode) }
    }
}

/// Options of a verb that reports on instances.
struct ReportOptions: ParsableArguments {
    @OptionGroup var place: PlaceOptions

    @Flag(help: "Answer in JSON.") var json = false
}
