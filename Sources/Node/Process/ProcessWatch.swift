// Waits for the ends of processes, and for signals, on the node's first thread.

import CLinuxShims
import Glibc
import Synchronization

/// An epoll of pidfds and of one signalfd. `watch` and `forget` may be called from any thread: the kernel
/// keeps the set. Only `run`'s thread reads events.
final class ProcessWatch: Sendable {
    enum Event {
        case signal(Int32)
        /// The process behind this token has ended; the watch on it is gone.
        case ended(Token)
    }

    struct Token: Hashable, Sendable {
        fileprivate let descriptor: Int32
        fileprivate let number: UInt32

        fileprivate var packed: UInt64 { UInt64(number) << 32 | UInt64(UInt32(bitPattern: descriptor)) }
        fileprivate init(descriptor: Int32, number: UInt32) {
            self.descriptor = descriptor
            self.number = number
        }
        fileprivate init(packed: UInt64) {
            descriptor = Int32(bitPattern: UInt32(truncatingIfNeeded: packed))
            number = UInt32(truncatingIfNeeded: packed >> 32)
        }
    }

    private struct State {
        var watched: Set<Token> = []
        var counter: UInt32 = 0
    }

    private let epoll: Int32
    private let signals: Int32
    private let state = Mutex(State())

    /// Blocks the signals for the whole process; call it before any thread is started.
    init(signals wanted: [Int32] = [SIGTERM, SIGINT]) throws(FileError) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in wanted { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signals = mesh_signal_descriptor(&set)
        guard signals >= 0 else { throw FileError("signalfd", call: "signalfd") }
        epoll = mesh_epoll_create()
        guard epoll >= 0 else { throw FileError("epoll", call: "epoll_create1") }
        guard mesh_epoll_add(epoll, signals, signalsToken) == 0 else {
            throw FileError("epoll", call: "epoll_ctl")
        }
    }

    /// Owns the pidfd from now on. Nil where the process can't be watched; the pidfd is closed then.
    func watch(pidfd: Int32) -> Token? {
        let token = state.withLock { state in
            // Never the number of the signals' token, whatever the descriptor.
            state.counter = state.counter == UInt32.max - 1 ? 1 : state.counter + 1
            let token = Token(descriptor: pidfd, number: state.counter)
            state.watched.insert(token)
            return token
        }
        guard mesh_epoll_add(epoll, pidfd, token.packed) == 0 else {
            close(pidfd)
            state.withLock { _ = $0.watched.remove(token) }
            return nil
        }
        return token
    }

    func forget(_ token: Token) {
        state.withLock { state in
            guard state.watched.remove(token) != nil else { return }
            _ = mesh_epoll_remove(epoll, token.descriptor)
            close(token.descriptor)
        }
    }

    /// Whether the process has ended, told or not: the event may be on its way still.
    func hasEnded(_ token: Token) -> Bool {
        // Under the lock, since the descriptor may be closed and be another's without it.
        state.withLock { state in
            guard state.watched.contains(token) else { return true }
            var question = pollfd(fd: token.descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&question, 1, 0) == 1
        }
    }

    /// Reports events, on this thread, for ever.
    func run(_ report: (Event) -> Void) -> Never {
        var tokens = [UInt64](repeating: 0, count: 64)
        while true {
            let count = mesh_epoll_wait(epoll, &tokens, Int32(tokens.count), -1)
            for packed in tokens.prefix(Int(max(0, count))) {
                if packed == signalsToken {
                    var signal = mesh_signal()
                    while mesh_read_signal(signals, &signal) == 0 { report(.signal(signal.number)) }
                } else {
                    let token = Token(packed: packed)
                    let isWatched = state.withLock { $0.watched.contains(token) }
                    guard isWatched else { continue }
                    forget(token)
                    report(.ended(token))
                }
            }
        }
    }
}

private let signalsToken = UInt64.max
