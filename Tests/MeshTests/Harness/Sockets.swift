import Foundation

/// The sockets that one process holds, as /proc shows them to root.
enum Sockets {
    /// Established TCP connections, as `local remote` in the kernel's hexadecimal.
    static func connections(of process: Int) -> [String] {
        let folder = "/proc/\(process)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        let inodes = Set(
            names.compactMap { Link.target(of: "\(folder)/\($0)") }
                .filter { $0.hasPrefix("socket:[") }.map { $0.dropFirst("socket:[".count).dropLast() })
        return ["tcp", "tcp6"].flatMap { table -> [String] in
            ProcessFile.read("/proc/\(process)/net/\(table)").split(separator: "\n").dropFirst().compactMap {
                line in
                let fields = line.split(separator: " ")
                // State 01 is established; the tenth field is the inode (proc(5)).
                guard fields.count > 9, fields[3] == "01", inodes.contains(fields[9]) else { return nil }
                return "\(fields[1]) \(fields[2])"
            }
        }
    }
}
