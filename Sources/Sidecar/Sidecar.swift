// The process `mesh-sidecar`: one workload's own sidecar, started by mesh-launch.

import CLinuxShims
import Glibc
import Logging
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

package enum Sidecar {
    /// The SEQPACKET socket to the launcher.
    static let launcherSocket: Int32 = 3

    /// Serves until the launcher says that the workload has ended, or is gone itself. The calling thread
    /// becomes the event loop.
    package static func run() {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == UserlandStackProcess.verb {
            exit(UserlandStackProcess.run(Array(arguments.dropFirst())))
        }
        if arguments.first == ScriptLaunch.verb { exit(ScriptProcess.run()) }
        mesh_tune_allocator()
        mesh_set_dumpable(0)
        signal(SIGPIPE, SIG_IGN)
        // Sent when the launcher dies, which its socket says too: what is open is closed in order.
        signal(SIGTERM, SIG_IGN)
        guard let launch = receiveStart() else { exit(125) }
        let configuration: WorkloadConfiguration
        do {
            configuration = try WorkloadConfiguration(canonical: launch.configuration)
        } catch {
            refuse("the configuration can't be read: \(error)")
        }
        let descriptors = raiseDescriptorLimit()
        growDescriptorTable()
        let logger = logger(for: launch)
        let failures = Confinement.enterAsSidecar()
        for failure in failures { logger.critical("less well closed in than it should be: can't \(failure)") }
        MultiThreadedEventLoopGroup.withCurrentThreadAsEventLoop { loop in
            let driver = Driver(launch: launch, configuration: configuration, loop: loop, logger: logger)
            driver.counters.descriptorsMaximum = descriptors
            driver.counters.confinementFailures = failures.count
            start(driver, on: loop)
        }
    }

    private static func start(_ driver: Driver, on loop: any EventLoop) {
        let bound = NIOLoopBound(driver, eventLoop: loop)
        driver.sockets = NamespaceThread(launcher: launcherSocket) { event in
            loop.execute { bound.value.handle(event) }
        }
        driver.begin()
    }

    /// Nil where the launcher ended first, or isn't one.
    private static func receiveStart() -> SidecarStart? {
        var bytes = [UInt8](repeating: 0, count: Limits.launcherMessageBytesMaximum)
        var count = 0
        var sender: pid_t = 0
        let received = mesh_receive(launcherSocket, &bytes, bytes.count, nil, 0, &count, &sender)
        guard received > 0 else {
            complain(
                "mesh-sidecar is started by mesh-launch: descriptor \(launcherSocket) must be its socket")
            return nil
        }
        guard case .start(let start)? = try? LauncherMessage(canonical: Array(bytes.prefix(received)))
        else { refuse("the first message of mesh-launch isn't `start`: are both of one version?") }
        return start
    }

    private static func refuse(_ why: String) -> Never {
        let message = SidecarMessage.failed(why).encoded()
        mesh_send(launcherSocket, message, message.count, nil, 0)
        exit(125)
    }

    private static func complain(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private static func logger(for launch: SidecarStart) -> Logger {
        let level = getenv("MESH_LOG_LEVEL").flatMap { Logger.Level(rawValue: String(cString: $0)) }
        let folder = MeshPaths(
            runtime: launch.runtimeFolder, state: launch.stateFolder, config: launch.configFolder,
            cache: launch.stateFolder
        ).instanceFolder(launch.instance)
        return Logger.lines(
            "mesh-sidecar", level: level ?? .info,
            rotating: launch.logsToStandardError ? nil : folder + "/" + MeshPaths.sidecarLogName)
    }

    /// To be called before the first thread starts: the table of a process with several is grown only after
    /// a grace period of the kernel's, in which open(2) and socket(2) stand still. Measured in the middle of
    /// a launch: 6 to 9 ms.
    private static func growDescriptorTable() {
        let last = fcntl(launcherSocket, F_DUPFD_CLOEXEC, descriptorTableSize - 1)
        if last >= 0 { close(last) }
    }

    /// Descriptors before the next growth; 8 bytes each in the kernel.
    private static let descriptorTableSize: Int32 = 1024

    /// Every flow has a descriptor. Returns how many this process may have.
    private static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        var raised = limit
        raised.rlim_cur = min(limit.rlim_max, 1 << 17)
        if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        return Int(clamping: limit.rlim_cur)
    }
}
