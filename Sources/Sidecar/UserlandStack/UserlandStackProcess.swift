import CLinuxShims
import Glibc
import SidecarProtocol
import Transport

/// The life of the userland stack's process, from its arguments to its end.
package enum UserlandStackProcess {
    /// `mesh-sidecar userland-stack DATAPATH ADDRESS`.
    package static let verb = StackLaunch.verb
    package static let channelDescriptor = StackLaunch.channelDescriptor
    package static let tapDescriptor = StackLaunch.tapDescriptor

    /// - Parameter arguments: those that follow the verb.
    /// - Returns: the exit code.
    package static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count == 2, let datapath = WorkloadConfiguration.Datapath(rawValue: arguments[0]),
            datapath != .auto, let own = IPv4Address(arguments[1])
        else {
            UserlandStack.log("called with \(arguments), where DATAPATH ADDRESS are wanted")
            return 125
        }
        mesh_set_parent_death_signal(SIGKILL)
        signal(SIGPIPE, SIG_IGN)
        mesh_map_large_buffers()
        _ = mesh_close_range(UInt32(tapDescriptor) + 1, .max)
        guard let hardware = TAPDevice(descriptor: tapDescriptor).hardwareAddress else {
            UserlandStack.log("can't read the TAP's hardware address: error \(errno)")
            return 125
        }
        guard let (listener, flowsMaximum) = confine(forwards: datapath == .slirp) else { return 125 }
        guard
            let stack = UserlandStack(
                own: own, hardware: hardware, datapath: datapath, flowsMaximum: flowsMaximum,
                channel: channelDescriptor, tap: tapDescriptor, listener: listener)
        else {
            UserlandStack.log("libslirp doesn't start")
            return 125
        }
        guard mesh_seccomp_userland_stack(datapath == .slirp ? 1 : 0) == 0 else {
            UserlandStack.log("can't filter system calls: error \(errno)")
            return 125
        }
        stack.run()
        return 0
    }

    /// Closes the process in, but for its system calls. Returns the listener, -1 where there is none, and
    /// how many sockets libslirp may hold.
    package static func confine(forwards: Bool) -> (listener: Int32, flowsMaximum: Int)? {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let wanted = Limits.stackFlowsMaximum + Limits.stackDescriptorsSpare
        let descriptors = min(wanted, Int(clamping: limit.rlim_max))
        var listener: Int32 = -1
        var step: UnsafePointer<CChar>?
        let result = mesh_sandbox(
            UInt32(descriptors), forwards ? UserlandStack.socketName : nil, &listener, &step)
        // The change of user namespace may have cleared it.
        mesh_set_parent_death_signal(SIGKILL)
        guard result == 0 else {
            let failed = step.map { String(cString: $0) } ?? "enter the sandbox"
            UserlandStack.log("can't \(failed): error \(errno)")
            return nil
        }
        guard descriptors > Limits.stackDescriptorsSpare else {
            UserlandStack.log(
                "the limit of open files is \(descriptors); raise it above \(Limits.stackDescriptorsSpare)")
            return nil
        }
        return (listener, descriptors - Limits.stackDescriptorsSpare)
    }
}
