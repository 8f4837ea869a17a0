// The sidecar's side of the userland stack.
//
// Theory of operation
//
//   Most workloads never send a frame into their TAP, so nothing runs for it: the sidecar only waits for the
//   TAP to become readable. The first frame starts the stack's process, which then reads the TAP alone. When
//   the process ends, for whatever reason, everything that it carried is gone, and the next frame starts
//   another one, after a pause that grows while they keep ending early. The allow-list lives here, and each
//   new process is told it anew.
//
//   The process reads hostile frames, so nothing that it says is believed beyond "this workload asked": what
//   breaks the protocol, or names addresses that aren't the workload's to name, ends it.

import Glibc
import NIOCore
import SidecarProtocol
import Transport

/// What the workload does through its TAP. All calls come on the client's event loop.
package protocol StackClientDelegate: AnyObject {
    /// The workload opens a TCP connection to a virtual address, which is held until `answer`: within
    /// `Limits.stackAnswerTime`, or, after `wait`, within `Limits.stackWaitTime`.
    func stack(
        _ stack: StackClient, asks id: StackQuestionID, from source: Endpoint, to destination: Endpoint)
    /// A connection that was answered with `open` is established. `flow` is a connected, non-blocking unix
    /// stream socket, and the delegate's to close: end-of-file, half-close and reset pass through it.
    func stack(
        _ stack: StackClient, opened flow: CInt, for id: StackQuestionID, from source: Endpoint,
        to destination: Endpoint)
    /// The workload sent a datagram to a virtual address; answer with `send` or `refuse`, or not at all.
    func stack(
        _ stack: StackClient, received datagram: [UInt8], from source: Endpoint, to destination: Endpoint)
    /// A flow out of the mesh was opened, refused or closed.
    func stack(_ stack: StackClient, reports egress: EgressReport)
    func stack(_ stack: StackClient, counts counters: StackCounters)
    /// The process is gone, and the egress flows and unanswered questions with it. Flows that were handed
    /// over end by themselves. It starts again with the next frame.
    func stack(_ stack: StackClient, ended reason: String)
}

