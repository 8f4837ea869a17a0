import CLinuxShims
import Foundation
import Node
import Sidecar
import Testing
import Transport

/// docs/CONFINEMENT.md lists what each process may call, from the tables that its filter is made of.
///
/// `MESH_WRITE_TABLES=1` writes the lists anew instead of comparing them.
@Suite("The list of system calls")
struct DocumentTests {
    private static let file = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "docs/CONFINEMENT.md")

    static let roles: [(name: String, calls: [SystemCall])] = [
        ("sidecar", Confinement.sidecarCalls), ("node", Confinement.nodeCalls),
        ("issuer", Confinement.issuerCalls), ("scripts", Confinement.scriptsCalls),
    ]

    @Test("is the one of the documentation")
    func isDocumented() throws {
        var text = try String(contentsOf: Self.file, encoding: .utf8)
        let sections = Self.roles.map { ($0.name, Self.table($0.calls)) } + [("deadly", Self.deadly())]
        for (name, wanted) in sections {
            let begin = try #require(text.range(of: "<!-- \(name): begin -->\n"))
            let end = try #require(text.range(of: "\n<!-- \(name): end -->"))
            if ProcessInfo.processInfo.environment["MESH_WRITE_TABLES"] == "1" {
                text.replaceSubrange(begin.upperBound..<end.lowerBound, with: wanted)
                try text.write(to: Self.file, atomically: true, encoding: .utf8)
            } else {
                #expect(text[begin.upperBound..<end.lowerBound] == wanted, "\(name)")
            }
        }
    }

    @Test("holds no call twice with the same arguments, and fits the filter")
    func isTidy() {
        for role in Self.roles {
            let keys = role.calls.map { "\($0.name) \($0.extent.map(String.init(describing:)) ?? "")" }
            #expect(Set(keys).count == keys.count, "\(role.name)")
            #expect(keys.count <= Int(MESH_SYSCALL_RULES_MAXIMUM))
        }
    }

    private static func table(_ calls: [SystemCall]) -> String {
        let rows = calls.map { call in
            "| `\(call.name)` | \(call.extent.map(String.init(describing:)) ?? "") | \(call.reason) |"
        }
        return (["| call | only | because of |", "| --- | --- | --- |"] + rows.sorted())
            .joined(separator: "\n")
    }

    private static func deadly() -> String {
        var names: [String] = []
        var number: Int32 = 0
        while let name = mesh_seccomp_deadly(names.count, &number) { names.append(String(cString: name)) }
        return names.sorted().map { "`\($0)`" }.joined(separator: " ")
    }
}
