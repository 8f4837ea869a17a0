import CLinuxShims
import Glibc
import SidecarProtocol
import Testing
import Transport

@testable import Sidecar

/// A launcher's end of the control socket, and a thread that takes this process's own network namespace
/// for both of the workload's.
struct NamespaceFixture {
    static let isPermitted = geteuid() == 0

    let launcher: Int32
    let thread: NamespaceThread
    private let events: EventLog

    init() throws {
        var ends: [Int32] = [-1, -1]
        try #require(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0)
        launcher = ends[0]
        let log = EventLog()
        events = log
        thread = NamespaceThread(launcher: ends[1]) { log.add($0) }
        try thread.start()
    }

    /// Sends the namespaces, as mesh-launch does.
    func sendNetwork() throws {
        let own = open("/proc/self/ns/net", O_RDONLY)
        defer { close(own) }
        let message = LauncherMessage.network(SidecarNetwork(datapath: .veth, hasTAP: false, hasIPv6: false))
            .encoded()
        try #require(mesh_send(launcher, message, message.count, [own, own], 2) == message.count)
        try #require(
            events.waits { events in
                events.contains { if case .message(.network, nil) = $0 { true } else { false } }
            })
    }

    func waits(for condition: ([NamespaceEvent]) -> Bool) -> Bool { events.waits(condition) }
}

/// What the thread reported.
///
/// `@unchecked Sendable`: `events` is touched under `lock` only.
final class EventLog: @unchecked Sendable {
    private let lock = ThreadLock()
    private var events: [NamespaceEvent] = []

    func add(_ event: NamespaceEvent) {
        lock.withLock {
            events.append(event)
            lock.notify()
        }
    }

    func waits(_ condition: ([NamespaceEvent]) -> Bool) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        while !condition(events) {
            guard lock.wait(atMost: .seconds(10)) else { return false }
        }
        return true
    }
}

@Suite("The thread that enters namespaces")
struct NamespaceThreadTests {
    @Test(
        "sockets of every kind can be had, many times the stock",
        .enabled(if: NamespaceFixture.isPermitted, "entering a network namespace needs root"))
    func stock() throws {
        let fixture = try NamespaceFixture()
        try fixture.sendNetwork()
        var kinds = [SocketKind.meshTCP, .meshUDP, .workloadTCP, SocketKind(place: .mesh, use: .errors)]
        for kind in kinds {
            var twin = kind
            twin.isIPv6 = true
            kinds.append(twin)
        }
        for kind in kinds {
            for _ in 0..<Limits.blankSocketsMaximum * 3 { close(try fixture.thread.take(kind)) }
        }
        close(fixture.launcher)
    }

    @Test("a socket before the namespaces are there is refused")
    func early() throws {
        let fixture = try NamespaceFixture()
        #expect(throws: SystemError.self) { try fixture.thread.take(.meshTCP) }
        close(fixture.launcher)
    }

    @Test("messages come one by one, and then the launcher's end")
    func messages() throws {
        let fixture = try NamespaceFixture()
        for message in [LauncherMessage.workload(processID: 7), .finish(waitStatus: 256)] {
            let bytes = message.encoded()
            try #require(mesh_send(fixture.launcher, bytes, bytes.count, nil, 0) == bytes.count)
        }
        close(fixture.launcher)
        #expect(
            fixture.waits { events in
                guard events.count == 3, case .message(.workload(7), _) = events[0],
                    case .message(.finish(256), _) = events[1], case .launcherEnded = events[2]
                else { return false }
                return true
            })
    }

    @Test("a message that can't be read is named and skipped")
    func garbage() throws {
        let fixture = try NamespaceFixture()
        try #require(mesh_send(fixture.launcher, [0xFF], 1, nil, 0) == 1)
        let bytes = LauncherMessage.workload(processID: 7).encoded()
        try #require(mesh_send(fixture.launcher, bytes, bytes.count, nil, 0) == bytes.count)
        #expect(
            fixture.waits { events in
                guard events.count == 2, case .failed = events[0], case .message(.workload(7), _) = events[1]
                else { return false }
                return true
            })
        close(fixture.launcher)
    }
}
