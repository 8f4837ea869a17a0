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

package final class StackClient {
    package struct Settings {
        /// The workload's TAP, non-blocking; the client doesn't close it.
        package var tap: CInt
        /// The workload's own virtual address.
        package var own: IPv4Address
        package var datapath: WorkloadConfiguration.Datapath
        /// Starts and ends the process, which the sidecar may not do itself.
        package var starter: any StackStarter

        package init(
            tap: CInt, own: IPv4Address, datapath: WorkloadConfiguration.Datapath, starter: any StackStarter
        ) {
            self.tap = tap
            self.own = own
            self.datapath = datapath
            self.starter = starter
        }
    }

    let settings: Settings
    let eventLoop: any EventLoop
    weak var delegate: (any StackClientDelegate)?
    var watcher: DescriptorWatcher?
    var running: Running?
    /// Counts the processes, so that a question of an earlier one finds no answer.
    var generation: UInt64 = 0
    private var pause = StackClient.pauses.lowerBound
    private var allowances: [Allowance: MonotonicTime?] = [:]
    /// Where connections are let in unasked; false once that was withdrawn, since some may be on their way.
    private(set) var served: [IPv4Endpoint: Bool] = [:]
    /// Datagrams for the workload that found no room.
    package private(set) var droppedDatagramCount: UInt64 = 0

    struct Running {
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
    static let messagesAtOnce = 64
    /// Room in the queue that datagrams leave to commands.
    private static let reserve = Limits.stackQueueMaximum / 2

    package init(_ settings: Settings, eventLoop: any EventLoop, delegate: any StackClientDelegate) {
        self.settings = settings
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    deinit { precondition(watcher == nil, "a StackClient was let go without stop()") }

    /// Whether something that was said isn't on its way to the process yet.
    package var hasCommandsWaiting: Bool { running?.channel.isBlocked ?? false }

    /// Whether the process is there.
    package var isRunning: Bool { running != nil }

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

    /// Connections to `endpoint` are opened without `asks`, until `withdraw`. Where there are too many
    /// endpoints, they are asked for.
    package func serve(_ endpoint: Endpoint) {
        guard let endpoint = IPv4Endpoint(endpoint), StackNetwork.isDialled(endpoint.address) else { return }
        if served.count >= Limits.stackForwardsMaximum { served = served.filter(\.value) }
        guard served.count < Limits.stackForwardsMaximum else { return }
        served[endpoint] = true
        command(.serve(endpoint))
    }

    package func withdraw(_ endpoint: Endpoint) {
        guard let endpoint = IPv4Endpoint(endpoint), served[endpoint] == true else { return }
        served[endpoint] = false
        command(.withdraw(endpoint))
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
        let wanted = [FlowProtocol.tcp, .udp].map { Allowance(endpoint: endpoint, flowProtocol: $0) }
        switch AddressReach(endpoint.address) {
        case .never: return false
        // One that was given may be ended.
        case .inward where until != nil && allowances[wanted[0]] == nil: return false
        case .inward, .outward: break
        }
        dropExpired()
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
        let channel: Int32
        do { channel = try StackClient.start(settings.starter) } catch {
            delegate?.stack(self, ended: "it can't be started: \(error)")
            return waitAgain()
        }
        generation = (generation &+ 1) & StackClient.generationMask
        running = Running(
            channel: StackChannel(descriptor: channel), startedAt: Now.current().monotonic)
        watcher?.watchOnce(channel)
        let now = Now.current().monotonic
        served = served.filter(\.value)
        for endpoint in served.keys { command(.serve(endpoint)) }
        for (allowance, until) in allowances where until.map({ now < $0 }) ?? true {
            command(.allow(allowance.endpoint, allowance.flowProtocol, until: until))
        }
    }

    /// - Parameter reason: nil when the sidecar itself ends it.
    func end(_ reason: String?) {
        guard var running else { return }
        self.running = nil
        watcher?.forget(running.channel.descriptor)
        running.channel.end()
        settings.starter.endStack()
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

    /// - Returns: the sidecar's end of the new process's channel.
    private static func start(_ starter: any StackStarter) throws(SystemError) -> Int32 {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_SEQPACKET.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw SystemError("socketpair") }
        defer { close(ends[1]) }
        do { try starter.startStack(channel: ends[1]) } catch {
            close(ends[0])
            throw error
        }
        return ends[0]
    }
}
