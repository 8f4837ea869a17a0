import SidecarProtocol

/// One thing that is wrong with a config file.
package struct ConfigurationProblem: Error, Hashable, Sendable {
    /// From 1.
    package let line: Int
    package let error: ConfigurationError

    package init(line: Int, _ error: ConfigurationError) {
        self.line = line
        self.error = error
    }

    package init(line: Int, _ what: String, fix: String) {
        self.init(line: line, ConfigurationError(what, fix: fix))
    }
}

/// All that is wrong with a config file, a line each: `FILE:LINE: what, with the value; the fix`.
package struct ConfigurationFailure: Error, Sendable, CustomStringConvertible {
    package let file: String
    package let problems: [ConfigurationProblem]

    package var description: String {
        problems.map { Table.visible("\(file):\($0.line): \($0.error)") }.joined(separator: "\n")
    }
}
