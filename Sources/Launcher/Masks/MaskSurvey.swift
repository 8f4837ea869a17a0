// The mask plan of this host, now.

import Glibc
import SidecarProtocol

extension MaskPlan {
    static func survey(
        _ configuration: WorkloadConfiguration, configurationFile: String?, paths: MeshPaths, account: Account
    ) throws(LaunchFailure) -> MaskPlan {
        return try MaskPlan(
            candidates: candidates(
                own: [paths.runtime, paths.state, paths.config, paths.cache],
                sessionFolder: Folders.environment("XDG_RUNTIME_DIR"), userID: account.userID,
                multiplexers: multiplexers(account)),
            configurationFile: configurationFile, sockets: configuration.sockets, look: look)
    }

    /// The folders of tmux: one's own alone can be entered, but root can enter all.
    private static func multiplexers(_ account: Account) -> [String] {
        let parent = Folders.environment("TMUX_TMPDIR") ?? "/tmp"
        let names =
            account.userID == 0
            ? Folders.list(parent).filter { $0.hasPrefix("tmux-") } : ["tmux-\(account.userID)"]
        return names.map { parent + "/" + $0 }
    }

    private static func look(_ path: String) -> (path: String, kind: Kind)? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        var status = stat()
        guard stat(real, &status) == 0 else { return nil }
        return (String(cString: real), status.st_mode & S_IFMT == S_IFDIR ? .folder : .file)
    }
}
