// The topics' socket: carries frames to the topic table, and its effects out.

import CLinuxShims
import Glibc
import Logging
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

final class TopicServer: ServerConnectionDelegate, NeighboursDelegate {
    private enum Watched {
        case client(TopicTable.Client)
        case launcher(InstanceID)
    }

    private let folder: RuntimeFolder
    private let sockets: NodeSockets
    private let watch: ProcessWatch
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var table = TopicTable(ownUserID: geteuid())
    private var socket: ServerSocket?
    private var connections: [TopicTable.Client: ServerConnection] = [:]
    private var watched: [ProcessWatch.Token: Watched] = [:]
    /// Clients that registered and whose process is watched.
    private var watchedClients: Set<TopicTable.Client> = []
    private var folders: InstanceFolders
    private var neighbours: Neighbours?
    private var configurationProblem = ""
    private var askingForReload: [TopicTable.Client] = []
    private var waitingForReload: [TopicTable.Client] = []
    private var trustStamp: [DomainFiles.Stamp] = []
    private var isRestoringPolicy = false
    private lazy var notice = PolicyNotice(path: folder.paths.issuerSocket, eventLoop: eventLoop)
    private var deadline: (time: MonotonicTime, timer: Scheduled<Void>)?
    private var idleTimer: Scheduled<Void>?

    private init(
        _ folder: RuntimeFolder, _ sockets: NodeSockets, watch: ProcessWatch, logger: Logger,
        eventLoop: any EventLoop
    ) {
        self.folder = folder
        self.sockets = sockets
        self.watch = watch
        self.logger = logger
        self.eventLoop = eventLoop
        folders = InstanceFolders(paths: folder.paths)
    }

    /// Serves from now on. A socket that can't be served ends the process.
    static func start(
        _ folder: RuntimeFolder, _ sockets: NodeSockets, watch: ProcessWatch, logger: Logger,
        issuerLog: Int32, on eventLoop: any EventLoop
    ) -> NIOLoopBound<TopicServer> {
        let started = eventLoop.submit {
            let server = TopicServer(
                folder, sockets, watch: watch, logger: logger, eventLoop: eventLoop)
            server.serve()
            IssuerLog.read(issuerLog, into: logger, on: eventLoop)
            return NIOLoopBound(server, eventLoop: eventLoop)
        }
        do { return try started.wait() } catch {
            logger.critical("the node can't serve: \(error)")
            exit(NodeProgram.failure)
        }
    }

    private func serve() {
        let socket = ServerSocket(
            eventLoop: eventLoop, connectionCountMaximum: Limits.nodeClientsMaximum, delegate: self)
        self.socket = socket
        let logger = logger
        // The channel's own descriptor: ours stays, to be asked at the end whether anyone waits.
        socket.serve(fcntl(sockets.topics, F_DUPFD_CLOEXEC, 0)).whenFailure { error in
            logger.critical("the topics' socket can't be served: \(error)")
            exit(NodeProgram.failure)
        }
        considerIdleness()
    }

    /// Meets other hosts' nodes, as the node's config file says.
    func meet(_ configuration: NodeConfigurationFile.Outcome) {
        configurationProblem = ""
        switch configuration {
        case .absent: meet(NodeConfiguration())
        case .invalid(let problem):
            configurationProblem = problem
            for line in problem.split(separator: "\n") { logger.error("\(line)") }
            let instead = neighbours == nil ? "this node meets no other host's" : "the last one stays"
            logger.error("the config file isn't in force: \(instead)")
        case .read(let configuration): meet(configuration)
        }
    }

    private func meet(_ configuration: NodeConfiguration) {
        if let neighbours { return neighbours.change(to: configuration) }
        guard !configuration.listen.isEmpty || !configuration.otherSeeds.isEmpty else { return }
        let neighbours = Neighbours(
            configuration, folder.paths, logger: logger, on: eventLoop, delegate: self)
        self.neighbours = neighbours
        neighbours.start()
    }

    // MARK: Reload

    func beginReload() {
        waitingForReload += askingForReload
        askingForReload = []
    }

