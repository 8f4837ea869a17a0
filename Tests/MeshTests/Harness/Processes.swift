import Foundation
import Glibc

/// What /proc says of the host's processes.
enum Processes {
    static func children(of parent: Int) -> [Int] {
        ProcessFile.read("/proc/\(parent)/task/\(parent)/children").split(separator: " ").compactMap {
            Int($0)
        }
    }

    static func descendants(of parent: Int) -> [Int] {
        children(of: parent).flatMap { [$0] + descendants(of: $0) }
    }

    /// The real user id, as the host sees it.
    static func user(of process: Int) -> Int? { numbers("Uid", of: process).first }

    /// Private memory that can't be shared with other processes of its kind, in bytes.
    static func memory(of process: Int) -> Int { (numbers("RssAnon", of: process).first ?? 0) * 1024 }

    static func isAlive(_ process: Int) -> Bool {
        let state = field("State", of: process)
        return state != nil && state?.hasPrefix("Z") != true
    }

    static func isStopped(_ process: Int) -> Bool { field("State", of: process)?.hasPrefix("T") == true }

    private static func numbers(_ name: String, of process: Int) -> [Int] {
        (field(name, of: process) ?? "").split(whereSeparator: { $0 == "\t" || $0 == " " }).compactMap {
            Int($0)
        }
    }

    private static func field(_ name: String, of process: Int) -> String? {
        let line = ProcessFile.read("/proc/\(process)/status").split(separator: "\n").first {
            $0.hasPrefix(name + ":")
        }
        return line.map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
    }
}

enum ProcessFile {
    /// A file of /proc, whose length is told as zero; empty where it can't be read.
    static func read(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}

enum Link {
    /// Where a symbolic link leads, also one of /proc, whose length is told wrong.
    static func target(of path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &buffer, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}

extension Processes {
    /// The name of its program, as the kernel has it.
    static func name(of process: Int) -> String? {
        let text = ProcessFile.read("/proc/\(process)/comm")
        return text.isEmpty ? nil : String(text.dropLast())
    }

    /// Whether it is in the foreground of its terminal: its process group is the terminal's.
    static func isForeground(_ process: Int) -> Bool {
        let fields = ProcessFile.read("/proc/\(process)/stat").split(separator: ")").last?.split(
            separator: " ")
        // After the name: state, parent, group, session, terminal, the terminal's group (proc(5)).
        guard let fields, fields.count > 5 else { return false }
        return fields[2] == fields[5]
    }
}
