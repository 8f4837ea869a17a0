// `mesh-sidecar userland-stack`: the process that reads the workload's frames.
//
// Theory of operation
//
//   The sidecar starts it when the first frame comes, with its end of a socketpair as descriptor 3 and the
//   TAP as descriptor 4. Before it reads a byte of either it closes itself in: an empty root, a user
//   namespace without capabilities, and a list of system calls without open, exec or trace. It holds no
//   key. It stays in the host's network namespace, since allowed egress is libslirp's to dial.
//
//   One thread does everything in turn: libslirp says what it waits for, epoll waits for that, for the TAP
//   and for the sidecar's socket; then libslirp serves its sockets, and a bounded number of frames and
//   commands are taken. The pure `StackGate` judges every frame; its effects are carried out here. What
//   libslirp opens while it is given a frame belongs to the flow of that frame: that is how the far end of
//   a connection, which arrives at our own unix socket without any address, gets its four-tuple.
//
//   Back-pressure: while the sidecar's socket or the TAP takes nothing more, no frame is read, so that
//   every queue here is bounded by what one round can add. The workload's kernel then queues, and drops.

import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

package final class UserlandStack {
    private var gate: StackGate
    private var tap: TAPDevice
    private var channel: StackChannel
    private let listener: Int32
    private let epoll: Int32
    private var slirp: SlirpStack?
    /// What each of libslirp's sockets is of.
    private var flows: [Int32: StackFlow] = [:]
    private var sockets: [StackFlow: Int32] = [:]
    /// Finished connections of which libslirp had bytes to write when it was looked last.
    private var unwritten: [StackFlow] = []
    /// The flow whose frame libslirp is being given, and whether it has opened a socket meanwhile.
    private var current: (flow: StackFlow?, hasOpened: Bool) = (nil, false)
    /// Frames that libslirp gets once it has returned from the call that asked for them.
    private var injections: [[UInt8]] = []
    private var ready = [mesh_readiness](repeating: mesh_readiness(), count: 128)
    /// Storage for effects, while nobody uses it.
    private var spareEffects: [StackGate.Effect] = []
    private var isEnded = false
    /// Whether a socket was there since memory was last given back.
    private var mayHoldMemory = true
    private var complaintAt = MonotonicTime(nanoseconds: 0)

    private static let framesAtOnce = 64
    /// All that may wait: an end of a socket must not overtake the reset that was said before it.
    private static let commandsAtOnce = 2 * Limits.stackQueueMaximum

    /// - Parameter listener: where libslirp's connections to virtual addresses arrive; -1 on `veth`.
    package init?(
        own: IPv4Address, hardware: HardwareAddress, datapath: WorkloadConfiguration.Datapath,
        flowsMaximum: Int, channel: Int32, tap: Int32, listener: Int32
    ) {
        gate = StackGate(
            StackGate.Configuration(
                own: own, hardware: hardware, datapath: datapath, flowsMaximum: flowsMaximum))
        self.channel = StackChannel(descriptor: channel)
        self.tap = TAPDevice(descriptor: tap)
        self.listener = listener
        epoll = mesh_epoll_create()
        slirp = SlirpStack(poll: PollMirror(epoll: epoll), delegate: self)
        guard slirp != nil, epoll >= 0 else { return nil }
    }

    /// Returns when the sidecar has closed its end.
    package func run() {
        guard let slirp else { return }
        wait(for: channel.descriptor, writing: false, isKnown: false)
        wait(for: tap.descriptor, writing: false, isKnown: false)
        give(gate.announcement, to: slirp, flow: nil)
        report(.ready)
        while !isEnded { round(slirp) }
        channel.end()
    }

    private func round(_ slirp: SlirpStack) {
        let patience = slirp.prepareToWait { release(slirp) }
        let count = mesh_epoll_ready(epoll, &ready, Int32(ready.count), timeout(patience))
        if count == 0, isIdle, mayHoldMemory {
            mayHoldMemory = false
            mesh_return_memory()
        }
        var readsFrames = false
        // Where there is more to tell than room for it, the sidecar's may be left out.
        var readsCommands = count == ready.count
        for index in 0..<Int(max(0, count)) {
            let event = ready[index]
            switch event.descriptor {
            case tap.descriptor: readsFrames = true
            case channel.descriptor: readsCommands = true
            default: slirp.poll.markReady(event.descriptor, event.events)
            }
        }
        let wasBlocked = (tap.isBlocked, channel.isBlocked)
        if tap.isBlocked { tap.flush() }
        if channel.isBlocked { channel.flush() }
        // Before libslirp reads its sockets: a reset comes before the end of the connection that it is of.
        if readsCommands { takeCommands(slirp) }
        // Also with nothing ready: it moves libslirp's clock, by which it judges what comes next.
        slirp.serve(socketsToo: !tap.isBlocked)
        inject(slirp)
        if readsFrames { takeFrames(slirp) }
        let now = Now.current().monotonic
        if let deadline = gate.nextDeadline, deadline <= now {
            perform(slirp) { $0.tick(at: now, effects: &$1) }
        }
        if wasBlocked.0 != tap.isBlocked || wasBlocked.1 != channel.isBlocked { rearm() }
    }

    private var isIdle: Bool { gate.socketCount == 0 && !gate.hasOpenings }

    /// How long to wait, in milliseconds. libslirp would always be woken each second; without a connection
    /// it has nothing to do then, and what it held is given back after one.
    private func timeout(_ patience: UInt32) -> Int32 {
        var wait = !isIdle ? Int64(patience) : mayHoldMemory ? 1000 : .max
        if let deadline = gate.nextDeadline {
            let left = (deadline - Now.current().monotonic).milliseconds
            wait = min(wait, Int64(clamping: left) + 1)
        }
        return wait == .max ? -1 : Int32(clamping: wait)
    }

    // MARK: Waiting

    private func wait(for descriptor: Int32, writing: Bool, isKnown: Bool, reading: Bool = true) {
        var events: UInt32 = 0
        if reading { events |= UInt32(MESH_READY_IN) }
        if writing { events |= UInt32(MESH_READY_OUT) }
        // A hang-up comes in any case; without a bit the descriptor would be taken out.
        _ = mesh_epoll_want(epoll, descriptor, events == 0 ? UInt32(MESH_READY_ERR) : events, isKnown ? 1 : 0)
    }

    /// While anything waits to go out, no frame is read.
    private func rearm() {
        wait(for: channel.descriptor, writing: channel.isBlocked, isKnown: true)
        wait(
            for: tap.descriptor, writing: tap.isBlocked, isKnown: true,
            reading: !tap.isBlocked && !channel.isBlocked)
    }

    // MARK: Frames

    private func takeFrames(_ slirp: SlirpStack) {
        tap.delayAcknowledgements()
        defer { tap.endDelay() }
        for _ in 0..<UserlandStack.framesAtOnce {
            guard !channel.isBlocked, !tap.isBlocked, let frame = tap.read() else { return }
            take(frame, slirp, hasHeard: false)
            inject(slirp)
        }
    }

    private func take(_ frame: UnsafeRawBufferPointer, _ slirp: SlirpStack, hasHeard: Bool) {
        var effects = borrowEffects()
        gate.receive(frame.bytes, at: Now.current().monotonic, hasHeard: hasHeard, effects: &effects)
        for effect in effects { perform(effect, slirp, received: frame) }
        returnEffects(&effects)
    }

    /// An empty array, with the storage of the last one: a frame costs no allocation.
    private func borrowEffects() -> [StackGate.Effect] {
        defer { spareEffects = [] }
        return spareEffects
    }

    private func returnEffects(_ effects: inout [StackGate.Effect]) {
        effects.removeAll(keepingCapacity: true)
        swap(&spareEffects, &effects)
    }

    /// Lets the gate decide, and carries out what it says.
    private func perform(
        _ slirp: SlirpStack, _ decide: (inout StackGate, inout [StackGate.Effect]) -> Void
    ) {
        var effects: [StackGate.Effect] = []
        decide(&gate, &effects)
        for effect in effects { perform(effect, slirp, received: nil) }
        inject(slirp)
    }

    private func perform(
        _ effect: StackGate.Effect, _ slirp: SlirpStack, received: UnsafeRawBufferPointer?
    ) {
        switch effect {
        case .input(let flow):
            if let received { give(received, to: slirp, flow: flow) }
        case .open(let flow):
            guard let received else { return }
            give(received, to: slirp, flow: flow)
            if !current.hasOpened {
                let now = Now.current().monotonic
                perform(slirp) { $0.failed(flow, at: now, effects: &$1) }
            }
        case .inject(let frame, let flow): give(frame, to: slirp, flow: flow)
        case .forward(let endpoint): slirp.forward(endpoint, to: "/" + UserlandStack.socketName)
        case .transmit(let frame): frame.withUnsafeBytes { tap.write($0) }
        case .report(let report): self.report(report)
        case .hearSidecar:
            takeCommands(slirp)
            if let received { take(received, slirp, hasHeard: true) }
        }
    }

    private func give(_ frame: [UInt8], to slirp: SlirpStack, flow: StackFlow?) {
        frame.withUnsafeBytes { give($0, to: slirp, flow: flow) }
    }

    private func give(_ frame: UnsafeRawBufferPointer, to slirp: SlirpStack, flow: StackFlow?) {
        current = (flow, false)
        slirp.input(frame)
        current.flow = nil
    }

    /// Frees what libslirp holds of finished connections, once it has written what the workload sent.
    private func release(_ slirp: SlirpStack) {
        let finished = unwritten + gate.takeFinished()
        guard !finished.isEmpty else { return }
        unwritten.removeAll()
        for flow in finished {
            guard let descriptor = sockets[flow] else { continue }
            if slirp.poll.hasToWrite(descriptor) {
                unwritten.append(flow)
            } else if let frame = gate.release(flow) {
                give(frame, to: slirp, flow: nil)
            }
        }
    }

    /// Resets for libslirp that its own frames called for.
    private func inject(_ slirp: SlirpStack) {
        while let frame = injections.popLast() { give(frame, to: slirp, flow: nil) }
    }

    // MARK: The sidecar

    private func takeCommands(_ slirp: SlirpStack) {
        for _ in 0..<UserlandStack.commandsAtOnce {
            switch channel.receive() {
            case .nothing: return
            case .end:
                isEnded = true
                return
            case .message(let bytes, let flow):
                if flow >= 0 { close(flow) }
                do throws(StackMessageError) {
                    take(try StackCommand(bytes), slirp)
                } catch {
                    UserlandStack.log("the sidecar sent what can't be read: \(error)")
                    isEnded = true
                    return
                }
            }
        }
    }

    private func take(_ command: StackCommand, _ slirp: SlirpStack) {
        let now = Now.current().monotonic
        switch command {
        case .answer(let id, let answer):
            perform(slirp) { $0.answer(id, answer, at: now, effects: &$1) }
        case .serve(let endpoint): gate.serve(endpoint)
        case .withdraw(let endpoint): gate.withdraw(endpoint)
        case .datagram(let tuple, let data): perform(slirp) { $0.deliver(tuple, data, effects: &$1) }
        case .unreachable(let tuple): perform(slirp) { $0.unreachable(tuple, effects: &$1) }
        case .reset(let tuple): perform(slirp) { $0.reset(tuple, effects: &$1) }
        case .revoke(let endpoint, let flowProtocol):
            perform(slirp) { $0.revoke(endpoint, flowProtocol, at: now, effects: &$1) }
        case .allow(let endpoint, let flowProtocol, let until):
            // A name's owner chooses its addresses, and may choose one of this host.
            guard until == nil || mesh_is_own_address(endpoint.address.number.bigEndian) == 0,
                gate.allow(endpoint, flowProtocol, until: until, at: now)
            else { return UserlandStack.log("egress to \(endpoint) can't be allowed") }
        }
    }

    private func report(_ report: StackReport, flow: Int32 = -1) {
        // A full queue means that the sidecar has taken nothing for a long time. It hears of a datagram or
        // a connection no more, as if the network had lost it.
        _ = channel.send(StackChannel.Packet(bytes: report.encoded(), flow: flow))
        if channel.isBlocked { rearm() }
    }

    private func accept(_ id: StackQuestionID, _ flow: StackFlow) {
        let accepted = mesh_accept_own(listener)
        guard accepted >= 0 else {
            return UserlandStack.log("can't accept the connection to \(flow.destination): error \(errno)")
        }
        report(.flow(id, gate.tuple(of: flow)), flow: accepted)
    }

    // MARK: The process

    static let socketName = "flows"

    static func log(_ text: String) {
        let line = Array("userland stack: \(text)\n".utf8)
        _ = write(2, line, line.count)
    }
}

