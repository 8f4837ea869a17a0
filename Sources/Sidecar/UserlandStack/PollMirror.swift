import CLinuxShims
import CSlirp
import Glibc

/// libslirp's poll list, kept in an epoll descriptor.
///
/// libslirp names every socket anew before each wait. Handing all of them to poll(2) costs the kernel a
/// walk over each; here only what has changed is said to it, and it names only what is ready.
final class PollMirror {
    let epoll: Int32
    private var entries: [Entry] = []
    /// Descriptors that the kernel knows of, and some that it has just forgotten.
    private var listed: [Int32] = []
    private var ready: [Int32] = []
    private var round: UInt32 = 0

    private struct Entry {
        /// SLIRP_POLL_*, as libslirp asked in `round`.
        var wanted: Int32 = 0
        /// What the kernel was asked.
        var asked: UInt32 = 0
        var round: UInt32 = 0
        var events: Int32 = 0
        var isListed = false
    }

    init(epoll: Int32) { self.epoll = epoll }

    func beginRound() { round &+= 1 }

    /// libslirp wants `events` of `descriptor`. Returns what it will ask by: the descriptor itself.
    func want(_ descriptor: Int32, _ events: Int32) -> Int32 {
        let index = Int(descriptor)
        if index >= entries.count {
            entries += Array(repeating: Entry(), count: index + 1 - entries.count)
        }
        entries[index].wanted = events
        entries[index].round = round
        let bits = PollMirror.kernelBits(events)
        guard entries[index].asked != bits else { return descriptor }
        let isKnown = entries[index].asked != 0
        if mesh_epoll_want(epoll, descriptor, bits, isKnown ? 1 : 0) == 0 {
            entries[index].asked = bits
            if !entries[index].isListed { listed.append(descriptor) }
            entries[index].isListed = true
        }
        return descriptor
    }

    /// Takes out what libslirp didn't name in this round.
    func endRound() {
        listed.removeAll { descriptor in
            let index = Int(descriptor)
            guard entries[index].asked == 0 || entries[index].round != round else { return false }
            forget(descriptor)
            entries[index].isListed = false
            return true
        }
    }

    /// Whether libslirp has bytes to write into the socket, as it said in this round.
    func hasToWrite(_ descriptor: Int32) -> Bool {
        let index = Int(descriptor)
        guard index >= 0, index < entries.count, entries[index].round == round else { return false }
        return entries[index].wanted & PollMirror.write.asked != 0
    }

    private func forget(_ descriptor: Int32) {
        let index = Int(descriptor)
        if entries[index].asked != 0 { _ = mesh_epoll_want(epoll, descriptor, 0, 1) }
        entries[index].asked = 0
        entries[index].events = 0
    }

    /// The descriptor is about to be closed: the kernel forgets it by itself.
    func willClose(_ descriptor: Int32) {
        let index = Int(descriptor)
        guard index >= 0, index < entries.count else { return }
        entries[index].asked = 0
        entries[index].events = 0
    }

    func markReady(_ descriptor: Int32, _ bits: UInt32) {
        let index = Int(descriptor)
        guard index < entries.count, entries[index].asked != 0 else { return }
        entries[index].events = PollMirror.events(bits, wanted: entries[index].wanted)
        ready.append(descriptor)
    }

    func events(of descriptor: Int32) -> Int32 {
        let index = Int(descriptor)
        return index >= 0 && index < entries.count ? entries[index].events : 0
    }

    func clearReady() {
        for descriptor in ready { entries[Int(descriptor)].events = 0 }
        ready.removeAll(keepingCapacity: true)
    }

    /// libslirp's bits, and the kernel's of the same meaning.
    private static let read = (asked: Int32(SLIRP_POLL_IN), kernel: UInt32(MESH_READY_IN))
    private static let write = (asked: Int32(SLIRP_POLL_OUT), kernel: UInt32(MESH_READY_OUT))
    private static let urgent = (asked: Int32(SLIRP_POLL_PRI), kernel: UInt32(MESH_READY_PRI))
    private static let fault = (asked: Int32(SLIRP_POLL_ERR), kernel: UInt32(MESH_READY_ERR))
    private static let hangUp = (asked: Int32(SLIRP_POLL_HUP), kernel: UInt32(MESH_READY_HUP))

    private static func kernelBits(_ events: Int32) -> UInt32 {
        // Faults come unasked; their bit says that somebody waits for them.
        var bits = fault.kernel
        if events & read.asked != 0 { bits |= read.kernel }
        if events & write.asked != 0 { bits |= write.kernel }
        if events & urgent.asked != 0 { bits |= urgent.kernel }
        return bits
    }

    /// Whoever isn't asked to read must not: libslirp ends its process when told to read a socket, be it by
    /// a fault or a hang-up, while its buffer is full. A write finds the same fault.
    private static func events(_ bits: UInt32, wanted: Int32) -> Int32 {
        guard wanted & read.asked != 0 else {
            let isReady = bits & (write.kernel | fault.kernel | hangUp.kernel) != 0
            return isReady ? wanted & write.asked : 0
        }
        var events: Int32 = 0
        if bits & read.kernel != 0 { events |= read.asked }
        if bits & write.kernel != 0 { events |= write.asked }
        if bits & urgent.kernel != 0 { events |= urgent.asked }
        if bits & fault.kernel != 0 { events |= fault.asked }
        if bits & hangUp.kernel != 0 { events |= hangUp.asked }
        return events & (wanted | fault.asked | hangUp.asked)
    }
}
