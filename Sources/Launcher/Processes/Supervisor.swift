// The launcher, once it has something to watch over.
//
// Theory of operation
//
//   starting ── sidecar ready, networks made, workload prepared ──► running ── workload ended ──► Ending
//
//   One loop waits for signals (all of them are blocked, and read from a descriptor), the builder's, the
//   init's and the sidecar's messages, and the workload's notifications. In `starting` any failure, and
//   any signal that would end a program, ends the launch. In `running` only the workload's end does.

import CLinuxShims
import Glibc
import SidecarProtocol

/// How a launch ended.
enum Outcome {
    /// The program's wait status, with the reason where it couldn't be executed.
    case workload(waitStatus: Int32, complaint: LaunchFailure?)
    case failure(LaunchFailure)
    /// A signal, before there was a program to give it to.
    case signal(Int32)
}

final class Supervisor {
    /// How long a first sidecar may take until it is ready, in nanoseconds.
    static let patience: UInt64 = 30_000_000_000

    let plan: LaunchPlan
    let signals: InheritedSignals
    let folder: InstanceFolder
    let signalDescriptor: Int32
    let launcher = getpid()
    var builder: pid_t
    var initial: pid_t = 0
    var sidecar: SidecarSupervision
    /// The launcher's ends; -1 when closed.
    private var builderChannel: Int32
    private var initChannel: Int32
    private(set) var start: Int32
    private var notify: NotifyRelay?

    private var hasNetwork = false
    /// The workload's process id on the host, once it waits to begin.
    private var workload: pid_t = 0
    private var isRunning = false
    private var complaint: LaunchFailure?
    private var waitStatus: Int32?
    private(set) var outcome: Outcome?
    /// Children that ended before anybody said what they were.
    private var strangers: [pid_t: Int32] = [:]
    private let readyBy: UInt64

    init(_ launched: Launched, plan: LaunchPlan, signals: InheritedSignals, folder: InstanceFolder) {
        self.plan = plan
        self.signals = signals
        self.folder = folder
        signalDescriptor = launched.signals
        builder = launched.builder
        builderChannel = launched.builderChannel
        initChannel = launched.initChannel
        start = launched.start
        notify = launched.notify
        sidecar = SidecarSupervision(
            plan: plan, control: launched.control, log: plan.logsToStandardError ? nil : folder.log,
            digest: plan.digest ?? plan.executable.granted(cache: plan.paths.cache))
        readyBy = Clock.nanoseconds() &+ Supervisor.patience
        for descriptor in [builderChannel, initChannel] { Descriptors.makeNonBlocking(descriptor) }
    }

    func run() -> Outcome {
        var polled = [pollfd](repeating: pollfd(fd: -1, events: Int16(POLLIN), revents: 0), count: 5)
        while true {
            if let outcome { return outcome }
            polled[0].fd = signalDescriptor
            polled[1].fd = builderChannel
            polled[2].fd = initChannel
            polled[3].fd = sidecar.control
            polled[4].fd = notify?.socket ?? -1
            poll(&polled, 5, timeout())
            // Messages first: a process that has ended said why before.
            if polled[1].revents != 0 { takeBuilderReports() }
            if polled[2].revents != 0 { takeInitReports() }
            if polled[3].revents != 0 { takeSidecarMessages() }
            if polled[4].revents != 0 { notify?.relay() }
            if polled[0].revents != 0 { takeSignals() }
            actOnTime()
        }
    }

    // MARK: Time

    private func timeout() -> Int32 {
        guard let due = isRunning ? sidecar.restartAt : readyBy else { return -1 }
        let now = Clock.nanoseconds()
        return due <= now ? 0 : Int32(min((due - now) / 1_000_000 + 1, 60_000))
    }

    private func actOnTime() {
        let now = Clock.nanoseconds()
        if !isRunning {
            guard now >= readyBy, outcome == nil else { return }
            fail(
                "mesh-sidecar isn't ready after \(Supervisor.patience / 1_000_000_000) s",
                fix: folder.logTail())
        } else if let due = sidecar.restartAt, now >= due {
            // Its own log is the place for what goes wrong meanwhile; the next try comes by itself.
            try? sidecar.restart(at: now, launcher: launcher)
        }
    }

    // MARK: Messages

    private func takeBuilderReports() {
        while builderChannel >= 0 {
            switch Packet.receive(from: builderChannel) {
            case .nothing: return
            case .end:
                close(builderChannel)
                builderChannel = -1
            case .packet(let packet): take(BuilderReport(packet.bytes), packet.descriptors)
            }
        }
    }

    private func take(_ report: BuilderReport?, _ descriptors: [Int32]) {
        switch report {
        case .wantsMaps:
            do throws(LaunchFailure) {
                try plan.identity.writeFromOutside(builder)
                Packet.send([0], to: builderChannel)
            } catch {
                outcome = .failure(error)
            }
        case .sidecar(let process):
            sidecar.started(process)
            if let status = strangers.removeValue(forKey: process) { sidecarEnded(status) }
        case .network(let network):
            guard descriptors.count >= 2 else { return }
            hasNetwork = true
            sidecar.networkIsMade(
                network, user: descriptors[0], descriptors: Array(descriptors.dropFirst()))
        case .initial(let process):
            initial = process
            if let status = strangers.removeValue(forKey: process) { initialEnded(status) }
        case .failed(let why): fail(why, fix: "")
        case nil: return
        }
        beginIfPossible()
    }

