// The nodes of other hosts: seeds are dialled, and dialled again; others may connect.
//
// Theory of operation
//
//   Nothing happens before the issuer has given this node its host's certificate. From then on it listens,
//   and each seed is dialled; a connection that ends, for whatever reason, is dialled again after a pause
//   that doubles up to 10 s, and is short again once a handshake has succeeded.
//
//   A changed configuration is taken over live: listening sockets and connections to seeds that it no longer
//   names are closed, new ones opened. Who connected to a socket that is closed stays connected.
//
//   Strangers may connect, too: HandshakeSlots says who has to go for whom.
//
//   Two nodes that are seeds of each other have two connections. Each tells everything once; what comes
//   second is known already and goes no further.

import Glibc
import Logging
import NIOCore
import NIOPosix
import SidecarProtocol
import Transport

/// Called on the event loop.
protocol NeighboursDelegate: AnyObject {
    /// The domain's bundle is on this disk; called before any of the others.
    func trustIsThere()
    func handleNeighbour(_ input: TopicTable.Input)
}

final class Neighbours: NeighbourLinkDelegate {
    private var configuration: NodeConfiguration
    private let eventLoop: any EventLoop
    private let logger: Logger
    private unowned let delegate: any NeighboursDelegate
    private var credential: HostCredential!
    private var links: [TopicTable.Neighbour: NeighbourLink] = [:]
    private var established: Set<TopicTable.Neighbour> = []
    private var listeners: [String: any Channel] = [:]
    /// Seeds that are connected, being dialled, or will be.
    private var dialled: Set<String> = []
    private var delays: [String: MonotonicTime.Span] = [:]
    /// Why each seed isn't connected, as the log says it.
    private var problems: [String: String] = [:]
    private var handshakes: HandshakeSlots<TopicTable.Neighbour> = {
        var capacity = HandshakeCapacity()
        capacity.greeted = Limits.neighbourHandshakesMaximum
        return HandshakeSlots(capacity: capacity)
    }()
    private var refusals = RefusalLog()
    private var lastNumber: UInt64 = 0
    private var hasBegun = false

    init(
        _ configuration: NodeConfiguration, _ paths: MeshPaths, logger: Logger,
        on eventLoop: any EventLoop, delegate: any NeighboursDelegate
    ) {
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        self.delegate = delegate
        credential = HostCredential(paths, logger: logger, on: eventLoop) { [unowned self] _ in begin() }
    }

    func start() { credential.renew() }

    private func begin() {
        guard !hasBegun else { return }
        hasBegun = true
        delegate.trustIsThere()
        meet()
    }

    func change(to new: NodeConfiguration) {
        configuration = new
        guard hasBegun else { return }
        for (endpoint, channel) in listeners where !new.listen.contains(endpoint) {
            listeners[endpoint] = nil
            channel.close(promise: nil)
            logger.info("other hosts' nodes may no longer connect to \(endpoint)")
        }
        for link in links.values {
            if let seed = link.seed, !isWanted(seed) { link.close("it is no longer a seed") }
        }
        meet()
    }

    private func meet() {
        for endpoint in configuration.listen { listen(endpoint) }
        for seed in configuration.otherSeeds where dialled.insert(seed).inserted { dial(seed) }
    }

    private func isWanted(_ seed: String) -> Bool { configuration.otherSeeds.contains(seed) }

    func send(_ message: NodeMessage, to neighbour: TopicTable.Neighbour) {
        links[neighbour]?.send(message)
    }

    /// The trust bundle is another: everybody proves themselves anew, and tells everything again.
    func restart() {
        guard hasBegun else { return }
        credential.renew()
        for link in links.values { link.close("the trust bundle has changed") }
    }

    // MARK: Connections

