// The end of a launch: everything ends that it started, and then the launcher as its workload did.

import CLinuxShims
import Glibc

struct Ending {
    /// How long a sidecar may take to close its flows and records, in nanoseconds.
    static let patience: UInt64 = 3_000_000_000

    let supervisor: Supervisor

    func end(_ outcome: Outcome) -> Never {
        stopStarting()
        let waitStatus: Int32 =
            if case .workload(let status, _) = outcome { status } else { ExitCode.ownFailure << 8 }
        supervisor.sidecar.finish(waitStatus)
        reapAll()
        supervisor.sidecar.leaveTAP()
        supervisor.folder.remove()
        JobControl.takeTerminalBack()
        switch outcome {
        case .failure(let failure):
            StandardStreams.complain(failure.description)
            exit(failure.exitCode)
        case .signal(let signal): Ending.die(by: signal)
        case .workload(let status, let complaint):
            if let complaint { StandardStreams.complain(complaint.description) }
            switch WaitStatus(raw: status) {
            case .exited(let code): exit(code)
            case .killed(let signal): Ending.die(by: signal)
            case .stopped, .continued: exit(ExitCode.ownFailure)
            }
        }
    }

    /// Whatever is still being made ends by itself once the launcher's ends are closed; what is known is
    /// killed right away.
    private func stopStarting() {
        if supervisor.start >= 0 { close(supervisor.start) }
        for process in [supervisor.builder, supervisor.initial] where process > 0 {
            kill(process, SIGKILL)
        }
    }

    private func reapAll() {
        var deadline = Clock.nanoseconds() &+ Ending.patience
        var wasKilled = false
        var status: Int32 = 0
        while true {
            let child = waitpid(-1, &status, WNOHANG | Int32(bitPattern: UInt32(__WALL)))
            if child > 0 {
                // What the workload said last leaves by the stack, as long as its sidecar lives.
                if child == supervisor.sidecar.processID { supervisor.sidecar.endChildren() }
                continue
            }
            if child < 0 { return }
            let now = Clock.nanoseconds()
            if now >= deadline {
                // A process that even SIGKILL doesn't end hangs in the kernel, and is left to it.
                guard !wasKilled else { return }
                wasKilled = true
                deadline = now &+ 1_000_000_000
                let process = supervisor.sidecar.processID
                if process > 0 { kill(process, SIGKILL) }
            }
            var polled = pollfd(fd: supervisor.signalDescriptor, events: Int16(POLLIN), revents: 0)
            poll(&polled, 1, Int32((deadline &- min(now, deadline)) / 1_000_000 + 1))
            var signal = mesh_signal()
            while mesh_read_signal(supervisor.signalDescriptor, &signal) == 0 {}
        }
    }

    /// Dies as the workload died, but without a core file of its own.
    static func die(by signal: Int32) -> Never {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        mesh_set_dumpable(0)
        InheritedSignals.reset()
        kill(getpid(), signal)
        // A signal that ended the workload, and doesn't end this process, has no better answer.
        exit(128 + signal)
    }
}
