import NIOCore
import NIOPosix
import Testing

@testable import SidecarProtocol
@testable import Transport

/// A trust domain with credentials for `client` and `web`.
struct LinkDomain {
    let bundle: TrustBundle
    private let issuer: Certificate
    private let issuerKey: SigningKeyPair

    init() throws {
        let rootKey = SigningKeyPair(seed: [UInt8](repeating: 1, count: 32))
        issuerKey = SigningKeyPair(seed: [UInt8](repeating: 2, count: 32))
        let now = Now.current().wall.seconds
        let (begin, end) = (WallTime(seconds: now - 86_400), WallTime(seconds: now + 864_000))
        let root = try CertificateContents(
            kind: .root, trustDomain: "mesh.test", subject: nil, signingKey: rootKey.publicKey,
            notBefore: begin, notAfter: end, serial: 1
        ).signed(by: rootKey)
        var contents = CertificateContents(
            kind: .issuer, trustDomain: "mesh.test", subject: .host("one"),
            signingKey: issuerKey.publicKey, notBefore: begin, notAfter: end, serial: 2)
        contents.names = [IdentityPattern(namespace: .any, name: .any)]
        issuer = try contents.signed(by: rootKey)
        bundle = try TrustBundle(firstOf: "mesh.test", roots: [root])
    }

    func credential(_ name: String, key: UInt8, serial: UInt64 = 10) throws -> Credential {
        let pair = X25519KeyPair(secret: [UInt8](repeating: key, count: 32))
        let signing = SigningKeyPair(seed: [UInt8](repeating: key, count: 32))
        let now = Now.current().wall.seconds
        var contents = CertificateContents(
            kind: .leaf, trustDomain: "mesh.test",
            subject: .workload(try WorkloadName(namespace: "default", name: name)),
            signingKey: signing.publicKey, notBefore: WallTime(seconds: now - 300),
            notAfter: WallTime(seconds: now + 3_600), serial: serial)
        contents.instance = InstanceID([UInt8](repeating: key, count: 16))
        contents.staticKey = pair.publicKey
        return Credential(
            certificate: try contents.signed(by: issuerKey), chain: [issuer], bundle: bundle,
            staticKey: pair, signingKey: signing, policyHead: .initial(of: bundle.id),
            discoveryKey: DiscoveryKey([UInt8](repeating: 9, count: 32))!)
    }
}

func linkPermit(_ gate: DecisionGate = DecisionGate()) throws -> FlowPermit {
    let web = try WorkloadName(namespace: "default", name: "web")
    return try #require(
        Authorizer(configuration: WorkloadConfiguration(workload: web), gate: gate)
            .permit(for: .allow("a test")))
}

/// What a link told, in order.
final class LinkNotes: PeerLinkDelegate {
    var established: [SessionPeer] = []
    var renewed: [SessionPeer] = []
    var opened: [(StreamID, FlowOpen)] = []
    var frames: [ControlFrame] = []
    var closed: [(CloseReason, String)] = []
    /// What inbound streams are attached to; others stay as they are.
    var ends: [StreamID: any StreamEnd] = [:]

    func linkEstablished(_ link: PeerLink, _ peer: SessionPeer) { established.append(peer) }
    func linkRenewed(_ link: PeerLink, _ peer: SessionPeer) { renewed.append(peer) }
    func link(_ link: PeerLink, opened stream: StreamID, _ open: FlowOpen) {
        opened.append((stream, open))
        if let end = ends[stream], let permit = try? linkPermit() {
            link.attach(stream, permit: permit, end: end)
        }
    }
    func link(_ link: PeerLink, received frame: ControlFrame) { frames.append(frame) }
    func linkClosed(_ link: PeerLink, _ reason: CloseReason, detail: String) {
        closed.append((reason, detail))
    }
}

/// A local socket (owner: the event loop; the test only makes it) that keeps what it gets, and takes it at once unless told otherwise.
final class KeptEnd: StreamEnd, @unchecked Sendable {
    var bytes: [UInt8] = []
    var datagrams: [[UInt8]] = []
    var hasEnded = false
    var reset: CloseReason?
    var sendableCount = 0
    var takes: ((Int) -> Void)?
    var whenSendable: (() -> Void)?

