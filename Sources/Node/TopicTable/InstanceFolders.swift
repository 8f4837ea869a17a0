// Folders of instances whose sidecar and launcher are both gone.

import SidecarProtocol

/// Which folders are watched over, and when one may be removed: its sidecar has ended and not come back,
/// and its launcher has ended. Only an instance's own folder below this user's is ever removed.
struct InstanceFolders {
    private struct Folder {
        var path: String
        var launcherLives: Bool
        var hasLeft = false
    }

    private let paths: MeshPaths
    private var folders: [InstanceID: Folder] = [:]

    init(paths: MeshPaths) { self.paths = paths }

    /// False where the path isn't the instance's: it is left alone then.
    mutating func came(_ instance: InstanceID, _ path: String, launcherLives: Bool) -> Bool {
        guard path == paths.instanceFolder(instance) else { return false }
        folders[instance] = Folder(path: path, launcherLives: launcherLives)
        return true
    }

    /// - Returns: the folder to be removed now, if it is time.
    mutating func left(_ instance: InstanceID) -> String? {
        folders[instance]?.hasLeft = true
        return takeIfOver(instance)
    }

    mutating func launcherEnded(_ instance: InstanceID) -> String? {
        folders[instance]?.launcherLives = false
        return takeIfOver(instance)
    }

    /// Whether a launcher's end is waited for, to remove what its sidecar left.
    var isWaiting: Bool { folders.values.contains { $0.hasLeft } }

    private mutating func takeIfOver(_ instance: InstanceID) -> String? {
        guard let folder = folders[instance], folder.hasLeft, !folder.launcherLives else { return nil }
        folders[instance] = nil
        return folder.path
    }
}