    private func takeInitReports() {
        while initChannel >= 0 {
            switch Packet.receive(from: initChannel) {
            case .nothing: return
            case .end:
                // It ends. Until it is gone, with everything in its namespace, there is nothing to hear.
                close(initChannel)
                initChannel = -1
            case .packet(let packet): take(InitReport(packet.bytes), from: packet.sender)
            }
        }
    }

    private func take(_ report: InitReport?, from sender: pid_t) {
        switch report {
        case .prepared:
            workload = sender
            beginIfPossible()
        case .failed(let why): fail(why, fix: "")
        case .notExecuted(let code):
            let command = plan.configuration.command[0]
            complaint = LaunchFailure(
                "can't execute \(command): \(errorText(code))",
                fix: code == ENOENT
                    ? "its interpreter or the file itself isn't there for the workload"
                    : code == ESTALE ? "it was changed while it was being started; start it again" : "")
        case .stopped(let signal):
            JobControl.stop(with: signal, until: initChannel)
        case .ended(let status): waitStatus = status
        case .continued, nil: return
        }
    }

    private func takeSidecarMessages() {
        while sidecar.control >= 0 {
            switch Packet.receive(from: sidecar.control) {
            case .nothing: return
            case .end: sidecar.hungUp()
            case .packet(let packet):
                take(try? SidecarMessage(canonical: packet.bytes), packet.descriptors)
                for descriptor in packet.descriptors { close(descriptor) }
            }
        }
    }

    private func take(_ message: SidecarMessage?, _ descriptors: [Int32]) {
        switch message {
        case .ready:
            sidecar.becameReady(at: Clock.nanoseconds())
            beginIfPossible()
        case .failed(let why):
            if !isRunning { fail(why, fix: "") }
        case .needsNode: startNode()
        case .startStack: sidecar.startStack(descriptors, launcher: launcher)
        case .endStack: sidecar.endStack()
        case .startScripts: sidecar.startScripts(descriptors, launcher: launcher)
        case .endScripts: sidecar.endScripts()
        case nil: return
        }
    }

    /// As at the launch. Of another user's node, root's, only root can start the next.
    private func startNode() {
        var status = stat()
        guard isRunning, lstat(plan.paths.nodeFolder, &status) != 0 || status.st_mode & S_IFMT == S_IFDIR
        else { return }
        // The sidecar goes on asking; its log and `mesh check` say that it isn't answered.
        try? NodeStart.ensure(plan.paths, programs: try Programs.beside())
    }

    private func beginIfPossible() {
        guard !isRunning, outcome == nil, sidecar.isReady, hasNetwork, workload != 0 else { return }
        isRunning = true
        _ = write(start, [1], 1)
        close(start)
        start = -1
        sidecar.workloadRuns(workload)
        InstanceFolder.sweep(plan.paths)
        mesh_release_start_memory()
    }

    // MARK: Signals and children

    private func takeSignals() {
        var signal = mesh_signal()
        while mesh_read_signal(signalDescriptor, &signal) == 0 {
            switch SignalRoute(signal: signal.number, code: signal.code) {
            case .reap: reap()
            case _ where !isRunning: takeEarly(signal.number)
            case .ignore: continue
            case .forward:
                // SI_QUEUE brings a value.
                let value = signal.code == -1 ? Int64(signal.value) : nil
                order(.forward(signal: signal.number, value: value))
            case .forwardToStranger: order(.hangUp(signal: signal.number))
            }
        }
    }

    /// A signal before the program's first instruction does to the launch what it would do to a program
    /// that hasn't said otherwise.
    private func takeEarly(_ signal: Int32) {
        guard outcome == nil, !signals.ignores(signal) else { return }
        if SignalRoute.endsByDefault(signal) {
            outcome = .signal(signal)
        } else if SignalRoute.stopsByDefault(signal) {
            JobControl.stop(with: signal, until: initChannel)
        }
    }

    private func order(_ order: InitOrder) {
        if initChannel >= 0 { Packet.send(order.encoded(), to: initChannel) }
    }

    private func reap() {
        // What they said at the end is in the sockets by now.
        takeBuilderReports()
        takeInitReports()
        takeSidecarMessages()
        var status: Int32 = 0
        while true {
            let child = waitpid(-1, &status, WNOHANG | Int32(bitPattern: UInt32(__WALL)))
            guard child > 0 else { return }
            switch child {
            case builder: builderEnded(status)
            case sidecar.processID: sidecarEnded(status)
            case initial: initialEnded(status)
            case _ where sidecar.reapedChild(child): continue
            default: strangers[child] = status
            }
        }
    }

    private func builderEnded(_ status: Int32) {
        builder = 0
        let status = WaitStatus(raw: status)
        guard status != .exited(code: 0) else { return }
        fail("the namespaces' builder ended with \(status.text)", fix: "")
    }

    private func sidecarEnded(_ status: Int32) {
        sidecar.ended(at: Clock.nanoseconds())
        guard !isRunning else { return }
        fail(
            "mesh-sidecar ended with \(WaitStatus(raw: status).text) before it was ready",
            fix: "its log says:" + folder.logTail())
    }

    private func initialEnded(_ status: Int32) {
        initial = 0
        guard isRunning else {
            return fail("the workload's first process ended with \(WaitStatus(raw: status).text)", fix: "")
        }
        guard outcome == nil else { return }
        // Killed from outside, it took the program with it by the same signal.
        outcome = .workload(waitStatus: waitStatus ?? status, complaint: complaint)
    }

    /// The first failure is the one that counts.
    private func fail(_ what: String, fix: String) {
        guard outcome == nil else { return }
        outcome = .failure(LaunchFailure(what, fix: fix))
    }
}
