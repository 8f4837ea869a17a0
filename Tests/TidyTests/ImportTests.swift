import Testing

/// Who may import whom: mains → shells → SidecarProtocol → CSodium and CCrypto (in Crypto/ alone).
@Suite("Imports")
struct ImportTests {
    static let nio: Set<String> = [
        "NIOCore", "NIOPosix", "NIOHTTP1", "NIOConcurrencyHelpers", "Logging",
    ]
    static let system: Set<String> = ["Glibc", "Synchronization", "CLinuxShims", "SidecarProtocol"]

    /// What each folder may import; a longer prefix stands before the shorter one that contains it.
    static let rules: [(prefix: String, allowed: Set<String>)] = [
        ("Sources/SidecarProtocol/Crypto/", ["CSodium", "CCrypto"]),
        ("Sources/SidecarProtocol/", []),
        ("Sources/Transport/", nio.union(system)),
        ("Sources/StateFiles/", system),
        ("Sources/Sidecar/", nio.union(system).union(["StateFiles", "Transport", "CSlirp", "CLua"])),
        ("Sources/Node/", nio.union(system).union(["Transport"])),
        ("Sources/Launcher/", system.union(["CNetlink"])),
        (
            "Sources/MeshCommand/",
            system.union(["StateFiles", "ArgumentParser", "Yams", "Foundation", "FoundationEssentials"])
        ),
        ("Sources/mesh-launch/", ["Launcher"]),
        ("Sources/mesh-sidecar/", ["Sidecar"]),
        ("Sources/mesh-node/", ["Node"]),
        ("Sources/mesh/", ["MeshCommand"]),
        ("Tests/Simulator/", ["SidecarProtocol"]),
    ]

    @Test("every folder imports only what the design gives it")
    func importsFollowTheDesign() {
        for file in SourceTree.swift {
            guard let rule = ImportTests.rules.first(where: { file.path.hasPrefix($0.prefix) }) else {
                #expect(!file.path.hasPrefix("Sources/"), "\(file.path): no rule says what it may import")
                continue
            }
            for (module, line) in file.code.imports {
                #expect(
                    rule.allowed.contains(module),
                    "\(file.path):\(line): \(rule.prefix) must not import \(module)")
            }
        }
    }

    @Test(
        "the core names no clock, randomness, thread or platform",
        arguments: [
            "Foundation", "NIO", "Glibc", "Dispatch", "Task", "Thread", "ContinuousClock", "SuspendingClock",
            "SystemRandomNumberGenerator", "random", "randomElement", "shuffled", "shuffle", "async", "await",
            "print", "arc4random", "getrandom", "clock_gettime",
        ])
    func coreIsPure(word: String) {
        for file in SourceTree.sources where file.path.hasPrefix("Sources/SidecarProtocol/") {
            let lines = file.code.lines(holding: word)
            #expect(lines.isEmpty, "\(file.path):\(lines.first ?? 0): `\(word)` in the pure core")
        }
    }

    @Test("nothing is public, and nothing is built with unchecked arithmetic")
    func accessStaysInThePackage() {
        for file in SourceTree.sources {
            let lines = file.code.lines(holding: "public")
            #expect(lines.isEmpty, "\(file.path):\(lines.first ?? 0): use `package` instead of `public`")
        }
        #expect(SourceTree.text(of: "Package.swift")?.contains("Ounchecked") == false)
    }

    @Test("a main is at most 15 lines")
    func mainsAreShort() {
        let mains = SourceTree.sources.filter { $0.parts.last == "main.swift" }
        #expect(mains.count == 4)
        for file in mains {
            #expect(file.lineCount <= 15, "\(file.path) has \(file.lineCount) lines")
        }
    }
}
