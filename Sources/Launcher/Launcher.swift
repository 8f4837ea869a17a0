// mesh-launch: a program behind its own sidecar.
//
// Theory of operation
//
//   The launcher stays in its caller's namespaces, with one thread, and holds no key. It plans (arguments,
//   config, user, folders), starts the node if there is none, forks the builder (see Builder.swift), and
//   then supervises (Supervisor.swift) until the workload ends, as which it ends itself (Ending.swift).
//
//   One thread is a rule of the kernel's: a process of several can't enter a user namespace. Its children
//   run Swift after fork(2), which is sound for the same reason: no other thread can hold a lock.

import CLinuxShims
import Glibc
import SidecarProtocol

package enum Launcher {
    /// Runs what the command line asks for, and ends the process.
    package static func run() -> Never {
        Descriptors.tidy()
        let signals = InheritedSignals.takeOver()
        do throws(LaunchFailure) {
            let arguments = try LaunchArguments(parsing: Array(CommandLine.arguments.dropFirst()))
            try run(arguments, signals)
        } catch {
            StandardStreams.complain(error.description)
            exit(error.exitCode)
        }
    }

    private static func run(
        _ arguments: LaunchArguments, _ signals: InheritedSignals
    ) throws(LaunchFailure) -> Never {
        switch arguments.action {
        case .help: say(Usage.text)
        case .version: say("mesh-launch \(Usage.version)\n")
        case .launch, .dryRun, .printConfiguration: break
        }
        let programs = try Programs.beside()
        let preparation = LaunchPreparation(arguments: arguments, programs: programs)
        let configuration = try preparation.configuration()
        if arguments.action == .printConfiguration {
            try CompiledConfiguration.printAsYAML(configuration, programs: programs)
        }
        let plan = try preparation.plan(configuration)
        if arguments.action == .dryRun { say(plan.text) }
        let folder = try InstanceFolder(plan)
        let launched: Launched
        do throws(LaunchFailure) {
            launched = try Launched(plan, signals, folder)
        } catch {
            folder.remove()
            throw error
        }
        let supervisor = Supervisor(launched, plan: plan, signals: signals, folder: folder)
        Ending(supervisor: supervisor).end(supervisor.run())
    }

    private static func say(_ text: String) -> Never {
        StandardStreams.write(Array(text.utf8), to: 1)
        exit(0)
    }
}

/// What runs once the builder is forked: its process, and the launcher's ends of every line.
struct Launched {
    let signals: Int32
    let builder: pid_t
    let builderChannel: Int32
    let initChannel: Int32
    /// A byte here lets the workload begin.
    let start: Int32
    let control: Int32
    let notify: NotifyRelay?

    init(_ plan: LaunchPlan, _ inherited: InheritedSignals, _ folder: InstanceFolder) throws(LaunchFailure) {
        signals = try InheritedSignals.descriptor()
        notify = try plan.notify.map { (notify) throws(LaunchFailure) in try NotifyRelay(notify) }
        let (builderChannel, buildersEnd) = try Packet.pair()
        let (initChannel, initsEnd) = try Packet.pair()
        let (control, sidecarsEnd) = try Packet.pair()
        var start: [Int32] = [-1, -1]
        try checked(pipe(&start), "pipe")
        var yes: Int32 = 1
        try checked(
            setsockopt(initChannel, SOL_SOCKET, SO_PASSCRED, &yes, socklen_t(MemoryLayout<Int32>.size)),
            "SO_PASSCRED")
        self.builderChannel = builderChannel
        self.initChannel = initChannel
        self.control = control
        self.start = start[1]
        let builder = Builder(
            plan: plan, signals: inherited, channel: buildersEnd,
            sidecar: SidecarSeed(
                executable: plan.sidecar, control: sidecarsEnd,
                log: plan.logsToStandardError ? nil : folder.log, launcher: getpid()),
            initChannel: initsEnd, initStart: start[0],
            foreign: [builderChannel, initChannel, control, start[1], signals])
        self.builder = try checked(mesh_fork(), "can't start the builder", fix: ProcessLimits.fix)
        if self.builder == 0 { builder.run() }
        for descriptor in [buildersEnd, initsEnd, sidecarsEnd, start[0]] { close(descriptor) }
    }
}
