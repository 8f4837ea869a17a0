import Foundation
import Testing

extension LaunchTests {
    @Suite("Under a service manager")
    struct ServiceManagerTests {
        @Test("the workload's notifications are passed on, but for process ids", arguments: Caller.possible)
        func notify(caller: Caller) throws {
            let bench = try Bench(caller)
            let name = "mesh-launch-test-\(UInt32.random(in: 0...UInt32.max))"
            bench.environment["NOTIFY_SOCKET"] = "@" + name
            bench.environment["WATCHDOG_PID"] = "1"
            let manager = try AbstractSocket(name)
            let script = """
                import os, socket
                s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                s.sendto(b"READY=1\\nMAINPID=2\\nSTATUS=serving", os.environ["NOTIFY_SOCKET"])
                barrier, other = os.pipe()
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, other.to_bytes(4, "little"))]
                s.sendmsg([b"BARRIER=1"], rights, 0, os.environ["NOTIFY_SOCKET"])
                os.close(other)
                assert os.read(barrier, 1) == b""
                print(os.environ["WATCHDOG_PID"] == str(os.getpid()))
                """
            let running = try bench.start(["--", "python3", "-c", script])
            #expect(manager.receive() == "READY=1\nSTATUS=serving")
            let finished = running.finish()
            #expect(finished.output == "True\n", "\(finished.errors)")
        }

        @Test("listening sockets of a service manager are refused")
        func listeners() throws {
            let bench = try Bench(Caller.possible[0])
            bench.environment["LISTEN_FDS"] = "1"
            let finished = try bench.script("true")
            #expect(finished.end == .exited(125))
            #expect(finished.errors.contains("LISTEN_FDS=1"))
            bench.environment["LISTEN_PID"] = "1"
            #expect(try bench.script("true").end == .exited(0), "meant for another process")
        }
    }
}

/// A datagram socket with an abstract name.
private final class AbstractSocket {
    private let socket: Int32

    init(_ name: String) throws {
        socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: [0] + Array(name.utf8)) }
        let size = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + 1 + name.utf8.count
        let bound = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, socklen_t(size)) }
        }
        try #require(bound == 0)
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(socket) }

    func receive() -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(socket, &buffer, buffer.count, 0)
        return String(decoding: buffer.prefix(max(count, 0)), as: UTF8.self)
    }
}
