/// Why a verb failed: what, with which value, and what to do.
package struct Complaint: Error, Equatable {
    let what: String
    let fix: String
    let exitCode: Int32

    init(_ what: String, fix: String, exitCode: Int32 = 1) {
        self.what = what
        self.fix = fix
        self.exitCode = exitCode
    }
}

extension Complaint: CustomStringConvertible {
    package var description: String { Table.visible("\(what); \(fix)") }
}
