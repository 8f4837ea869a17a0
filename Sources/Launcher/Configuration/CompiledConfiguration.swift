// The config file in its canonical form: made by `mesh config compile`, kept by the hash of the file and
// of the trust bundle, whose domain a name in the file may spell out.
//
// YAML is read by a short-lived process, since its parser would cost each launcher more memory than all
// else in it. The cache makes that process needed once per content of a file.

import CLinuxShims
import Glibc
import SidecarProtocol

enum CompiledConfiguration {
    /// What the file says. The compiler's complaints, with file and line, go to standard error.
    static func load(
        _ path: String, paths: MeshPaths, account: Account, programs: Programs
    ) throws(LaunchFailure) -> WorkloadConfiguration {
        guard let content = SmallFile.read(path, limit: Limits.configurationBytesMaximum) else {
            throw LaunchFailure(
                "can't read the config file \(path): \(errorText(errno))",
                fix: errno == EFBIG ? "keep it under \(Limits.configurationBytesMaximum) bytes" : "")
        }
        let bundle = SmallFile.read(paths.trustBundleFile, limit: Limits.trustBundleBytesMaximum) ?? []
        let key = SHA256.hash(SHA256.hash(content) + SHA256.hash(bundle)).hex
        let kept = "\(paths.cache)/config/\(key)-\(WorkloadConfiguration.schema)"
        if let bytes = SmallFile.read(kept, limit: Limits.configurationBytesMaximum),
            let configuration = try? WorkloadConfiguration(canonical: bytes)
        {
            return configuration
        }
        let (bytes, configuration) = try compile(path, programs: programs)
        keep(bytes, as: kept, paths: paths, account: account)
        return configuration
    }

    private static func compile(
        _ path: String, programs: Programs
    ) throws(LaunchFailure) -> ([UInt8], WorkloadConfiguration) {
        var output: [UInt8] = []
        let words = [try programs.own("mesh"), "config", "compile", path]
        let status = WaitStatus(raw: try Spawn.run(words, output: &output))
        guard status == .exited(code: 0) else {
            throw LaunchFailure(
                "the config file \(path) can't be used",
                fix: status == .exited(code: 2)
                    ? "correct what is named above"
                    : "`\(words.joined(separator: " "))` ended with \(status.text)")
        }
        do {
            return (output, try WorkloadConfiguration(canonical: output))
        } catch {
            throw LaunchFailure(
                "`\(words.joined(separator: " "))` wrote what this launcher can't read (\(error))",
                fix: "install mesh and mesh-launch of one version")
        }
    }

    /// Best effort: without a cache the next launch compiles again.
    private static func keep(_ bytes: [UInt8], as path: String, paths: MeshPaths, account: Account) {
        let folder = paths.cache + "/config"
        do throws(LaunchFailure) {
            try Folders.make(paths.cache, owner: account.userID, setting: "MESH_CACHE_DIR")
            try Folders.make(folder, owner: account.userID, setting: "MESH_CACHE_DIR")
            let draft = "\(folder)/draft-\(getpid())"
            try SmallFile.make(draft, bytes)
            rename(draft, path)
        } catch {}
    }

    /// Replaces this process by one that prints the configuration as YAML.
    static func printAsYAML(_ configuration: WorkloadConfiguration, programs: Programs) throws(LaunchFailure)
        -> Never
    {
        let bytes = configuration.encoded()
        let file = try checked(mesh_memory_file("configuration"), "memfd_create")
        try checked(write(file, bytes, bytes.count), "can't write the configuration")
        lseek(file, 0, SEEK_SET)
        var output: [UInt8] = []
        let words = [try programs.own("mesh"), "config", "print"]
        let status = WaitStatus(raw: try Spawn.run(words, input: file, output: &output))
        guard status == .exited(code: 0) else {
            throw LaunchFailure("`\(words.joined(separator: " "))` ended with \(status.text)", fix: "")
        }
        StandardStreams.write(output, to: 1)
        exit(0)
    }
}
