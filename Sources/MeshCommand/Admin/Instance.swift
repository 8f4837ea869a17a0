// The instances that run, and which of them a name means.

import Glibc
import SidecarProtocol

/// A running instance, as its folder and its sidecar tell of it.
struct Instance {
    let folder: String
    /// The answer to `GET /status`, or why there is none.
    let status: Result<JSON, AdminFailure>

    var socket: String { folder + "/" + MeshPaths.adminSocketName }

    /// The folder's name: the first 16 digits of the instance id.
    var shortID: String {
        String(folder[(folder.lastIndex(of: "/").map(folder.index(after:)) ?? folder.startIndex)...])
    }

    var report: JSON { (try? status.get()) ?? .null }

    /// `namespace/name`; from the configuration in the folder where the sidecar is silent.
    var workload: String {
        report["workload"].text ?? configuration?.workload.description ?? "unknown"
    }

    /// The whole id, where the sidecar tells it.
    var id: String { report["instance"].text ?? shortID }

    /// Eight digits, as people read them.
    var label: String { String(id.prefix(8)) }

    var configuration: WorkloadConfiguration? {
        let path = folder + "/" + MeshPaths.configurationName
        let bytes = try? FileContent.read(path, atMost: Limits.configurationBytesMaximum * 2)
        return bytes.flatMap { try? WorkloadConfiguration(canonical: $0) }
    }

    /// What the command line gave that started it.
    var flags: LaunchFlags {
        let path = folder + "/" + MeshPaths.flagsName
        let bytes = try? FileContent.read(path, atMost: Limits.configurationBytesMaximum * 2)
        return bytes.flatMap { try? LaunchFlags(canonical: $0) } ?? LaunchFlags()
    }
}

extension Instance {
    /// Every instance that runs, by workload and then by id. Folders of ended ones are passed over. Root
    /// sees those too that its launcher has started for other users.
    static func all(in paths: MeshPaths) throws(Complaint) -> [Instance] {
        let folder = paths.instancesFolder
        if access(folder, R_OK | X_OK) != 0, errno != ENOENT {
            throw Complaint(
                "the instances in \(folder) can't be read: \(errorText(errno))",
                fix: "run this as the user whose mesh it is")
        }
        var folders = entries(of: folder).map { folder + "/" + $0 }
        if geteuid() == 0 { folders += ofOtherUsers(paths) }
        let answers = AdminClient.ask(
            folders.map { ($0 + "/" + MeshPaths.adminSocketName, AdminRequest.get("/status")) })
        var instances: [Instance] = []
        for (folder, answer) in zip(folders, answers) where answer != .failure(.gone) {
            let status = answer.flatMap { answer -> Result<JSON, AdminFailure> in
                answer.json.map { .success($0) } ?? .failure(.malformed)
            }
            instances.append(Instance(folder: folder, status: status))
        }
        return instances.sorted { ($0.workload, $0.shortID) < ($1.workload, $1.shortID) }
    }

    /// Folders of instances that were started with `user: NAME`. They are their users' own, who may put
    /// there what they like: nothing is followed out of them.
    private static func ofOtherUsers(_ paths: MeshPaths) -> [String] {
        let top = paths.runtime + "/user"
        return entries(of: top).flatMap { user -> [String] in
            guard let owner = uid_t(user) else { return [] }
            let instances = "\(top)/\(user)/instances"
            return entries(of: instances).map { instances + "/" + $0 }.filter { folder in
                let socket = folder + "/" + MeshPaths.adminSocketName
                return isOwn(instances, S_IFDIR, owner) && isOwn(folder, S_IFDIR, owner)
                    && isOwn(socket, S_IFSOCK, owner)
            }
        }
    }

    private static func isOwn(_ path: String, _ kind: mode_t, _ owner: uid_t) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == kind && status.st_uid == owner
    }

    /// The instances of one workload: `name`, `namespace/name`, or the beginning of an instance's id.
    static func named(_ name: String, in paths: MeshPaths) throws(Complaint) -> [Instance] {
        let all = try all(in: paths)
        let found = all.filter { $0.isCalled(name) }
        guard !found.isEmpty else {
            let running = Set(all.map(\.workload)).sorted()
            let near = Spelling.nearest(
                to: name, among: running.map { $0.split(separator: "/").last.map(String.init) ?? $0 })
            throw Complaint(
                "no instance of \"\(name)\" runs in \(paths.runtime)",
                fix: near.map { "did you mean \($0)?" }
                    ?? (running.isEmpty
                        ? "start it with mesh-launch" : "use one of: \(running.joined(separator: ", "))"))
        }
        let workloads = Set(found.map(\.workload)).sorted()
        guard workloads.count == 1 else {
            throw Complaint(
                "\"\(name)\" means several workloads", fix: "use one of: \(workloads.joined(separator: ", "))"
            )
        }
        return found
    }

    func isCalled(_ name: String) -> Bool {
        workload == name || workload.hasSuffix("/" + name)
            || (name.count >= 4 && id.hasPrefix(name.lowercased()))
    }
}
