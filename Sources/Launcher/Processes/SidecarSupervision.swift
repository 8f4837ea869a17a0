// The sidecar of one launch, through all its incarnations.
//
// Theory of operation
//
//   first: cloned by the builder ──► ready ──► ended ──► pause ──► started by the launcher ──► ready …
//
//   A sidecar that ends while the workload lives is replaced, under the next incarnation number, and told
//   everything that the first was told, with the same descriptors. The pause doubles from 10 ms to 1 s,
//   and begins anew once a sidecar has served for a while. The launcher never gives up.

import CLinuxShims
import Glibc
import SidecarProtocol

struct SidecarSupervision {
    static let pauseMinimum: UInt64 = 10_000_000
    static let pauseMaximum: UInt64 = 1_000_000_000
    /// A sidecar that has served for so long, in nanoseconds, isn't failing at its start.
    static let settled: UInt64 = 5_000_000_000

    /// 0 while none runs, or before the builder has said.
    private(set) var processID: pid_t = 0
    /// The launcher's end; -1 while none runs.
    private(set) var control: Int32
    private(set) var isReady = false
    /// When the next one is due, in nanoseconds.
    private(set) var restartAt: UInt64?

    private let plan: LaunchPlan
    private let log: Int32?
    private let digest: GrantedExecutable?
    private var incarnation: UInt64 = 1
    private var pause = SidecarSupervision.pauseMinimum
    private var readySince: UInt64 = 0
    private var network: (message: SidecarNetwork, user: Int32, descriptors: [Int32])?
    private var workload: pid_t?
    /// The userland stack's processes that haven't been reaped; the last one is the sidecar's.
    private var stacks: [pid_t] = []
    /// So those that run scripts.
    private var scripts: [pid_t] = []

    /// - Parameters:
    ///   - control: the launcher's end of the first sidecar's socket.
    ///   - log: where sidecars write; nil for the launcher's own streams.
    init(plan: LaunchPlan, control: Int32, log: Int32?, digest: GrantedExecutable?) {
        self.plan = plan
        self.control = control
        self.log = log
        self.digest = digest
        Descriptors.makeNonBlocking(control)
        send(.start(plan.sidecarStart(incarnation: 1, digest: digest)))
    }

    // MARK: What the launcher learns

    mutating func started(_ process: pid_t) { processID = process }

    mutating func becameReady(at now: UInt64) {
        isReady = true
        readySince = now
    }

    /// - Parameter descriptors: W, M (veth), TAP (where there is one).
    mutating func networkIsMade(_ message: SidecarNetwork, user: Int32, descriptors: [Int32]) {
        network = (message, user, descriptors)
        sendNetwork()
    }

    mutating func workloadRuns(_ process: pid_t) {
        workload = process
        send(.workload(processID: process))
    }

    /// Its end of the socket is closed: it ends, or is ending.
    mutating func hungUp() {
        close(control)
        control = -1
    }

    /// The process is gone.
    mutating func ended(at now: UInt64) {
        if isReady, now &- readySince >= SidecarSupervision.settled {
            pause = SidecarSupervision.pauseMinimum
        }
        if control >= 0 { close(control) }
        control = -1
        processID = 0
        endChildren()
        isReady = false
        restartAt = now &+ pause
        pause = min(pause * 2, SidecarSupervision.pauseMaximum)
    }

    // MARK: What it does

    /// Starts the next incarnation. A failure is tried again after the next pause.
    mutating func restart(at now: UInt64, launcher: pid_t) throws(LaunchFailure) {
        restartAt = now &+ pause
        guard let network else { return }
        let (own, theirs) = try Packet.pair()
        defer { close(theirs) }
        let seed = SidecarSeed(executable: plan.sidecar, control: theirs, log: log, launcher: launcher)
        do throws(LaunchFailure) {
            processID = try seed.start(in: network.user)
        } catch {
            close(own)
            throw error
        }
        incarnation += 1
        restartAt = nil
        control = own
        Descriptors.makeNonBlocking(control)
        send(.start(plan.sidecarStart(incarnation: incarnation, digest: digest)))
        sendNetwork()
        if let workload { send(.workload(processID: workload)) }
    }

    /// Starts the userland stack that the sidecar asks for; it ends with that sidecar.
    ///
    /// - Parameter descriptors: the stack's end of the channel, and its log; the caller closes them.
    mutating func startStack(_ descriptors: [Int32], launcher: pid_t) {
        endStack()
        guard let network, network.message.hasTAP, let tap = network.descriptors.last,
            descriptors.count == 2
        else { return }
        let own = IPv4Address(number: plan.ownAddress.v4)
        let seed = SidecarChildSeed(
            command: [plan.sidecar, StackLaunch.verb, network.message.datapath.rawValue, own.description],
            descriptors: [descriptors[0], tap], log: descriptors[1], launcher: launcher)
        // Where it can't be started its channel ends, and the sidecar asks again after a pause.
        if let stack = try? seed.start(in: network.user) { stacks.append(stack) }
    }

    func endStack() {
        if let stack = stacks.last { kill(stack, SIGKILL) }
    }

    /// Starts the process that runs scripts, in the same way.
    ///
    /// - Parameter descriptors: its end of the channel, and its log; the caller closes them.
    mutating func startScripts(_ descriptors: [Int32], launcher: pid_t) {
        endScripts()
        guard let network, descriptors.count == 2 else { return }
        let seed = SidecarChildSeed(
            command: [plan.sidecar, ScriptLaunch.verb], descriptors: [descriptors[0]],
            log: descriptors[1], launcher: launcher)
        if let process = try? seed.start(in: network.user) { scripts.append(process) }
    }

    func endScripts() {
        if let process = scripts.last { kill(process, SIGKILL) }
    }

    func endChildren() {
        endStack()
        endScripts()
    }

    /// - Returns: false where the process is none that was started for a sidecar.
    mutating func reapedChild(_ process: pid_t) -> Bool {
        if let index = stacks.firstIndex(of: process) {
            stacks.remove(at: index)
        } else if let index = scripts.firstIndex(of: process) {
            scripts.remove(at: index)
        } else {
            return false
        }
        return true
    }

    /// Leaves the TAP to its namespace, which the kernel takes down in the background. Otherwise the
    /// launcher's exit would wait for that, some 30 ms.
    func leaveTAP() {
        guard let network, network.message.hasTAP, let tap = network.descriptors.last else { return }
        mesh_keep_tap(tap)
    }

    func finish(_ waitStatus: Int32) { send(.finish(waitStatus: waitStatus)) }

    private func sendNetwork() {
        guard let network else { return }
        send(.network(network.message), network.descriptors)
    }

    /// A sidecar that can't be told is dead or dying, which is seen elsewhere.
    private func send(_ message: LauncherMessage, _ descriptors: [Int32] = []) {
        guard control >= 0 else { return }
        Packet.send(message.encoded(), descriptors: descriptors, to: control)
    }
}
