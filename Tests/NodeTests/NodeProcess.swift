// A built mesh-node in folders of its own, and what a test does with it.

import Foundation
import Glibc
import SidecarProtocol
import Testing

/// One node's folders, and its processes. Each test has its own; nothing of the user's is touched.
final class NodeProcess {
    let root: String
    let paths: MeshPaths
    var environment: [String: String] = [:]
    private var processes: [Subprocess] = []

    init() throws {
        // Short, since it begins the paths of sockets.
        var template = Array("/tmp/mn.XXXXXX".utf8CString)
        root = try #require(mkdtemp(&template).map { String(cString: $0) })
        paths = MeshPaths(
            runtime: root + "/run", state: root + "/state", config: root + "/config",
            cache: root + "/cache")
    }

    deinit {
        for process in processes { process.end(SIGKILL) }
        try? FileManager.default.removeItem(atPath: root)
    }

    /// Where SwiftPM puts the executables: beside the test's own.
    static func executable(_ name: String) -> String {
        var path = [UInt8](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count)
        let own = String(decoding: path.prefix(max(0, count)), as: UTF8.self)
        return own[..<(own.lastIndex(of: "/") ?? own.startIndex)] + "/" + name
    }

    /// Whether every folder above the executable may be entered by anyone.
    static func isReachableByOthers(_ name: String) -> Bool {
        var path = executable(name)
        while let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            var status = stat()
            guard stat(path, &status) == 0, status.st_mode & S_IXOTH != 0 else { return false }
            path = String(path[..<slash])
        }
        return true
    }

    var processEnvironment: [String: String] {
        ProcessInfo.processInfo.environment.merging(
            ["MESH_RUNTIME_DIR": paths.runtime, "MESH_STATE_DIR": paths.state]
        ) { $1 }.merging(environment) { $1 }
    }

    @discardableResult
    func start(_ arguments: [String] = []) throws -> Subprocess {
        let process = try Subprocess(
            NodeProcess.executable("mesh-node"), arguments, environment: processEnvironment)
        processes.append(process)
        return process
    }

    var log: String { (try? String(contentsOfFile: paths.nodeLog, encoding: .utf8)) ?? "" }
}

/// Asks again and again until it is so. False after 20 s, which is a failure and never a measurement.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < deadline {
        if try condition() { return true }
        usleep(2000)
    }
    return false
}

/// A blocking client of one of the node's sockets, for whole frames and for garbage.
final class RawClient {
    let descriptor: Int32

    /// Connects, waiting for the socket to be there.
    init(_ path: String) throws {
        var connected: Int32 = -1
        _ = eventually {
            connected = RawClient.connect(path)
            return connected >= 0
        }
        try #require(connected >= 0, "nobody listens at \(path)")
        descriptor = connected
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    static func connect(_ path: String) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if status == 0 { return descriptor }
        close(descriptor)
        return -1
    }

    func write(_ bytes: [UInt8]) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + written, $0.count - written, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            written += count
        }
    }

    func send(frame body: [UInt8]) {
        let count = UInt32(body.count)
        write([24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> UInt32($0)) } + body)
    }

    /// The next frame's body; nil at the end of the stream, or after 20 s.
    func frame() -> [UInt8]? {
        guard let head = read(4) else { return nil }
        return read(Int(head.reduce(0) { $0 << 8 | UInt32($1) }))
    }

    /// Whether the server closes, whatever it sends before.
    func isClosedByServer() -> Bool {
        while true {
            var byte: UInt8 = 0
            let count = recv(descriptor, &byte, 1, 0)
            if count == 0 || (count < 0 && errno == ECONNRESET) { return true }
            if count < 0 { return false }
        }
    }

    private func read(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let received = bytes.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress! + filled, count - filled, 0)
            }
            guard received > 0 else { return nil }
            filled += received
        }
        return bytes
    }
}

func children(of process: Int32) -> [Int32] {
    let path = "/proc/\(process)/task/\(process)/children"
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: " ").compactMap { Int32($0) }
}
