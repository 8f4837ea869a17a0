// What the workload must not see of the host's file tree, as a value.
//
// Every masked place is a way around the network, or to the keys: sockets of mesh itself, of the session
// and system buses, of name services, container engines and terminal multiplexers. An empty tmpfs lies
// over a folder, /dev/null over a single socket. Since the mounts are made in user namespace A, before
// B is entered, they are locked in B: root inside can't undo them.

package struct MaskPlan: Equatable, Sendable {
    /// Something of the host that lies at a place inside.
    package struct Bind: Equatable, Sendable {
        package var source: String
        package var target: String
        package var isReadOnly: Bool

        package init(_ source: String, at target: String, isReadOnly: Bool) {
            self.source = source
            self.target = target
            self.isReadOnly = isReadOnly
        }
    }

    package enum Kind: Equatable, Sendable { case folder, file }

    /// Real paths, none inside another.
    package var folders: [String]
    package var files: [String]
    package var binds: [Bind]

    /// - Parameters:
    ///   - candidates: places that may exist.
    ///   - configurationFile: the config file; read-only where no mask hides it.
    ///   - sockets: unix sockets that stay reachable.
    ///   - look: a place's real path and kind; nil where there is nothing.
    package init(
        candidates: [String], configurationFile: String?, sockets: [String],
        look: (String) -> (path: String, kind: Kind)?
    ) throws(LaunchFailure) {
        var folders: Set<String> = []
        var files: Set<String> = []
        for candidate in candidates {
            guard let (path, kind) = look(candidate), path != "/" else { continue }
            switch kind {
            case .folder: folders.insert(path)
            case .file: files.insert(path)
            }
        }
        self.folders = folders.filter { path in
            !folders.contains { $0 != path && MaskPlan.holds($0, path) }
        }.sorted()
        let kept = self.folders
        self.files = files.filter { path in !kept.contains { MaskPlan.holds($0, path) } }.sorted()
        binds = []
        if let configurationFile, let (path, _) = look(configurationFile), !hides(path) {
            binds.append(Bind(path, at: path, isReadOnly: true))
        }
        for socket in sockets { try admit(socket, look) }
    }

    private mutating func admit(
        _ socket: String, _ look: (String) -> (path: String, kind: Kind)?
    ) throws(LaunchFailure) {
        guard let (path, _) = look(socket) else {
            throw LaunchFailure(
                "the socket \(socket) isn't there", fix: "start its service first, or take it out of sockets")
        }
        guard hides(path) else { return }
        binds.append(Bind(path, at: path, isReadOnly: false))
    }

    /// Whether a mask lies over this real path.
    package func hides(_ path: String) -> Bool {
        files.contains(path) || folders.contains { MaskPlan.holds($0, path) }
    }

    static func holds(_ folder: String, _ path: String) -> Bool {
        path == folder || path.hasPrefix(folder + "/")
    }

    /// The places of the design's "Masks" on any host.
    ///
    /// - Parameters:
    ///   - own: mesh's folders.
    ///   - sessionFolder: $XDG_RUNTIME_DIR, where it is set.
    ///   - multiplexers: the folders that tmux keeps its sockets in.
    package static func candidates(
        own: [String], sessionFolder: String?, userID: UInt32, multiplexers: [String]
    ) -> [String] {
        let services = [
            "mesh", "dbus", "nscd", "systemd", "screen", "docker", "containerd", "podman", "crio",
            "docker.sock", "containerd.sock", "podman.sock", "crio.sock",
        ]
        // Root could reach every user's session, another user only its own.
        let sessions = userID == 0 ? "/run/user" : "/run/user/\(userID)"
        return own + [sessions] + (sessionFolder.map { [$0] } ?? []) + multiplexers
            + services.flatMap { ["/run/\($0)", "/var/run/\($0)"] }
            + ["/var/lib/mesh", "/etc/mesh", "/var/cache/mesh"]
    }
}
