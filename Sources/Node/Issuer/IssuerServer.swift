// The issuer's socket: one frame a request, one frame an answer.

import Glibc
import NIOCore
import SidecarProtocol
import Transport

final class IssuerServer: ServerConnectionDelegate {
    private let watch: ProcessWatch
    private let eventLoop: any EventLoop
    private var source: DomainSource
    private var policy: IssuerPolicy
    private var socket: ServerSocket?
    /// Who has asked and lives: one watch a process, however often it asks.
    private var processes: [ProcessWatch.Token: IssuerPolicy.Process] = [:]
    private var tokens: [Int32: ProcessWatch.Token] = [:]
    private var lastProcess: UInt64 = 0

    init(source: DomainSource, watch: ProcessWatch, eventLoop: any EventLoop) {
        self.source = source
        self.watch = watch
        self.eventLoop = eventLoop
        policy = IssuerPolicy(
            ownUserID: geteuid(), isSystem: source.isSystem, leafLifetime: IssuerServer.leafLifetime)
    }

    func serve(_ listener: Int32) {
        let socket = ServerSocket(
            eventLoop: eventLoop, connectionCountMaximum: Limits.nodeClientsMaximum, delegate: self)
        self.socket = socket
        socket.serve(listener).whenFailure { error in
            NodeProgram.say("the socket can't be served: \(error)")
            exit(NodeProgram.failure)
        }
    }

    func processEnded(_ token: ProcessWatch.Token) {
        guard let process = processes.removeValue(forKey: token) else { return }
        tokens = tokens.filter { $0.value != token }
        policy.ended(process)
    }

    // MARK: Connections

    func connected(_ connection: ServerConnection) {}

    func disconnected(_ connection: ServerConnection, reason: String) {}

    func received(_ frame: [UInt8], from connection: ServerConnection) {
        if let grant = IssuerGrant(canonical: frame) {
            connection.send(answer(grant, from: connection))
            return
        }
        let answer = answer(frame, from: connection)
        if case .refused(let reason) = answer {
            let peer = connection.peer
            NodeProgram.say("refused process \(peer.processID) of user \(peer.userID): \(reason)")
        }
        connection.send(answer.encoded())
    }

    private func answer(_ frame: [UInt8], from connection: ServerConnection) -> IssuerAnswer {
        let request: IssuerRequest
        do { request = try IssuerRequest(canonical: frame) } catch { return .refused("\(error)") }
        let now = Now.current()
        let domain: IssuerDomain
        do { domain = try source.current(at: now) } catch { return .refused("\(error)") }
        guard let process = process(of: connection) else {
            return .refused("process \(connection.peer.processID) has ended")
        }
        return policy.answer(
            request, from: process, userID: connection.peer.userID, domain: domain, at: now.wall,
            serial: .random(in: 1...UInt64.max))
    }

    private func answer(_ grant: IssuerGrant, from connection: ServerConnection) -> [UInt8] {
        guard let process = process(of: connection) else {
            return IssuerAnswer.refused("process \(connection.peer.processID) has ended").encoded()
        }
        if let reason = policy.take(grant, from: process, userID: connection.peer.userID) {
            NodeProgram.say("grant refused: \(reason)")
            return IssuerAnswer.refused(reason).encoded()
        }
        return IssuerGrant.taken
    }

    /// The asking process, watched from now on. Nil where it has ended already.
    private func process(of connection: ServerConnection) -> IssuerPolicy.Process? {
        let processID = connection.peer.processID
        // A process that is watched and hasn't ended is the only one of its id. 0 is one that this
        // process can't see, of which there may be several.
        if processID != 0, let token = tokens[processID], let known = processes[token] { return known }
        let pidfd = connection.openPidfd()
        guard pidfd >= 0, let token = watch.watch(pidfd: pidfd) else { return nil }
        lastProcess += 1
        let process = IssuerPolicy.Process(number: lastProcess)
        processes[token] = process
        if processID != 0 { tokens[processID] = token }
        return process
    }

    /// An hour, or what MESH_LEAF_SECONDS says, which tests use.
    private static var leafLifetime: MonotonicTime.Span {
        guard let text = getenv("MESH_LEAF_SECONDS"), let seconds = UInt64(String(cString: text)),
            (1...3600).contains(seconds)
        else { return Limits.leafLifetime }
        return .seconds(seconds)
    }
}
