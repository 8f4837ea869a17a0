// The mask plan of this host, now.

import Glibc
import SidecarProtocol

extension MaskPlan {
    static func survey(
        _ configuration: WorkloadConfiguration, configurationFile: String?, paths: MeshPaths, account: Account
    ) throws(LaunchFailure) -> MaskPlan {
        let temporary = Folders.environment("TMUX_TMPDIR") ?? "/tmp"
        return try MaskPlan(
            candidates: candidates(
                own: [paths.runtime, paths.state, paths.config],
                sessionFolder: Folders.environment("XDG_RUNTIME_DIR"), userID: account.userID,
                multiplexers: Folders.list(temporary).filter { $0.hasPrefix("tmux-") }
                    .map { temporary + "/" + $0 }),
            configurationFile: configurationFile, sockets: configuration.sockets, look: look)
    }

    private static func look(_ path: String) -> (path: String, kind: Kind)? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        var status = stat()
        guard stat(real, &status) == 0 else { return nil }
        return (String(cString: real), status.st_mode & S_IFMT == S_IFDIR ? .folder : .file)
    }
}
