import Foundation
import Testing

@Suite("Documents")
struct DocumentTests {
    @Test(
        "what a newcomer looks for is there",
        arguments: [
            "README.md", "LICENSE", "SECURITY.md", "CHANGELOG.md", "Makefile", ".ci/run",
            "docs/ARCHITECTURE.md", "docs/DEPENDENCIES.md",
        ])
    func exists(path: String) {
        #expect(SourceTree.text(of: path)?.isEmpty == false, "\(path) is missing or empty")
    }

    @Test("every package that is built upon has its reasons in docs/DEPENDENCIES.md, with its version")
    func dependenciesAreExplained() throws {
        let manifest = try #require(SourceTree.text(of: "Package.swift"))
        let reasons = try #require(SourceTree.text(of: "docs/DEPENDENCIES.md"))
        let packages = manifest.matches(of: /url: "[^"]*\/([^"\/]+)", exact: "([^"]+)"/)
        #expect(packages.count == manifest.ranges(of: ".package(url:").count, "pin every package exactly")
        for package in packages {
            let line = reasons.split(separator: "\n").first {
                $0.contains(package.output.1) && $0.contains(package.output.2)
            }
            #expect(line != nil, "\(package.output.1) \(package.output.2) is not explained")
        }
        for library in ["libsodium", "libslirp", "libnl-route-3", "libcrypto"] {
            #expect(reasons.contains(library), "\(library) is not explained")
        }
    }

    @Test("every document is linked from the README or the architecture")
    func documentsAreLinked() throws {
        let readme = try #require(SourceTree.text(of: "README.md"))
        let architecture = try #require(SourceTree.text(of: "docs/ARCHITECTURE.md"))
        for file in SourceTree.files where file.path.hasPrefix("docs/") && file.path.hasSuffix(".md") {
            let name = String(file.path.dropFirst("docs/".count))
            guard name != "ARCHITECTURE.md" else {
                #expect(readme.contains("](docs/ARCHITECTURE.md"))
                continue
            }
            #expect(
                readme.contains("](\(file.path)") || architecture.contains("](\(name)"),
                "\(file.path) is linked from nowhere")
        }
    }

    @Test("a link inside the tree leads somewhere")
    func linksResolve() {
        for file in SourceTree.files where file.path.hasSuffix(".md") {
            let folder = SourceTree.root.appending(path: file.path).deletingLastPathComponent()
            for link in file.text.matches(of: /\]\(([^)#\s]+)(?:#[^)]*)?\)/) {
                let target = String(link.output.1)
                guard !target.contains("://"), !target.hasPrefix("mailto:") else { continue }
                let there = folder.appending(path: target).path(percentEncoded: false)
                #expect(
                    FileManager.default.fileExists(atPath: there), "\(file.path): nothing at \(target)")
            }
        }
    }

    @Test("each make command of the documents is a target of the Makefile")
    func commandsExist() throws {
        let makefile = try #require(SourceTree.text(of: "Makefile"))
        let phony = try #require(makefile.firstMatch(of: /\.PHONY: (.*)/)).output.1
        let targets = Set(phony.split(separator: " ").map(String.init))
        for target in targets {
            #expect(makefile.contains("\n\(target):"), "the Makefile declares \(target) but has no rule")
        }
        for file in SourceTree.files where file.path.hasSuffix(".md") {
            for command in file.text.matches(of: /(?:`|\n    |sudo )make ([a-z][a-z-]*)/) {
                let target = String(command.output.1)
                #expect(targets.contains(target), "\(file.path): there is no `make \(target)`")
            }
        }
    }

    @Test("the two commands stand at the top of the README")
    func commandsAreFirst() throws {
        let readme = try #require(SourceTree.text(of: "README.md"))
        let top = readme.split(separator: "\n", omittingEmptySubsequences: false).prefix(25)
            .joined(separator: "\n")
        #expect(top.contains("make demo") && top.contains("make test"))
    }

    @Test("the change log has a place for what isn't released")
    func changeLogIsOpen() throws {
        #expect(try #require(SourceTree.text(of: "CHANGELOG.md")).contains("## [Unreleased]"))
    }

    @Test("scripts are bash, executable and free of syntax errors")
    func scriptsParse() throws {
        let scripts = SourceTree.files.filter { file in
            file.text.hasPrefix("#!") && file.lines.first?.contains("python") == false
        }
        #expect(scripts.contains { $0.path == ".ci/run" })
        for script in scripts {
            let path = SourceTree.root.appending(path: script.path).path(percentEncoded: false)
            #expect(FileManager.default.isExecutableFile(atPath: path), "\(script.path) is not executable")
            #expect(
                script.text.contains("\nset -") || script.path.hasPrefix("Tests/"),
                "\(script.path) goes on after an error: no `set -…`")
            let check = Process()
            check.executableURL = URL(filePath: "/bin/bash")
            check.arguments = ["-n", path]
            try check.run()
            check.waitUntilExit()
            #expect(check.terminationStatus == 0, "\(script.path) has a syntax error")
        }
    }
}
