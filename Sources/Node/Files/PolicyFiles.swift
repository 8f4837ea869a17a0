// The signed policy on this disk.
//
//   policy/current   the one in force, as signed
//   policy/rival     another of the same epoch, as long as the two stand against each other
//
// Both are public, and believed by their signatures alone; they are their owner's all the same, as
// everything of the state folder is.

import SidecarProtocol

enum PolicyFiles {
    /// What an earlier node has left, the one in force first.
    static func read(_ paths: MeshPaths) throws(FileError) -> [[UInt8]] {
        var policies: [[UInt8]] = []
        for path in [paths.policyFile, paths.rivalPolicyFile] {
            let bytes = try OwnFiles.read(path, byteCountMaximum: Limits.policyBytesMaximum)
            if let bytes { policies.append(bytes) }
        }
        return policies
    }

    /// Keeps the policy that has come, before anybody is told of it.
    ///
    /// - Parameter isRival: whether it stands against the one that is there.
    static func keep(_ bytes: [UInt8], isRival: Bool, _ paths: MeshPaths) throws(FileError) {
        try OwnFiles.makeFolder(paths.policyFolder)
        try OwnFiles.replace(isRival ? paths.rivalPolicyFile : paths.policyFile, with: bytes)
        // In this order: after a crash between the two, the settled rival is of an older epoch.
        if !isRival { try OwnFiles.remove(paths.rivalPolicyFile) }
    }
}
