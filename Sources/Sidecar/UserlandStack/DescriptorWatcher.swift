import CLinuxShims
import Glibc
import NIOCore
import SidecarProtocol
import Transport

/// Says on an event loop when descriptors are readable that NIO has no channel for: a TAP whose frames
/// aren't to be read, a SEQPACKET socket that carries descriptors.
///
/// A thread waits for them all, and holds no state but the epoll descriptor. Each readability is said
/// once; whoever was told asks again when it is done, from the event loop and without waking the thread.
final class DescriptorWatcher: Sendable {
    private let epoll: Int32
    /// Closing it ends the thread.
    private let stopper: Int32

    /// - Parameter onReady: called on `eventLoop` with a descriptor that was watched. It may come late: for
    ///   a number that has since been closed, or given to another file.
    init(eventLoop: any EventLoop, onReady: @escaping (Int32) -> Void) throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        epoll = mesh_epoll_create()
        guard epoll >= 0 else { throw SystemError("epoll_create1") }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0, mesh_epoll_want_once(epoll, ends[0]) == 0 else {
            let failure = SystemError("socketpair")
            close(epoll)
            throw failure
        }
        stopper = ends[1]
        let onReady = NIOLoopBound(onReady, eventLoop: eventLoop)
        let (epoll, stopped) = (epoll, ends[0])
        try startThread(named: "descriptors") {
            DescriptorWatcher.wait(epoll, until: stopped) { ready in
                eventLoop.execute { for descriptor in ready { onReady.value(descriptor) } }
            }
        }
    }

    private static func wait(_ epoll: Int32, until stopped: Int32, tell: ([Int32]) -> Void) {
        var ready = [mesh_readiness](repeating: mesh_readiness(), count: 16)
        while true {
            let count = mesh_epoll_ready(epoll, &ready, 16, -1)
            let descriptors = ready.prefix(Int(max(0, count))).map(\.descriptor)
            guard count >= 0, !descriptors.contains(stopped) else { break }
            tell(descriptors)
        }
        close(epoll)
        close(stopped)
    }

    /// Tells the next readability of `descriptor`; it must be open.
    func watchOnce(_ descriptor: Int32) { _ = mesh_epoll_want_once(epoll, descriptor) }

    /// Before `descriptor` is closed, or where nobody wants to hear of it any more.
    func forget(_ descriptor: Int32) { _ = mesh_epoll_remove(epoll, descriptor) }

    /// Ends the thread. Nothing may be asked of the watcher afterwards.
    func stop() { close(stopper) }
}