    func reload(_ configuration: NodeConfigurationFile.Outcome) {
        meet(configuration)
        if configurationProblem.isEmpty { logger.info("the config file is taken over") }
        for client in waitingForReload {
            perform(.send(client, configurationProblem.isEmpty ? .status(table.status) : .refused(problem)))
        }
        waitingForReload = []
    }

    /// As it fits a message's text.
    private var problem: String { String(configurationProblem.prefix(Limits.logLineBytesMaximum / 4)) }

    func trustIsThere() { refreshTrust() }
    func handleNeighbour(_ input: TopicTable.Input) { handle(input) }

    // MARK: Connections

    func connected(_ connection: ServerConnection) {
        let client = TopicTable.Client(number: connection.number)
        connections[client] = connection
        handle(.connected(client, userID: connection.peer.userID))
    }

    func received(_ frame: [UInt8], from connection: ServerConnection) {
        let client = TopicTable.Client(number: connection.number)
        let message: ClientMessage
        do { message = try ClientMessage(canonical: frame) } catch {
            logger.warning("process \(connection.peer.processID) sends what can't be read: \(error)")
            connection.send(NodeMessage.refused("the message can't be read: \(error)").encoded())
            connection.close()
            return
        }
        switch message {
        case .register, .renew:
            refreshTrust()
            watchProcess(of: connection, client)
        case .subscribe, .policy: refreshTrust()
        default: break
        }
        handle(.message(client, message))
    }

    func disconnected(_ connection: ServerConnection, reason: String) {
        let client = TopicTable.Client(number: connection.number)
        connections[client] = nil
        logger.debug("process \(connection.peer.processID) is disconnected: \(reason)")
        handle(.disconnected(client))
        // Where the process can't be watched, its connection's end must stand for its own.
        if !watchedClients.contains(client) { handle(.processEnded(client)) }
    }

    // MARK: Processes

    private func watchProcess(of connection: ServerConnection, _ client: TopicTable.Client) {
        guard !watchedClients.contains(client) else { return }
        let pidfd = connection.openPidfd()
        guard pidfd >= 0, let token = watch.watch(pidfd: pidfd) else {
            logger.warning("process \(connection.peer.processID) can't be watched")
            return
        }
        watched[token] = .client(client)
        watchedClients.insert(client)
    }

    func processEnded(_ token: ProcessWatch.Token) {
        switch watched.removeValue(forKey: token) {
        case .client(let client)?:
            watchedClients.remove(client)
            handle(.processEnded(client))
        case .launcher(let instance)?:
            if let folder = folders.launcherEnded(instance) { remove(folder) }
            considerIdleness()
        case nil: break
        }
    }

    // MARK: The table

    private func handle(_ input: TopicTable.Input) {
        var effects: [TopicTable.Effect] = []
        table.handle(input, at: .current(), effects: &effects)
        for effect in effects { perform(effect) }
        setTimer()
        considerIdleness()
    }

    private func perform(_ effect: TopicTable.Effect) {
        switch effect {
        case .send(let client, .status(var status)):
            status.processID = getpid()
            status.configurationProblem = configurationProblem
            connections[client]?.send(NodeMessage.status(status).encoded())
        case .send(let client, let message): connections[client]?.send(message.encoded())
        case .persist(let bytes): persist(bytes)
        case .persistPolicy(let bytes): persist(policy: bytes)
        case .instanceCame(let instance, let path, let launcher):
            instanceCame(instance, path, launcher: launcher)
        case .instanceLeft(let instance, _):
            if let folder = folders.left(instance) { remove(folder) }
        case .tell(let neighbour, let message): neighbours?.send(message, to: neighbour)
        case .reload(let client):
            askingForReload.append(client)
            // To the first thread, which may wait for the compiler.
            kill(getpid(), SIGHUP)
        case .stop: stop("`mesh node stop`")
        case .log(let level, let text): logger.log(level: level.swiftLog, "\(text)")
        }
    }

    private func setTimer() {
        guard let next = table.nextDeadline else {
            deadline?.timer.cancel()
            deadline = nil
            return
        }
        guard deadline?.time != next else { return }
        deadline?.timer.cancel()
        let span = next - Now.current().monotonic
        let timer = eventLoop.assumeIsolated().scheduleTask(
            in: .nanoseconds(Int64(clamping: span.nanoseconds))
        ) {
            self.deadline = nil
            self.handle(.deadline)
        }
        deadline = (next, timer)
    }

