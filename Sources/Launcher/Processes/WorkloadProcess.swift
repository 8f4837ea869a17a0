// The workload's process, up to the moment in which it becomes the program.

import CLinuxShims
import Glibc
import SidecarProtocol

struct WorkloadProcess {
    let plan: LaunchPlan
    let signals: InheritedSignals
    let channel: Int32
    /// Yields a byte when init has written B's maps.
    let mapped: Int32
    let start: Int32

    func run() -> Never {
        guard WorkloadProcess.awaitByte(mapped) else { _exit(ExitCode.ownFailure) }
        do throws(LaunchFailure) {
            if plan.identity.isKept {
                try checked(mesh_drop_capabilities(), "can't give up capabilities")
                try checked(mesh_set_no_new_privileges(), "can't give up new privileges")
            }
            try enterWorkingFolder()
        } catch {
            Packet.send(InitReport.failed(error.description).encoded(), to: channel)
            _exit(ExitCode.ownFailure)
        }
        let arguments = CStrings(plan.configuration.command)
        let environment = CStrings(WorkloadProcess.own(plan.environment))
        Packet.send(InitReport.prepared.encoded(), to: channel)
        guard WorkloadProcess.awaitByte(start) else { _exit(ExitCode.ownFailure) }
        Descriptors.closeAll(but: [channel] + plan.executable.descriptors)
        signals.restore()
        plan.executable.execute(arguments, environment)
        let code = errno
        Packet.send(InitReport.notExecuted(code: code).encoded(), to: channel)
        _exit(code == ENOENT ? ExitCode.notFound : ExitCode.notExecutable)
    }

    private static func awaitByte(_ pipe: Int32) -> Bool {
        var byte: UInt8 = 0
        var count: Int
        repeat { count = read(pipe, &byte, 1) } while count < 0 && errno == EINTR
        close(pipe)
        return count == 1
    }

    /// A working folder under a mask, or under the host's /proc, would be a way past it: the process still
    /// stands in what lies below. So it walks in again, by name.
    private func enterWorkingFolder() throws(LaunchFailure) {
        guard let folder = plan.workingFolder else { return }
        let isHidden =
            plan.masks.hides(folder) || MountSetup.replaced.contains { MaskPlan.holds($0, folder) }
        guard chdir(folder) < 0, isHidden else { return }
        throw LaunchFailure(
            "the working folder \(folder) is hidden from the workload", fix: "start it from another folder")
    }

    /// A watchdog answers only to the process that it names, which this one becomes.
    private static func own(_ environment: [String]) -> [String] {
        environment.map { $0.hasPrefix("WATCHDOG_PID=") ? "WATCHDOG_PID=\(getpid())" : $0 }
    }
}
