import Foundation

/// The repository as the tidiness tests read it: text files, by their path from its root.
struct SourceTree: Sendable {
    struct File: Sendable {
        /// From the root of the repository: `Sources/Sidecar/Admin/Admin.swift`.
        let path: String
        let text: String

        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
        /// Lines as an editor counts them: a final newline begins no line.
        var lineCount: Int { text.hasSuffix("\n") ? lines.count - 1 : lines.count }
        var isSwift: Bool { path.hasSuffix(".swift") }
        /// The file without comments and literals; of a Swift file only.
        var code: SwiftCode { SourceTree.code[path] ?? SwiftCode("") }
        /// The folders of the path, and the file's name last.
        var parts: [String] { path.split(separator: "/").map(String.init) }
    }

    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Every text file outside build and version-control folders.
    static let files: [File] = read()

    static var swift: [File] { files.filter(\.isSwift) }
    static var sources: [File] { swift.filter { $0.path.hasPrefix("Sources/") } }

    /// Every Swift file, read as code, by its path: reading is what takes the time.
    static let code: [String: SwiftCode] = Dictionary(
        uniqueKeysWithValues: swift.map { ($0.path, SwiftCode($0.text)) })

    /// The text of one file, or nil where there is none.
    static func text(of path: String) -> String? { files.first { $0.path == path }?.text }

    private static func read() -> [File] {
        let prefix = root.path(percentEncoded: false)
        guard
            let walk = FileManager.default.enumerator(
                at: root, includingPropertiesForKeys: [.isRegularFileKey, .fileSizeKey])
        else { return [] }
        var files: [File] = []
        for case let url as URL in walk {
            let name = url.lastPathComponent
            if name.hasPrefix(".build") || name == ".git" || name == ".swiftpm" {
                walk.skipDescendants()
                continue
            }
            let values = try? url.resourceValues(forKeys: [.isRegularFileKey, .fileSizeKey])
            guard values?.isRegularFile == true, (values?.fileSize ?? 0) < 4_000_000,
                name != "Package.resolved", let text = try? String(contentsOf: url, encoding: .utf8)
            else { continue }
            files.append(
                File(path: String(url.path(percentEncoded: false).dropFirst(prefix.count)), text: text))
        }
        return files.sorted { $0.path < $1.path }
    }
}