    // MARK: Files

    /// Reads the trust bundle when there first is one, and when it has changed.
    private func refreshTrust() {
        let stamp = DomainFiles.stamp(folder.paths)
        guard stamp != trustStamp || !table.hasTrust else { return }
        do {
            guard let published = try DomainFiles.published(in: folder.paths) else { return }
            let isFirst = !table.hasTrust
            trustStamp = stamp
            handle(.trust(published.bundle, published.discoveryKey))
            if isFirst {
                restore()
                restorePolicy()
            } else {
                neighbours?.restart()
            }
        } catch {
            logger.error("\(error)")
        }
    }

    private func restore() {
        do {
            guard
                let bytes = try OwnFiles.read(
                    folder.paths.nodeMemoryFile, byteCountMaximum: Limits.nodeMemoryBytesMaximum)
            else { return }
            handle(.saved(try SavedMemory.list(canonical: bytes)))
        } catch {
            // Its loss revives at most what a time to live will end.
            logger.error("\(folder.paths.nodeMemoryFile) is left out: \(error)")
        }
    }

    private func restorePolicy() {
        isRestoringPolicy = true
        defer { isRestoringPolicy = false }
        do {
            for bytes in try PolicyFiles.read(folder.paths) { handle(.savedPolicy(bytes)) }
        } catch {
            // Sidecars whose certificates name it let nothing pass; a neighbour may tell of it again.
            logger.error("\(error)")
        }
    }

    private func persist(policy bytes: [UInt8]) {
        // As it was read, it is there.
        if isRestoringPolicy { return }
        do {
            try PolicyFiles.keep(
                bytes, isRival: bytes == table.rivalPolicy?.encoded, folder.paths)
            notice.send()
        } catch {
            logger.error("the policy isn't kept: \(error)")
        }
    }

    private func persist(_ bytes: [UInt8]) {
        do {
            try OwnFiles.makeFolder(folder.paths.tombstonesFolder)
            try OwnFiles.replace(folder.paths.nodeMemoryFile, with: bytes, isDurable: false)
        } catch {
            logger.error("\(error)")
        }
    }

    private func instanceCame(_ instance: InstanceID, _ path: String, launcher: Int32) {
        var isWatched = false
        if launcher > 0 {
            let pidfd = mesh_pidfd_open(launcher)
            if pidfd >= 0, let token = watch.watch(pidfd: pidfd) {
                watched[token] = .launcher(instance)
                isWatched = true
            }
        }
        if !folders.came(instance, path, launcherLives: isWatched) {
            logger.notice("\(path) isn't the folder of instance \(instance); it won't be removed")
        }
    }

    private func remove(_ path: String) {
        do {
            guard try OwnFiles.removeFolder(path) else { return }
            logger.info("removed \(path), which its launcher left behind")
        } catch {
            logger.error("\(error)")
        }
    }

    // MARK: The end

    /// Ends the process once nobody has needed it for a while.
    private func considerIdleness() {
        let isIdle = table.isIdle && connections.isEmpty && !folders.isWaiting
        if !isIdle {
            idleTimer?.cancel()
            idleTimer = nil
        } else if idleTimer == nil {
            idleTimer = eventLoop.assumeIsolated().scheduleTask(
                in: .nanoseconds(Int64(Limits.nodeIdleDelay.nanoseconds))
            ) {
                self.idleTimer = nil
                self.retire()
            }
        }
    }

    private func retire() {
        let paths = folder.paths
        let isRetired = folder.retire(listeners: [
            (paths.topicsSocket, sockets.topics), (paths.issuerSocket, sockets.issuer),
        ])
        guard isRetired else { return considerIdleness() }
        logger.info("node \(getpid()) ends: nobody needs it")
        exit(0)
    }

    func stop(_ reason: String) {
        unlink(folder.paths.topicsSocket)
        unlink(folder.paths.issuerSocket)
        logger.info("node \(getpid()) ends: \(reason)")
        exit(0)
    }
}

extension LogLevel {
    fileprivate var swiftLog: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
