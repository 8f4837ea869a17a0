import Testing

@testable import SidecarProtocol

@Suite("What an issuer leaves for the next one")
struct SavedRightsTests {
    private func rights(_ processID: Int32, instances: [UInt8], grants: [UInt32] = []) throws -> SavedRights {
        let web = try WorkloadName(namespace: "default", name: "web")
        return SavedRights(
            processID: processID, startTime: UInt64(processID) * 10,
            instances: instances.map {
                .init(
                    id: TrustFixture.instance($0), workload: web,
                    configurationHash: [UInt8](repeating: $0, count: 32))
            }, grants: grants.map { IssuerGrant(userID: $0, workload: web) })
    }

    @Test("a log says what was added, and not what has ended")
    func log() throws {
        let (one, two) = (try rights(1, instances: [1, 2], grants: [1001]), try rights(2, instances: [3]))
        let log = one.lines + two.lines + two.line(.ended)
        #expect(try SavedRights.read(log: log).rights == [one])
        #expect(try SavedRights.read(log: log + two.lines).rights.count == 2)
        #expect(try SavedRights.read(log: []).rights.isEmpty)
    }

    @Test("a configuration that an instance was given later takes the place of the first")
    func changed() throws {
        var later = try rights(1, instances: [1])
        later.instances[0].configurationHash = [UInt8](repeating: 9, count: 32)
        let log = try rights(1, instances: [1]).lines + later.lines
        #expect(try SavedRights.read(log: log).rights == [later])
    }

    @Test("a torn last line is left out, wherever it was torn")
    func torn() throws {
        let (one, two) = (try rights(1, instances: [1]), try rights(2, instances: [2]))
        for count in 0..<two.lines.count {
            let read = try SavedRights.read(log: one.lines + two.lines.prefix(count))
            #expect(read.rights == [one] && read.isTorn == (count > 0))
        }
    }

    @Test("any other line that was changed, cut or added refuses the log, and is named")
    func corrupt() throws {
        let (one, two) = (try rights(1, instances: [1]), try rights(2, instances: [2]))
        let log = one.lines + two.lines
        for index in one.lines.indices.dropLast() {
            var changed = log
            changed[index] ^= 1
            #expect(throws: SavedRightsError.corrupt(line: 1)) { try SavedRights.read(log: changed) }
            changed = log
            changed.remove(at: index)
            #expect(throws: SavedRightsError.corrupt(line: 1)) { try SavedRights.read(log: changed) }
        }
        #expect(throws: SavedRightsError.corrupt(line: 2)) {
            try SavedRights.read(log: one.lines + [UInt8(ascii: "\n")] + two.lines)
        }
    }
}

@Suite("The interpreter that a script names")
struct ScriptInterpreterTests {
    @Test(
        "is read as the kernel reads it",
        arguments: [
            ("#!/bin/sh\necho", "/bin/sh", nil),
            ("#! /usr/bin/env python3 -u \nx", "/usr/bin/env", "python3 -u"),
            ("#!/bin/sh", "/bin/sh", nil), ("#!\t/bin/a\tb\n", "/bin/a", "b"), ("#!bin/sh\n", "bin/sh", nil),
        ] as [(String, String, String?)])
    func named(head: String, path: String, argument: String?) throws {
        let found = try #require(ScriptInterpreter.named(in: Array(head.utf8)))
        #expect(found.path == path && found.argument == argument)
    }

    @Test(
        "isn't there in a program, an empty line or none",
        arguments: ["", "#", "#!", "#!\n", "#!  \n/x", "\u{7f}ELF", "echo #!/bin/sh"])
    func none(head: String) { #expect(ScriptInterpreter.named(in: Array(head.utf8)) == nil) }

    @Test("may have a path of so many bytes, and not one more")
    func limit() {
        let longest = String(repeating: "a", count: Limits.interpreterPathBytesMaximum)
        #expect(ScriptInterpreter(path: longest, digest: nil) != nil)
        #expect(ScriptInterpreter(path: longest + "a", digest: nil) == nil)
        #expect(ScriptInterpreter(path: "", digest: nil) == nil)
        #expect(ScriptInterpreter(path: "/bin/sh", digest: [1]) == nil)
    }

    @Test("is in the certificate, which the first version could read without it")
    func certificate() throws {
        let fixture = try TrustFixture()
        var contents = try fixture.leafContents()
        let interpreter = try #require(
            ScriptInterpreter(path: "/usr/bin/python3", digest: [UInt8](repeating: 5, count: 32)))
        contents.executable = .init(
            digest: [UInt8](repeating: 4, count: 32), attested: .own, interpreter: interpreter)
        let leaf = try contents.signed(by: fixture.issuerKeys)
        #expect(try Certificate(canonical: leaf.encoded).executable == contents.executable)
        contents.executable?.interpreter?.path = String(
            repeating: "a", count: Limits.interpreterPathBytesMaximum + 1)
        #expect(throws: CertificateError.self) { try contents.signed(by: fixture.issuerKeys) }
    }
}
