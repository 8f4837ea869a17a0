import Foundation
import Glibc

/// Where the built executables of the mesh lie, for everybody to read.
enum Executables {
    static let names = ["mesh-launch", "mesh-sidecar", "mesh-node", "mesh"]

    /// The folder that `MESH_TEST_BIN` names, as Scripts/test sets it; else a copy of what SwiftPM put
    /// beside the test's own executable. The copy goes when this process ends.
    static let folder: Result<String, HarnessError> = {
        if let folder = ProcessInfo.processInfo.environment["MESH_TEST_BIN"] { return .success(folder) }
        do {
            return .success(try stage(from: besideTests()))
        } catch {
            return .failure(HarnessError("the executables can't be staged: \(error)"))
        }
    }()

    private static func besideTests() throws -> String {
        let arguments = CommandLine.arguments
        var candidates = [URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent().path]
        if let option = arguments.firstIndex(of: "--test-bundle-path"), option + 1 < arguments.count {
            candidates.insert(URL(filePath: arguments[option + 1]).deletingLastPathComponent().path, at: 0)
        }
        for folder in candidates where access(folder + "/mesh-launch", X_OK) == 0 { return folder }
        throw HarnessError("there is no mesh-launch in \(candidates); build, or set MESH_TEST_BIN")
    }

    private static func stage(from built: String) throws -> String {
        var template = Array("/tmp/mesh-test.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw HarnessError("mkdtemp: errno \(errno)") }
        let folder = String(cString: made)
        chmod(folder, 0o755)
        for name in names {
            try FileManager.default.copyItem(atPath: "\(built)/\(name)", toPath: "\(folder)/\(name)")
        }
        staged.path = folder
        atexit { if let path = Executables.staged.path { try? FileManager.default.removeItem(atPath: path) } }
        return folder
    }

    /// Written once, before any test; read once, after all.
    private final class Staged: @unchecked Sendable { var path: String? }
    private static let staged = Staged()

    /// Gives a mesh executables of its own, by which its processes are known: hard links, which cost
    /// nothing, or copies where the folders lie on different disks.
    static func link(into own: String) throws {
        let folder = try folder.get()
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
            guard names.contains(name) || name.contains(".so") else { continue }
            if Glibc.link("\(folder)/\(name)", "\(own)/\(name)") == 0 { continue }
            try FileManager.default.copyItem(atPath: "\(folder)/\(name)", toPath: "\(own)/\(name)")
        }
    }
}
