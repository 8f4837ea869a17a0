// The shell around `StateReplica`: what it decides is carried out here, on the state's thread.

import Glibc
import Logging
import SidecarProtocol
import Transport

/// `@unchecked Sendable`: made and used on the state's thread, apart from the disk's outcomes, which are posted.
final class StateKeeper: StateLoopOwner, @unchecked Sendable {
    private let loop: StateLoop
    private let logger: Logger
    private let report: @Sendable (StateService.Event) -> Void
    private var replica: StateReplica
    private var disk: StateDisk?
    private var effects: [StateReplica.Effect] = []
    private var whenClosed: (() -> Void)?
    private var isReady = false

    init(
        _ settings: StateService.Settings, loop: StateLoop, logger: Logger,
        report: @escaping @Sendable (StateService.Event) -> Void
    ) {
        self.loop = loop
        self.logger = logger
        self.report = report
        var random = SystemRandomNumberGenerator()
        replica = StateReplica(settings.replica(seed: random.next()), at: Now.current())
        replica.use(
            ScriptClient(starter: LauncherScriptStarter(launcher: Sidecar.launcherSocket)) {
                logger.log(level: ScriptClient.level($0), "script: \($1)")
            })
        do {
            disk = try StateDisk(folder: settings.slot.folder) { [weak loop] outcome in
                loop?.post(isUrgent: false) { [weak self] in self?.handle(outcome) }
            }
        } catch {
            report(.failed("\(error)"))
        }
    }

    func start() {
        replica.open(at: Now.current(), effects: &effects)
        carryOut()
    }

    private func handle(_ outcome: DiskOutcome) {
        replica.handle(outcome, at: Now.current(), effects: &effects)
        carryOut()
    }

    // MARK: Clients

    func accepted(from address: String, to local: String) -> ClientID? {
        replica.accepted(from: address, to: local, at: Now.current())
    }

    func received(_ bytes: UnsafeRawBufferPointer, from client: ClientID) {
        replica.received(bytes, from: client, at: Now.current())
    }

    func closed(_ client: ClientID) { replica.closed(client, at: Now.current()) }
    func paused(_ client: ClientID, _ isPaused: Bool) { replica.paused(client, isPaused) }
    func wantsInput(from client: ClientID) -> Bool { isReady && replica.wantsInput(from: client) }

    func turnEnded() {
        replica.endTurn(at: Now.current(), effects: &effects)
        carryOut()
        replica.takeOutput { client, bytes, closes in
            if !bytes.isEmpty { loop.write(bytes, to: client) }
            if closes { loop.end(client) }
        }
    }

    var readsLater: Bool { replica.answersAwaitDisk }
    var wantsOutcomes: Bool { replica.wantsOutcomes }
    func nextDeadline() -> MonotonicTime? { replica.nextDeadline() }

    // MARK: Replicas

    func replicaUp(_ peer: InstanceID) {
        replica.replicaUp(peer, at: Now.current(), effects: &effects)
        carryOut()
    }

    func replicaDown(_ peer: InstanceID) {
        replica.replicaDown(peer, at: Now.current(), effects: &effects)
        carryOut()
    }

    func received(_ message: [UInt8], from peer: InstanceID) {
        replica.received(message, from: peer, at: Now.current(), effects: &effects)
        carryOut()
    }

    // MARK: The end

    /// - Parameter done: called on this thread when everything is on disk.
    func close(_ done: @escaping () -> Void) {
        whenClosed = done
        guard isReady else { return done() }
        replica.close(at: Now.current(), effects: &effects)
        carryOut()
    }

    private func carryOut() {
        // An effect's outcome comes later, by the loop.
        let batch = effects
        effects.removeAll(keepingCapacity: true)
        for effect in batch {
            switch effect {
            case .perform(let job): disk?.perform(job)
            case .send(let message, let peer): report(.send(message, to: peer))
            case .ready:
                isReady = true
                report(.opened)
                loop.resumeReading()
                logger.info("state ready: \(replica.summary)")
            case .failed(let why): report(.failed(why))
            case .log(let level, let text): logger.log(level: Logger.Level(level), "state: \(text)")
            case .closed: whenClosed?()
            }
        }
    }
}

extension StateService.Settings {
    func replica(seed: UInt64) -> StateReplica.Settings {
        var server = StateConfiguration()
        server.consistency = .eventual
        server.conditional =
            switch configuration.conditional {
            case .allow: .allow
            case .warn: .warn
            case .deny: .deny
            }
        server.memoryMaximum = Int(clamping: configuration.memory)
        let fsync: StateLogConfiguration.FsyncPolicy =
            switch configuration.fsync {
            case .always: .always
            case .interval: .interval(.milliseconds(100))
            case .none: .none
            }
        return StateReplica.Settings(
            name: slot.name, group: group, fsync: fsync, server: server, seed: seed)
    }
}
