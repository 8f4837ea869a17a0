// init: the first process of the workload's pid namespace.
//
// Theory of operation
//
//   It makes the mounts, starts the workload in B, and then waits: for its children, which it reaps; for
//   orders of the launcher, which it carries out on the workload; for its own death, which takes every
//   process of the namespace with it. It dies by SIGKILL when the launcher does.
//
//   It stays in A, where B's root has no power, and is non-dumpable before the workload's first
//   instruction. Stop signals don't stop it: the kernel spares pid 1.

import CLinuxShims
import Glibc

struct InitialProcess {
    let plan: LaunchPlan
    let signals: InheritedSignals
    /// To the launcher: reports out, orders in.
    let channel: Int32
    /// Yields a byte when the workload may begin; ends without one when it must not.
    let start: Int32

    func run() -> Never {
        mesh_set_parent_death_signal(SIGKILL)
        Descriptors.closeAll(but: [channel, start] + plan.executable.descriptors)
        let workload: pid_t
        do throws(LaunchFailure) {
            try MountSetup(masks: plan.masks).apply()
            workload = try startWorkload()
        } catch {
            Packet.send(InitReport.failed(error.description).encoded(), to: channel)
            _exit(ExitCode.ownFailure)
        }
        close(start)
        var loop = InitLoop(workload: workload, channel: channel)
        loop.run()
    }

    private func startWorkload() throws(LaunchFailure) -> pid_t {
        var mapped: [Int32] = [-1, -1]
        try checked(pipe(&mapped), "pipe")
        let flags = UInt64(MESH_NEW_USER | MESH_NEW_MOUNTS)
        let child = try checked(mesh_clone(flags, SIGCHLD), "can't start the workload's process") {
            $0 == ENOSPC ? "raise the sysctl user.max_user_namespaces" : ProcessLimits.fix($0)
        }
        if child == 0 {
            close(mapped[1])
            WorkloadProcess(plan: plan, signals: signals, channel: channel, mapped: mapped[0], start: start)
                .run()
        }
        close(mapped[0])
        try plan.identity.writeInner(child)
        // From here on nobody else may read this process, and its files in /proc are root's.
        mesh_set_dumpable(0)
        _ = write(mapped[1], [1], 1)
        close(mapped[1])
        return child
    }
}

/// What init does for the rest of its life.
private struct InitLoop {
    let workload: pid_t
    let channel: Int32
    private var direct = DirectSignals()

    init(workload: pid_t, channel: Int32) {
        self.workload = workload
        self.channel = channel
    }

    mutating func run() -> Never {
        guard let signals = try? InheritedSignals.descriptor() else { _exit(ExitCode.ownFailure) }
        var polled = [
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
            pollfd(fd: channel, events: Int16(POLLIN), revents: 0),
        ]
        mesh_release_start_memory()
        while true {
            poll(&polled, 2, -1)
            // Signals first: an order may be the echo of one of them.
            takeSignals(signals)
            if polled[1].revents != 0 { takeOrder(signals) }
        }
    }

    private mutating func takeSignals(_ descriptor: Int32) {
        var signal = mesh_signal()
        while mesh_read_signal(descriptor, &signal) == 0 {
            if signal.number == SIGCHLD, signal.code > 0 {
                reap()
            } else {
                direct.note(signal.number, at: Clock.nanoseconds())
            }
        }
    }

    private mutating func takeOrder(_ signals: Int32) {
        switch Packet.receive(from: channel) {
        case .nothing: return
        // Without a launcher there is nobody left to run for.
        case .end: _exit(ExitCode.ownFailure)
        case .packet(let packet):
            takeSignals(signals)
            switch InitOrder(packet.bytes) {
            case .forward(let signal, let value):
                if direct.consume(signal, at: Clock.nanoseconds()), isInOurGroup { return }
                if let value {
                    mesh_queue_signal(workload, signal, Int(value))
                } else {
                    kill(workload, signal)
                }
            case .hangUp(let signal):
                if !isInOurGroup { kill(workload, signal) }
            case nil: return
            }
        }
    }

    /// The group is the launcher's, which has no number in this namespace: getpgid(2) says 0.
    private var isInOurGroup: Bool { getpgid(workload) == getpgid(0) }

    private func reap() {
        var status: Int32 = 0
        while true {
            let child = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)
            guard child > 0 else { return }
            guard child == workload else { continue }
            switch WaitStatus(raw: status) {
            case .stopped(let signal): report(.stopped(signal: signal))
            case .continued: report(.continued)
            case .exited, .killed:
                report(.ended(waitStatus: status))
                _exit(0)
            }
        }
    }

    private func report(_ report: InitReport) { Packet.send(report.encoded(), to: channel) }
}
