// The issuer's socket: one frame a request, one frame an answer.

import CLinuxShims
import Glibc
import NIOCore
import SidecarProtocol
import Transport

final class IssuerServer: ServerConnectionDelegate {
    private struct Asker {
        let process: IssuerPolicy.Process
        let processID: Int32
        let startTime: UInt64
    }

    private let watch: ProcessWatch
    private let eventLoop: any EventLoop
    private var source: DomainSource
    private var policy: IssuerPolicy
    private var head: IssuedPolicyHead
    private var socket: ServerSocket?
    /// Who has asked and lives: one watch a process, however often it asks.
    private var processes: [ProcessWatch.Token: Asker] = [:]
    private var tokens: [Int32: ProcessWatch.Token] = [:]
    private var lastProcess: UInt64 = 0
    private var file: RightsFile
    private var warned: MonotonicTime?

    init(source: DomainSource, watch: ProcessWatch, eventLoop: any EventLoop) {
        self.source = source
        self.watch = watch
        self.eventLoop = eventLoop
        file = RightsFile(path: source.paths.issuerRightsFile)
        head = IssuedPolicyHead(paths: source.paths)
        policy = IssuerPolicy(
            ownUserID: geteuid(), isSystem: source.isSystem, leafLifetime: IssuerServer.leafLifetime)
    }

    func serve(_ listener: Int32) {
        restore()
        readPolicy()
        let socket = ServerSocket(
            eventLoop: eventLoop, connectionCountMaximum: Limits.nodeClientsMaximum, delegate: self)
        self.socket = socket
        socket.serve(listener).whenFailure { error in
            NodeProgram.say("the socket can't be served: \(error)")
            exit(NodeProgram.failure)
        }
    }

    func processEnded(_ token: ProcessWatch.Token) {
        guard let asker = processes.removeValue(forKey: token) else { return }
        tokens = tokens.filter { $0.value != token }
        policy.ended(asker.process)
        file.ended(asker.processID, startTime: asker.startTime) { allRights }
    }

    /// Word of an end comes by another thread, and may come after the request of one who has waited for the end.
    ///
    /// - Returns: Whether anybody has ended.
    private func noteEnds() -> Bool {
        let ended = processes.keys.filter { watch.hasEnded($0) }
        for token in ended { processEnded(token) }
        return !ended.isEmpty
    }

    // MARK: Connections

    func connected(_ connection: ServerConnection) {}

    func disconnected(_ connection: ServerConnection, reason: String) {}

    func received(_ frame: [UInt8], from connection: ServerConnection) {
        if frame == PolicyNotice.frame {
            readPolicy()
            return connection.send(frame)
        }
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
        do {
            domain = try source.current(at: now)
            policy.policyHead = try head.current(of: domain)
        } catch { return .refused("\(error)") }
        if let refusal = head.refusal(of: request) { return .refused(refusal) }
        guard let process = process(of: connection) else {
            return .refused("process \(connection.peer.processID) has ended")
        }
        warn(of: domain.issuerCertificate, at: now)
        func ask() -> IssuerAnswer {
            policy.answer(
                request, from: process, userID: connection.peer.userID, domain: domain, at: now.wall,
                serial: .random(in: 1...UInt64.max))
        }
        var answer = ask()
        if case .refused = answer, noteEnds() { answer = ask() }
        // Before the answer: a name that somebody has is known to the next issuer, whenever this one dies.
        if case .issued = answer { save(process) }
        return answer
    }

    /// Keeps the head of the policy on the disk, before anybody asks for a certificate under it.
    private func readPolicy() {
        let now = Now.current()
        do {
            policy.policyHead = try head.current(of: try source.current(at: now))
        } catch { NodeProgram.say("\(error)") }
    }

    private func answer(_ grant: IssuerGrant, from connection: ServerConnection) -> [UInt8] {
        guard let process = process(of: connection) else {
            return IssuerAnswer.refused("process \(connection.peer.processID) has ended").encoded()
        }
        if let reason = policy.take(grant, from: process, userID: connection.peer.userID) {
            NodeProgram.say("grant refused: \(reason)")
            return IssuerAnswer.refused(reason).encoded()
        }
        save(process)
        return IssuerGrant.taken
    }

