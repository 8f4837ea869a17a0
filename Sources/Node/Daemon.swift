// The node's process: what starts, in which order, and how it ends.
//
// Theory of operation
//
//   The first launch on a machine waits for the issuer's first certificate. So the sockets are bound
//   before anything else: who connects early waits in the kernel's queue. Then the issuer is started,
//   which makes the local domain while this process starts its event loop.
//
//   Two threads. The first one waits for signals and for the ends of processes (ProcessWatch), starts
//   the issuer anew when it dies, and hands everything else to the event loop, which owns the topic
//   table. The process ends by `exit` on either; the kernel closes what is open, drops the lock and
//   ends the issuer.

import CLinuxShims
import Glibc
import Logging
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

enum Daemon {
    static func run(isForeground: Bool) -> Int32 {
        let paths = MeshPaths.current()
        do {
            guard case .claimed(let folder) = try RuntimeFolder.claim(paths) else { return 0 }
            try serve(folder, isForeground: isForeground)
            return 0
        } catch {
            NodeProgram.complain("\(error)")
            return NodeProgram.failure
        }
    }

    /// Returns only by an error: the process ends where it decides to.
    private static func serve(_ folder: RuntimeFolder, isForeground: Bool) throws(FileError) {
        let paths = folder.paths
        let watch = try ProcessWatch(signals: [SIGTERM, SIGINT, SIGHUP])
        let sockets = NodeSockets(
            topics: try folder.listen(at: paths.topicsSocket),
            issuer: try folder.listen(at: paths.issuerSocket))
        try OwnFiles.makeFolder(paths.state)
        let issuerLog = try LogPipe()
        var issuer = IssuerProcess(listener: sockets.issuer, logPipe: issuerLog.writer)
        try issuer.start(watch)

        if !isForeground { try leaveTerminal(log: paths.nodeLog) }
        let logger = Logger.lines(
            "mesh-node", level: .info, rotating: isForeground ? nil : paths.nodeLog)
        logger.info("node \(getpid()) serves \(paths.nodeFolder)")
        for failure in Confinement.enterAsNode() {
            logger.critical("less well closed in than it should be: can't \(failure)")
        }

        let eventLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let server = TopicServer.start(
            folder, sockets, watch: watch, logger: logger, issuerLog: issuerLog.reader, on: eventLoop)
        let configuration = NodeConfigurationFile.load(paths)
        eventLoop.execute { server.value.meet(configuration) }
        attend(watch, server, issuer: issuer, paths, on: eventLoop, logger)
    }

    /// Waits for signals and for the ends of processes, and hands them on.
    private static func attend(
        _ watch: ProcessWatch, _ server: NIOLoopBound<TopicServer>, issuer started: IssuerProcess,
        _ paths: MeshPaths, on eventLoop: any EventLoop, _ logger: Logger
    ) -> Never {
        var issuer = started
        let reload = {
            // Whoever asks from here on may have changed the file since, and waits for the next turn.
            eventLoop.execute { server.value.beginReload() }
            let configuration = NodeConfigurationFile.load(paths)
            eventLoop.execute { server.value.reload(configuration) }
        }
        var restarts = IssuerRestarts()
        watch.run { event in
            switch event {
            case .signal(SIGHUP): reload()
            case .signal: eventLoop.execute { server.value.stop("signal") }
            case .ended(let token) where token == issuer.token:
                logger.error("issuer ended with status \(issuer.reap()); it is started again")
                restarts.pause(at: .current())
                do { try issuer.start(watch) } catch {
                    logger.critical("\(error)")
                    exit(NodeProgram.failure)
                }
            case .ended(let token): eventLoop.execute { server.value.processEnded(token) }
            }
        }
    }

    /// Nobody's terminal or folder is held by a process that outlives whoever started it. Standard error
    /// becomes the log, and so holds what the Swift runtime says of a crash, too.
    private static func leaveTerminal(log path: String) throws(FileError) {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        guard null >= 0 else { throw FileError("/dev/null", call: "open") }
        defer { close(null) }
        let log = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard log >= 0 else { throw FileError(path, call: "open") }
        defer { close(log) }
        dup2(null, STDIN_FILENO)
        dup2(null, STDOUT_FILENO)
        dup2(log, STDERR_FILENO)
        _ = chdir("/")
    }
}

/// The listening descriptors, kept for as long as the process lives.
struct NodeSockets: Sendable {
    let topics: Int32
    let issuer: Int32
}

/// How soon an issuer that died is started again: at once, unless it dies again and again.
private struct IssuerRestarts {
    private var last: MonotonicTime?

    mutating func pause(at now: Now) {
        if let last, now.monotonic - last < .seconds(1) { sleep(1) }
        last = now.monotonic
    }
}

/// Where the issuer writes its log, and the node reads it.
private struct LogPipe {
    let reader: Int32
    let writer: Int32

    init() throws(FileError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw FileError("issuer's log", call: "pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        reader = ends[0]
        writer = ends[1]
    }
}
