// The builder: a short-lived process that makes the namespaces, and starts sidecar and init in them.
//
// Theory of operation
//
//   launcher ─ fork ─ builder: unshare user (A) → maps → clone sidecar → unshare net (M), unshare net (W),
//                              devices, addresses, routes → descriptors to the launcher → clone init → ends
//
//   Sidecar and init are cloned as the builder's siblings, so that they are the launcher's children. The
//   sidecar stays in the host's network namespace, and starts up while the rest is made. The builder
//   closes its descriptors of the namespaces before init exists: one that a child inherits would keep
//   them alive after the launcher's end.

import CLinuxShims
import Glibc
import SidecarProtocol

struct Builder {
    let plan: LaunchPlan
    let signals: InheritedSignals
    /// To the launcher.
    let channel: Int32
    let sidecar: SidecarSeed
    /// For init.
    let initChannel: Int32
    let initStart: Int32
    /// The launcher's ends, which no process but the launcher may hold.
    let foreign: [Int32]

    func run() -> Never {
        for descriptor in foreign { close(descriptor) }
        mesh_set_parent_death_signal(SIGKILL)
        do throws(LaunchFailure) {
            try build()
            _exit(0)
        } catch {
            report(.failed(error.description))
            _exit(ExitCode.ownFailure)
        }
    }

    private func build() throws(LaunchFailure) {
        try enterUserNamespace()
        // Everything waits for the sidecar in the end, and a new process otherwise begins behind this one,
        // on its processor; executing moves it to an idle one.
        let sidecarProcess = try clone(MESH_AFTER_EXECUTION, "mesh-sidecar")
        if sidecarProcess == 0 { sidecar.become() }
        report(.sidecar(processID: sidecarProcess))
        close(sidecar.control)
        let maker = KernelNetworkMaker()
        try makeNetworks(maker)
        maker.closeAll()
        let initial = try clone(MESH_NEW_PROCESS_IDS | MESH_NEW_MOUNTS, "the workload's first process")
        if initial == 0 {
            InitialProcess(plan: plan, signals: signals, channel: initChannel, start: initStart).run()
        }
        report(.initial(processID: initial))
    }

    private func enterUserNamespace() throws(LaunchFailure) {
        try checked(mesh_unshare(Int32(MESH_NEW_USER)), "can't make a user namespace") { code in
            switch code {
            case ENOSPC, EUSERS: "raise the sysctl user.max_user_namespaces"
            case EPERM:
                "allow them: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
                    + "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a container, its seccomp "
                    + "profile; `mesh check` says more"
            default: "`mesh check` says more"
            }
        }
        guard plan.identity.writer != .itself else { return try plan.identity.writeFromInside() }
        report(.wantsMaps)
        guard case .packet = Packet.receive(from: channel) else {
            throw LaunchFailure("the launcher is gone", fix: "")
        }
    }

    private func makeNetworks(_ maker: KernelNetworkMaker) throws(LaunchFailure) {
        var maker = maker
        let network = try NetworkSetup.make(
            plan.configuration.datapath, own: plan.ownAddress, pingGroups: plan.identity.pingGroups,
            by: &maker)
        let user = try checked(
            open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC), "can't open the user namespace")
        defer { close(user) }
        let descriptors = [user, maker.workload, maker.mesh, maker.tap].filter { $0 >= 0 }
        guard Packet.send(BuilderReport.network(network).encoded(), descriptors: descriptors, to: channel)
        else { throw LaunchFailure("the launcher is gone", fix: "") }
    }

    /// A sibling, not a child: the launcher is its parent.
    private func clone(_ namespaces: Int, _ what: String) throws(LaunchFailure) -> pid_t {
        try checked(
            mesh_clone(UInt64(MESH_SIBLING | namespaces), 0), "can't start \(what)", fix: ProcessLimits.fix)
    }

    private func report(_ report: BuilderReport) { Packet.send(report.encoded(), to: channel) }
}