    func receive(_ bytes: ByteBuffer) {
        self.bytes += bytes.readableBytesView
        takes?(bytes.readableBytes)
    }
    func receiveDatagram(_ bytes: ByteBuffer) { datagrams.append(Array(bytes.readableBytesView)) }
    func receiveEnd() { hasEnded = true }
    func receiveReset(_ reason: CloseReason) { reset = reason }
    func becameSendable() {
        sendableCount += 1
        whenSendable?()
    }
}

/// Two links over 127.0.0.1, everything on one event loop. The closures of `run` and `until` run there.
final class LinkPair: @unchecked Sendable {
    // Owner: the event loop; the test's thread only makes it.
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop: any EventLoop
    let domain: LinkDomain
    let source: CredentialSource
    var caller: PeerLink!
    var callee: PeerLink?
    let callerNotes = LinkNotes()
    let calleeNotes = LinkNotes()
    var listener: (any Channel)?

    /// - Parameter endpoints: what is dialled, given the port that the callee listens on.
    init(
        named name: String = "web",
        endpoints: (UInt16) -> [Endpoint] = { [Endpoint(IPAddress(v4: 0x7F00_0001), $0)] }
    ) throws {
        loop = group.next()
        domain = try LinkDomain()
        let callee = try domain.credential("web", key: 60)
        source = CredentialSource(callee)
        let listener = try ServerBootstrap(group: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    self.callee = PeerLink.accept(
                        id: .firstAccepted, channel: channel, credentials: self.source,
                        delegate: self.calleeNotes)
                }
            }
            .bind(to: try SocketAddress(ipAddress: "127.0.0.1", port: 0)).wait()
        self.listener = listener
        let port = UInt16(try #require(listener.localAddress?.port))
        let target = DialTarget(
            endpoints: endpoints(port), staticKey: callee.staticKey.publicKey,
            workload: try WorkloadName(namespace: "default", name: name),
            topic: TopicID([UInt8](repeating: 3, count: 16))!, versions: 1...1)
        let credential = try domain.credential("client", key: 50)
        try run {
            self.caller = PeerLink.dial(
                id: LinkID(number: 1), target: target, credential: credential, on: self.loop,
                delegate: self.callerNotes)
        }
    }

    static func established() throws -> LinkPair {
        let pair = try LinkPair()
        try pair.until("established") {
            !pair.callerNotes.established.isEmpty && !pair.calleeNotes.established.isEmpty
        }
        return pair
    }

    func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
        try loop.submit(body).wait()
    }

    /// Asks again each millisecond until it is so, or ten seconds have passed.
    func until(_ what: Comment, _ isSo: @escaping @Sendable () -> Bool) throws {
        let deadline = NIODeadline.now() + .seconds(10)
        while try !loop.scheduleTask(in: .milliseconds(1), isSo).futureResult.wait() {
            guard NIODeadline.now() < deadline else {
                Issue.record("waited for: \(what)")
                throw TimeoutError()
            }
        }
    }

    struct TimeoutError: Error {}

    /// Opens a stream from the caller to an end at the callee that takes everything.
    func openStream(
        to end: KeptEnd, from own: KeptEnd, protocol: FlowProtocol = .tcp
    ) throws -> StreamID {
        try run {
            let id = try #require(
                self.caller.openStream(
                    FlowOpen(port: ServicePort(80, `protocol`), sourcePort: 40_000),
                    permit: linkPermit(), end: own))
            self.calleeNotes.ends[id] = end
            if end.takes == nil { end.takes = { self.callee?.consumed($0, on: id) } }
            if own.takes == nil { own.takes = { self.caller.consumed($0, on: id) } }
            return id
        }
    }

    func stop() {
        try? run {
            self.caller.close(.shutdown)
            self.callee?.close(.shutdown)
        }
        try? listener?.close().wait()
        try? group.syncShutdownGracefully()
    }
}