package final class StackClient {
    package struct Settings {
        /// The workload's TAP, non-blocking; the client doesn't close it.
        package var tap: CInt
        /// The workload's own virtual address.
        package var own: IPv4Address
        package var datapath: WorkloadConfiguration.Datapath
        /// Where mesh-sidecar lies.
        package var executable: String
        /// Where the process writes what it has to say; the client doesn't close it.
        package var log: CInt

        package init(
            tap: CInt, own: IPv4Address, datapath: WorkloadConfiguration.Datapath, executable: String,
            log: CInt
        ) {
            self.tap = tap
            self.own = own
            self.datapath = datapath
            self.executable = executable
            self.log = log
        }
    }

    private let settings: Settings
    private let eventLoop: any EventLoop
    private weak var delegate: (any StackClientDelegate)?
    private var watcher: DescriptorWatcher?
    private var running: Running?
    /// Counts the processes, so that a question of an earlier one finds no answer.
    private var generation: UInt64 = 0
    private var pause = StackClient.pauses.lowerBound
    private var allowances: [Allowance: MonotonicTime?] = [:]
    /// Datagrams for the workload that found no room.
    package private(set) var droppedDatagramCount: UInt64 = 0

    private struct Running {
        var process: StackProcess
        var channel: StackChannel
        var startedAt: MonotonicTime
        var isFlushing = false
        /// Questions by the process's own numbers, and whether they were let in.
        var questions: [UInt64: (tuple: FourTuple, isOpen: Bool)] = [:]
    }

    private struct Allowance: Hashable {
        var endpoint: IPv4Endpoint
        var flowProtocol: FlowProtocol
    }

    private static let pauses = TimeAmount.milliseconds(100)...TimeAmount.seconds(10)
    /// A process that has lived so long has done nothing wrong by ending.
    private static let goodLife = MonotonicTime.Span.seconds(60)
    private static let messagesAtOnce = 64
    /// Room in the queue that datagrams leave to commands.
    private static let reserve = Limits.stackQueueMaximum / 2

    package init(_ settings: Settings, eventLoop: any EventLoop, delegate: any StackClientDelegate) {
        self.settings = settings
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    deinit { precondition(watcher == nil, "a StackClient was let go without stop()") }

    /// Whether the process is there.
    package var isRunning: Bool { running != nil }
    package var processID: pid_t? { running?.process.id }

    /// Waits for the first frame from now on. Call it once, on the event loop.
    package func start() throws(SystemError) {
        let bound = NIOLoopBound(Weak(self), eventLoop: eventLoop)
        watcher = try DescriptorWatcher(eventLoop: eventLoop) { bound.value.client?.becameReadable($0) }
        watcher?.watchOnce(settings.tap)
    }

    /// Ends the process and the waiting, for good.
    package func stop() {
        guard let watcher else { return }
        end(nil)
        watcher.forget(settings.tap)
        watcher.stop()
        self.watcher = nil
    }

    private struct Weak {
        weak var client: StackClient?
        init(_ client: StackClient) { self.client = client }
    }

    // MARK: What the sidecar says

    package func answer(_ id: StackQuestionID, _ answer: StackAnswer) {
        let number = id.number & StackClient.numberMask
        guard id.number >> StackClient.generationShift == generation, let known = running?.questions[number],
            !known.isOpen
        else { return }
        switch answer {
        case .open: running?.questions[number]?.isOpen = true
        case .refuse: running?.questions[number] = nil
        case .wait: break
        }
        command(.answer(StackQuestionID(number: number), answer))
    }

    /// A datagram to the workload. One that finds no room is dropped, as UDP may.
    package func send(_ datagram: [UInt8], from source: Endpoint, to destination: Endpoint) {
        guard let tuple = FourTuple(source, destination), datagram.count <= Limits.datagramBytesMaximum,
            var running
        else { return }
        self.running = nil
        let bytes = StackCommand.datagram(tuple, datagram).encoded()
        let isSent = running.channel.send(
            StackChannel.Packet(bytes: bytes), leaving: StackClient.reserve)
        self.running = running
        if !isSent { droppedDatagramCount &+= 1 }
        flushSoon()
    }

    /// The datagram that the workload sent from `source` found nobody: its program hears "refused".
    package func refuse(datagramFrom source: Endpoint, to destination: Endpoint) {
        guard let tuple = FourTuple(source, destination) else { return }
        command(.unreachable(tuple))
    }

    /// The flow's descriptor is closed soon: its workload is to see a reset, and not an orderly end.
    package func reset(from source: Endpoint, to destination: Endpoint) {
        guard let tuple = FourTuple(source, destination) else { return }
        command(.reset(tuple))
    }

    /// Flows of both protocols to `endpoint` may be opened until then. Nil: as long as nothing revokes it,
    /// for an address that the configuration lists itself; such a one may also be private, or this host's.
    /// - Returns: false for IPv6, for an address that can't be allowed so, and where the list is full.
    @discardableResult
    package func allow(_ endpoint: Endpoint, until: MonotonicTime?) -> Bool {
        guard let endpoint = IPv4Endpoint(endpoint) else { return false }
        switch AddressReach(endpoint.address) {
        case .never: return false
        case .inward where until != nil: return false
        case .inward, .outward: break
        }
        dropExpired()
        let wanted = [FlowProtocol.tcp, .udp].map { Allowance(endpoint: endpoint, flowProtocol: $0) }
        let newCount = wanted.count { allowances[$0] == nil }
        guard allowances.count + newCount <= Limits.stackAllowancesMaximum else { return false }
        for allowance in wanted {
            allowances[allowance] = .some(until)
            command(.allow(endpoint, allowance.flowProtocol, until: until))
        }
        return true
    }

    /// No new flows to `endpoint`; those that are open are reset.
    package func revoke(_ endpoint: Endpoint) {
        guard let endpoint = IPv4Endpoint(endpoint) else { return }
        for flowProtocol in [FlowProtocol.tcp, .udp] {
            allowances[Allowance(endpoint: endpoint, flowProtocol: flowProtocol)] = nil
            command(.revoke(endpoint, flowProtocol))
        }
    }

    private func dropExpired() {
        guard allowances.count + 2 > Limits.stackAllowancesMaximum else { return }
        let now = Now.current().monotonic
        allowances = allowances.filter { $0.value.map { now < $0 } ?? true }
    }

    /// Without a process there is nobody to command: the next one learns the allow-list at its start.
    private func command(_ command: StackCommand) {
        guard running != nil else { return }
        if running?.channel.send(StackChannel.Packet(bytes: command.encoded())) == false {
            return end("it takes no commands")
        }
        flushSoon()
    }

    private func flushSoon() {
        guard let running, running.channel.isBlocked, !running.isFlushing else { return }
        self.running?.isFlushing = true
        let bound = NIOLoopBound(Weak(self), eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .milliseconds(5)) {
            guard let client = bound.value.client else { return }
            client.running?.isFlushing = false
            client.running?.channel.flush()
            client.flushSoon()
        }
    }

    // MARK: The process's life

    private func becameReadable(_ descriptor: Int32) {
        guard watcher != nil else { return }
        if descriptor == running?.channel.descriptor {
            takeReports()
        } else if descriptor == settings.tap, running == nil {
            startProcess()
        }
    }

    private func startProcess() {
        let process: StackProcess
        do {
            process = try StackProcess.start(
                executable: settings.executable, datapath: settings.datapath, own: settings.own,
                tap: settings.tap, log: settings.log)
        } catch {
            delegate?.stack(self, ended: "it can't be started: \(error)")
            return waitAgain()
        }
        generation = (generation &+ 1) & StackClient.generationMask
        running = Running(
            process: process, channel: StackChannel(descriptor: process.channel),
            startedAt: Now.current().monotonic)
        watcher?.watchOnce(process.channel)
        let now = Now.current().monotonic
        for (allowance, until) in allowances where until.map({ now < $0 }) ?? true {
            command(.allow(allowance.endpoint, allowance.flowProtocol, until: until))
        }
    }

    /// - Parameter reason: nil when the sidecar itself ends it.
    private func end(_ reason: String?) {
        guard var running else { return }
        self.running = nil
        watcher?.forget(running.channel.descriptor)
        running.channel.end()
        running.process.end()
        StackClient.reap(running.process, on: eventLoop)
        guard let reason else { return }
        if Now.current().monotonic - running.startedAt >= StackClient.goodLife {
            pause = StackClient.pauses.lowerBound
        }
        delegate?.stack(self, ended: reason)
        waitAgain()
    }

    /// Frames wait in the TAP meanwhile.
    private func waitAgain() {
        let bound = NIOLoopBound(Weak(self), eventLoop: eventLoop)
        eventLoop.scheduleTask(in: pause) {
            guard let client = bound.value.client, client.running == nil else { return }
            client.watcher?.watchOnce(client.settings.tap)
        }
        pause = min(pause * 2, StackClient.pauses.upperBound)
    }

    /// It was killed, so that this takes a moment only.
    private static func reap(_ process: StackProcess, on eventLoop: any EventLoop) {
        guard !process.isReaped() else { return }
        eventLoop.scheduleTask(in: .milliseconds(10)) { reap(process, on: eventLoop) }
    }

    // MARK: What the process says

    private func takeReports() {
        for _ in 0..<StackClient.messagesAtOnce {
            guard running != nil else { return }
            switch running?.channel.receive() {
            case .message(let bytes, let flow):
                do throws(StackMessageError) {
                    if !take(try StackReport(bytes), flow: flow) { return end("it broke the protocol") }
                } catch {
                    if flow >= 0 { close(flow) }
                    return end("\(error)")
                }
            case .end: return end("it closed its socket")
            case .nothing, nil:
                if let running { watcher?.watchOnce(running.channel.descriptor) }
                return
            }
        }
        if let running { watcher?.watchOnce(running.channel.descriptor) }
    }

    /// False where the stack says what it may not.
    private func take(_ report: StackReport, flow: Int32) -> Bool {
        if case .flow(let id, let tuple) = report {
            return take(flow, id.number, tuple)
        }
        guard flow < 0 else {
            close(flow)
            return false
        }
        switch report {
        case .ready, .flow: break
        case .counters(let counters): delegate?.stack(self, counts: counters)
        case .question(let id, let tuple):
            guard isVirtual(tuple), admit(id.number, tuple) else { return false }
            delegate?.stack(
                self, asks: ownID(id.number), from: Endpoint(tuple.source), to: Endpoint(tuple.destination))
        case .datagram(let tuple, let data):
            guard isVirtual(tuple) else { return false }
            delegate?.stack(
                self, received: data, from: Endpoint(tuple.source), to: Endpoint(tuple.destination))
        case .egress(let report):
            guard report.tuple.source.address == settings.own,
                !StackNetwork.contains(report.tuple.destination.address)
            else { return false }
            delegate?.stack(self, reports: report)
        }
        return true
    }

    private func take(_ flow: Int32, _ number: UInt64, _ tuple: FourTuple) -> Bool {
        guard flow >= 0, let known = running?.questions.removeValue(forKey: number), known.isOpen,
            known.tuple == tuple
        else {
            if flow >= 0 { close(flow) }
            return false
        }
        guard let delegate else {
            close(flow)
            return true
        }
        delegate.stack(
            self, opened: flow, for: ownID(number), from: Endpoint(tuple.source),
            to: Endpoint(tuple.destination))
        return true
    }

    private func isVirtual(_ tuple: FourTuple) -> Bool {
        settings.datapath == .slirp && tuple.source.address == settings.own
            && StackNetwork.isDialled(tuple.destination.address)
    }

    /// Remembers a question. Some are never followed by a flow: the workload gave up, or the stack refused
    /// for want of an answer. Numbers grow, so that the lowest are the oldest.
    private func admit(_ number: UInt64, _ tuple: FourTuple) -> Bool {
        guard number <= StackClient.numberMask, let count = running?.questions.count,
            running?.questions[number] == nil
        else { return false }
        let most = Limits.stackFlowsMaximum + Limits.stackHeldMaximum
        if count >= most {
            let oldest = running?.questions.keys.sorted().prefix(most / 2) ?? []
            for number in oldest { running?.questions[number] = nil }
        }
        running?.questions[number] = (tuple, false)
        return true
    }

    // MARK: Question numbers

    private static let generationShift: UInt64 = 40
    private static let numberMask: UInt64 = 1 << generationShift - 1
    private static let generationMask: UInt64 = 1 << 24 - 1

    /// The process's number, and which process's it is.
    private func ownID(_ number: UInt64) -> StackQuestionID {
        StackQuestionID(number: generation << StackClient.generationShift | number)
    }
}

extension Endpoint {
    package init(_ endpoint: IPv4Endpoint) {
        self.init(IPAddress(v4: endpoint.address.number), endpoint.port)
    }
}

extension IPv4Endpoint {
    /// Nil for IPv6.
    package init?(_ endpoint: Endpoint) {
        guard let number = endpoint.address.v4 else { return nil }
        self.init(IPv4Address(number: number), endpoint.port)
    }
}

extension FourTuple {
    fileprivate init?(_ source: Endpoint, _ destination: Endpoint) {
        guard let source = IPv4Endpoint(source), let destination = IPv4Endpoint(destination) else {
            return nil
        }
        self.init(source: source, destination: destination)
    }
}