    /// Once an hour, from 66 % of the issuer's life on: only an operator can have it renewed.
    private func warn(of issuer: Certificate, at now: Now) {
        let life = CertificateLife(of: issuer)
        guard life.isAlarming(at: now.wall), warned.map({ now.monotonic - $0 >= .seconds(3600) }) ?? true
        else { return }
        warned = now.monotonic
        let hours = life.left(at: now.wall).milliseconds / 3_600_000
        NodeProgram.say(
            "this issuer's certificate is at \(life.percentUsed(at: now.wall)) % of its life and isn't renewed;"
                + " in \(hours) h no certificate is issued any more: mesh trust request, sign and install")
    }

    /// The asking process, watched from now on. Nil where it has ended already.
    private func process(of connection: ServerConnection) -> IssuerPolicy.Process? {
        let processID = connection.peer.processID
        // A process that is watched and hasn't ended is the only one of its id. 0 is one that this
        // process can't see, of which there may be several.
        if processID != 0, let token = tokens[processID], let known = processes[token] {
            return known.process
        }
        return watch(connection.openPidfd(), processID)
    }

    private func watch(_ pidfd: Int32, _ processID: Int32) -> IssuerPolicy.Process? {
        guard pidfd >= 0, let token = watch.watch(pidfd: pidfd) else { return nil }
        lastProcess += 1
        let process = IssuerPolicy.Process(number: lastProcess)
        processes[token] = Asker(
            process: process, processID: processID, startTime: ProcessStart.ticks(of: processID) ?? 0)
        if processID != 0 { tokens[processID] = token }
        return process
    }

    // MARK: The next issuer

    /// So that a name stays its holder's, and another user's right to it stays, when this process dies.
    private func save(_ process: IssuerPolicy.Process) {
        guard let asker = processes.values.first(where: { $0.process == process }),
            let rights = rights(of: asker)
        else { return }
        file.save(rights) { allRights }
    }

    private func rights(of asker: Asker) -> SavedRights? {
        let (instances, grants) = policy.rights(of: asker.process)
        guard asker.startTime > 0, !instances.isEmpty || !grants.isEmpty else { return nil }
        return SavedRights(
            processID: asker.processID, startTime: asker.startTime, instances: instances, grants: grants)
    }

    private var allRights: [SavedRights] { processes.values.compactMap { rights(of: $0) } }

    private func restore() {
        for rights in file.read() {
            let process = watch(mesh_pidfd_open(rights.processID), rights.processID)
            // Looked at after pidfd_open: while the id is the saved process's, the pidfd is, too.
            // Where it isn't, a process is watched that holds nothing.
            guard let process, ProcessStart.ticks(of: rights.processID) == rights.startTime else {
                continue
            }
            policy.restore(rights, to: process)
        }
        file.rewrite(allRights)
    }

    /// An hour, or what MESH_LEAF_SECONDS says, which tests use.
    private static var leafLifetime: MonotonicTime.Span {
        guard let text = getenv("MESH_LEAF_SECONDS"), let seconds = UInt64(String(cString: text)),
            (1...3600).contains(seconds)
        else { return Limits.leafLifetime }
        return .seconds(seconds)
    }
}

private enum ProcessStart {
    /// When the process started, in clock ticks since boot (field 22 of proc(5)'s stat); nil where there
    /// is no such process.
    static func ticks(of processID: Int32) -> UInt64? {
        let file = open("/proc/\(processID)/stat", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = read(file, &bytes, bytes.count)
        // The second field, the name, may hold anything; the last parenthesis ends it.
        guard count > 0, let end = bytes[..<count].lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = bytes[(end + 1)..<count].split(separator: UInt8(ascii: " "))
        guard fields.count > 19 else { return nil }
        return UInt64(String(decoding: fields[19], as: UTF8.self))
    }
}
