// What may be left of a mesh once its programs have ended: nothing.

import Foundation
import Glibc
import Testing

struct Leftovers {
    private let mesh: Mesh
    private let networks: Set<String>

    init(of mesh: Mesh, networks: Set<String>) {
        self.mesh = mesh
        self.networks = networks
    }

    /// Waits a while for everything to be gone; records an issue for what isn't, and ends it.
    func check() async {
        let deadline = ContinuousClock.now + .seconds(10)
        var found = all()
        while !found.isEmpty, ContinuousClock.now < deadline {
            try? await Task.sleep(for: .milliseconds(20))
            found = all()
        }
        guard !found.isEmpty else { return }
        Issue.record("left over of \(mesh.folder):\n\(found.joined(separator: "\n"))")
        for process in processes() { kill(process.pid, SIGKILL) }
    }

    /// What there is now, a line each.
    func all() -> [String] {
        processes().map { "process \($0.pid): \($0.words)" }
            + mesh.instanceFolders.map { "instance folder \($0)" } + sockets() + mounts() + namespaces()
    }

    /// Processes with the mesh's mark in their environment, or started from its own executables.
    private func processes() -> [(pid: pid_t, words: String)] {
        Leftovers.processIDs().compactMap { pid in
            let words = ProcessFile.read("/proc/\(pid)/cmdline").replacingOccurrences(of: "\0", with: " ")
            let program = Link.target(of: "/proc/\(pid)/exe")
            let mark = "MESH_TEST_MARK=\(mesh.folder)"
            let isOurs =
                words.contains(mesh.folder + "/") || program?.hasPrefix(mesh.folder + "/") == true
                || ProcessFile.read("/proc/\(pid)/environ").split(separator: "\0").contains { $0 == mark }
            // A process that has ended, and whose parent is still to ask, has no words.
            return isOurs && pid != getpid() && !words.isEmpty ? (pid, words) : nil
        }
    }

    /// Unix sockets that somebody listens on, and their names.
    private func sockets() -> [String] {
        let bound = ProcessFile.read("/proc/net/unix").split(separator: "\n")
            .filter { $0.contains(mesh.folder + "/") }.map { "socket \($0)" }
        let names = FileManager.default.enumerator(atPath: mesh.runtime)?.compactMap { $0 as? String } ?? []
        return bound
            + names.filter { $0.hasSuffix(".sock") }.map { "socket \(mesh.runtime)/\($0)" }
    }

    private func mounts() -> [String] {
        ProcessFile.read("/proc/self/mountinfo").split(separator: "\n").filter {
            $0.contains(mesh.folder + "/")
        }
        .map { "mount \($0)" }
    }

    /// Network namespaces of workloads in which some process still lives.
    private func namespaces() -> [String] {
        guard !networks.isEmpty else { return [] }
        return Leftovers.processIDs().compactMap { pid in
            let network = Link.target(of: "/proc/\(pid)/ns/net")
            guard let network, networks.contains(network), !isAnothers(pid) else { return nil }
            return "\(network) by process \(pid)"
        }
    }

    /// The kernel gives the number of a namespace that is gone to the next one, which may be another test's.
    private func isAnothers(_ pid: pid_t) -> Bool {
        let words = ProcessFile.read("/proc/\(pid)/cmdline").split(separator: "\0")
        let variables = ProcessFile.read("/proc/\(pid)/environ").split(separator: "\0")
        return (words + variables).contains { word in
            guard let place = word.range(of: Mesh.folderPrefix) else { return false }
            return !word[place.lowerBound...].hasPrefix(mesh.folder)
        }
    }

    private static func processIDs() -> [pid_t] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc")
        return (names ?? []).compactMap { pid_t($0) }
    }
}