extension UserlandStack: SlirpDelegate {
    func slirpWrote(_ frame: UnsafeRawBufferPointer) {
        switch gate.passes(frame.bytes, at: Now.current().monotonic) {
        case .pass: tap.write(frame)
        case .drop: break
        case .answer(let reset): injections.append(reset)
        }
    }

    func slirpOpened(_ descriptor: Int32) {
        if let flow = current.flow {
            flows[descriptor] = flow
            sockets[flow] = descriptor
        }
        current.hasOpened = true
        mayHoldMemory = true
        var effects: [StackGate.Effect] = []
        let question = gate.registered(current.flow, at: Now.current().monotonic, effects: &effects)
        for case .report(let report) in effects { self.report(report) }
        guard let question, let flow = current.flow else { return }
        accept(question, flow)
    }

    func slirpWillClose(_ descriptor: Int32) {
        let flow = flows.removeValue(forKey: descriptor)
        if let flow, sockets[flow] == descriptor { sockets[flow] = nil }
        var effects: [StackGate.Effect] = []
        gate.unregistered(flow, at: Now.current().monotonic, effects: &effects)
        for case .report(let report) in effects { self.report(report) }
    }

    func slirpComplained(_ message: String) {
        // The workload decides how often; a line a second says it.
        let now = Now.current().monotonic
        guard now - complaintAt >= .seconds(1) else { return }
        complaintAt = now
        UserlandStack.log("libslirp: \(message)")
    }
}
