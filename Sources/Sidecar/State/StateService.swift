// The workload's state, as the event loop sees it: connections and messages in, messages and news out.

import Glibc
import Logging
import NIOCore
import SidecarProtocol
import Transport

/// Starts the state's threads and passes between them and the event loop. All calls come on the event loop.
final class StateService {
    /// What the state's thread says; called on the event loop.
    enum Event: Sendable {
        case send([UInt8], to: InstanceID)
        /// Everything that was on disk has been read.
        case opened
        /// The state can't be served any more, or never could.
        case failed(String)
    }

    struct Settings: Sendable {
        var slot: StateSlot
        var group: StateGroup
        var configuration: WorkloadConfiguration.State
    }

    private let loop: StateLoop
    /// Owned by the state's thread, and touched there only.
    private let keeper = KeeperBox()

    private final class KeeperBox: @unchecked Sendable { var keeper: StateKeeper? }

    init(
        _ settings: Settings, logger: Logger, eventLoop: any EventLoop, handler: @escaping (Event) -> Void
    ) throws(SystemError) {
        loop = try StateLoop()
        let handler = NIOLoopBound(handler, eventLoop: eventLoop)
        let box = keeper
        try loop.start { loop in
            let keeper = StateKeeper(settings, loop: loop, logger: logger) { event in
                eventLoop.execute { handler.value(event) }
            }
            box.keeper = keeper
            keeper.start()
            return keeper
        }
    }

    private func post(_ work: @escaping @Sendable (StateKeeper) -> Void) {
        loop.post { [keeper] in if let keeper = keeper.keeper { work(keeper) } }
    }

    // MARK: Connections

    /// A listening, non-blocking socket, which is given away.
    func listen(_ socket: Int32) { loop.post { [loop] in loop.listen(socket) } }

    /// A connection that was accepted elsewhere; given away too.
    func adopt(_ socket: Int32, from address: String) {
        loop.post { [loop] in loop.adopt(socket, from: address) }
    }

    // MARK: Replicas

    func replicaUp(_ replica: InstanceID) { post { $0.replicaUp(replica) } }
    func replicaDown(_ replica: InstanceID) { post { $0.replicaDown(replica) } }
    func received(_ message: [UInt8], from replica: InstanceID) {
        post { $0.received(message, from: replica) }
    }

    // MARK: The end

    /// Writes what isn't on disk yet, and ends. False when the time has passed first.
    func close(atMost span: MonotonicTime.Span) -> Bool {
        let done = ThreadLock()
        let flag = Flag()
        post { keeper in
            keeper.close {
                done.lock()
                flag.isSet = true
                done.notify()
                done.unlock()
            }
        }
        done.lock()
        defer { done.unlock() }
        while !flag.isSet { guard done.wait(atMost: span) else { return false } }
        return true
    }

    private final class Flag: @unchecked Sendable { var isSet = false }
}