    private func listen(_ endpoint: String) {
        guard configuration.listen.contains(endpoint), listeners[endpoint] == nil else { return }
        guard let (host, port) = Neighbours.split(endpoint),
            let address = try? SocketAddress(ipAddress: host, port: port)
        else { return logger.error("listen: \(endpoint) isn't address:port") }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ServerBootstrap(group: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: Neighbours.waterMark)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture { try bound.value.accept(child) }
            }
            .bind(to: address)
            .assumeIsolated()
            .whenComplete { result in
                switch result {
                case .success(let channel): self.listens(channel, endpoint)
                case .failure(let error):
                    self.logger.error("listen: \(endpoint): \(error); it is tried again")
                    self.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.listen(endpoint) }
                }
            }
    }

    private func listens(_ channel: any Channel, _ endpoint: String) {
        guard configuration.listen.contains(endpoint), listeners[endpoint] == nil else {
            return channel.close(promise: nil)
        }
        listeners[endpoint] = channel
        logger.info("other hosts' nodes may connect to \(endpoint)")
    }

    private func accept(_ channel: any Channel) throws {
        guard let own = credential.current, established.count < Limits.neighboursMaximum else {
            throw SystemError("a connection of another node: there are too many", code: EAGAIN)
        }
        let next = TopicTable.Neighbour(number: lastNumber + 1)
        let source = ConnectionSource(channel.remoteAddress)
        switch handshakes.enter(next, from: source, at: Now.current().monotonic) {
        case .tooOften: throw SystemError("a connection of another node: its source has many", code: EAGAIN)
        case .enters(let closing):
            for old in closing { links[old]?.close("others came meanwhile, and it said nothing") }
        }
        let session = NodeSession(
            accepting: own, makeEphemeral: HostCredential.ephemeral, at: Now.current())
        try channel.pipeline.syncOperations.addHandler(add(session, seed: nil))
    }

    private func dial(_ seed: String) {
        guard isWanted(seed) else {
            dialled.remove(seed)
            delays[seed] = nil
            problems[seed] = nil
            return
        }
        guard let own = credential.current, let (host, port) = Neighbours.split(seed) else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(5))
            .channelOption(.writeBufferWaterMark, value: Neighbours.waterMark)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let session = try NodeSession(
                        dialling: own, makeEphemeral: HostCredential.ephemeral, at: Now.current())
                    try channel.pipeline.syncOperations.addHandler(bound.value.add(session, seed: seed))
                }
            }
            .connect(host: host, port: port)
            .assumeIsolated()
            .whenFailure { error in
                self.forgetUnconnected(seed)
                self.dialLater(seed, "\(error)")
            }
    }

    private func add(_ session: NodeSession, seed: String?) -> NeighbourLink {
        lastNumber += 1
        let neighbour = TopicTable.Neighbour(number: lastNumber)
        let link = NeighbourLink(neighbour, seed: seed, session: session, delegate: self)
        links[neighbour] = link
        return link
    }

    private func dialLater(_ seed: String, _ reason: String) {
        let delay = delays[seed] ?? Limits.seedDelayMinimum
        if problems[seed] != reason { logger.notice("seed \(seed): \(reason); it is tried again") }
        problems[seed] = reason
        delays[seed] = min(delay * 2, Limits.seedDelayMaximum)
        let span = TimeAmount.nanoseconds(Int64(clamping: delay.nanoseconds))
        eventLoop.assumeIsolated().scheduleTask(in: span) { self.dial(seed) }
    }

    /// Links whose channel never became active: one for each address of the seed that was tried.
    private func forgetUnconnected(_ seed: String) {
        for link in links.values where link.seed == seed && !link.isConnected {
            links[link.neighbour] = nil
        }
    }

    // MARK: Links

    func greeted(_ link: NeighbourLink) {
        if let old = handshakes.greet(link.neighbour) { links[old]?.close("others came meanwhile") }
    }

    func established(_ link: NeighbourLink) {
        handshakes.leave(link.neighbour)
        if let seed = link.seed, !isWanted(seed) { return link.close("it is no longer a seed") }
        guard established.count < Limits.neighboursMaximum else {
            return link.close("there are \(Limits.neighboursMaximum) neighbours already")
        }
        established.insert(link.neighbour)
        if let seed = link.seed {
            delays[seed] = nil
            problems[seed] = nil
            forgetUnconnected(seed)
        }
        logger.info("neighbour \(link.name) is connected")
        delegate.handleNeighbour(.neighbourCame(link.neighbour))
    }

    func received(_ message: NodeMessage, from link: NeighbourLink) {
        delegate.handleNeighbour(.neighbourSaid(link.neighbour, message))
    }

    func closed(_ link: NeighbourLink, reason: String) {
        links[link.neighbour] = nil
        handshakes.leave(link.neighbour)
        if established.remove(link.neighbour) != nil {
            logger.info("neighbour \(link.name) is disconnected: \(reason)")
            delegate.handleNeighbour(.neighbourLeft(link.neighbour))
        } else if link.seed == nil {
            refusals.note("a connection of \(link.name) is refused: \(reason)", logger)
        }
        if let seed = link.seed { dialLater(seed, reason) }
    }

    // MARK: Names

    private static let waterMark = ChannelOptions.Types.WriteBufferWaterMark(
        low: Limits.neighbourQueueBytesMaximum / 2, high: Limits.neighbourQueueBytesMaximum)

    private static func split(_ text: String) -> (host: String, port: Int)? {
        guard let (host, port) = try? ConfigurationGrammar.hostAndPort(text, fix: "") else { return nil }
        return (host, Int(port))
    }
}

/// A line for each second at most: anybody can cause them.
private struct RefusalLog {
    private var last: MonotonicTime?
    private var more = 0

    mutating func note(_ text: @autoclosure () -> String, _ logger: Logger) {
        let now = Now.current().monotonic
        if let last, now - last < .seconds(1) {
            more &+= 1
            return
        }
        logger.notice("\(text())\(more > 0 ? ", as \(more) were before it" : "")")
        (last, more) = (now, 0)
    }
}
