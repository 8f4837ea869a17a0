import Glibc
import NIOCore
import NIOPosix
import SidecarProtocol

extension PeerLink {
    /// Dials the target's endpoints in turn, until a handshake succeeds at one of them.
    package static func dial(
        id: LinkID, target: DialTarget, credential: Credential, on eventLoop: any EventLoop,
        delegate: any PeerLinkDelegate
    ) -> PeerLink {
        let link = PeerLink(id: id, eventLoop: eventLoop, delegate: delegate)
        link.target = target
        link.credential = credential
        eventLoop.assumeIsolated().execute { link.dialNext() }
        return link
    }

    /// Takes a connection that was accepted. To be called on the channel's event loop.
    @discardableResult
    package static func accept(
        id: LinkID, channel: any Channel, credentials: CredentialSource, delegate: any PeerLinkDelegate
    ) -> PeerLink {
        let link = PeerLink(id: id, eventLoop: channel.eventLoop, delegate: delegate)
        link.credentials = credentials
        PeerLink.configure(channel)
        do { try channel.pipeline.syncOperations.addHandler(link) } catch {
            link.ending = (.sessionLost, "\(error)")
            channel.close(promise: nil)
            channel.eventLoop.assumeIsolated().execute { link.conclude() }
        }
        return link
    }

    static func configure(_ channel: any Channel) {
        guard let options = channel.syncOptions else { return }
        // An embedded channel has none of the sockets' options; a connection works without each of them.
        try? options.setOption(.maxMessagesPerRead, value: 1)
        try? options.setOption(
            .recvAllocator,
            value: AdaptiveRecvByteBufferAllocator(minimum: 4 << 10, initial: 16 << 10, maximum: 256 << 10))
        try? options.setOption(
            .writeBufferWaterMark,
            value: ChannelOptions.Types.WriteBufferWaterMark(
                low: outputBytesLow, high: outputBytesMaximum))
        try? options.setOption(.tcpOption(.tcp_nodelay), value: 1)
        try? options.setOption(
            ChannelOptions.Types.SocketOption(level: .tcp, name: tcpNotSentLowWater), value: 128 << 10)
        try? options.setOption(
            ChannelOptions.Types.SocketOption(level: .tcp, name: tcpRetransmissionMaximum),
            value: Int(Limits.retransmissionSpan.milliseconds))
    }

    /// TCP_NOTSENT_LOWAT, which Glibc's module doesn't show.
    private static let tcpNotSentLowWater = NIOBSDSocket.Option(rawValue: 25)
    /// TCP_RTO_MAX_MS of Linux 6.15. Without it TCP doubles its waits up to 120 s.
    static let tcpRetransmissionMaximum = NIOBSDSocket.Option(rawValue: 44)

    // MARK: Dialling

    func dialNext() {
        guard phase == .connecting, let target else { return }
        guard nextEndpoint < target.endpoints.count else {
            if ending == nil { ending = (.unreachable, "the peer announces no endpoint") }
            return conclude()
        }
        let endpoint = target.endpoints[nextEndpoint]
        nextEndpoint += 1
        guard let address = try? SocketAddress(dialling: endpoint) else {
            ending = (.unreachable, "\(endpoint) can't be dialled")
            return dialNext()
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(5))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    PeerLink.configure(channel)
                    try channel.pipeline.syncOperations.addHandler(bound.value)
                }
            }
            .connect(to: address)
            .assumeIsolated()
            .whenFailure { error in self.attemptFailed(.unreachable, "\(endpoint): \(error)") }
    }

    func start() {
        guard session == nil, phase == .connecting else { return }
        phase = .handshaking
        let now = Now.current()
        if let target, let credential {
            do throws(SessionError) {
                session = try Session(
                    dialling: target, credential: credential, makeEphemeral: PeerLink.ephemeral, at: now)
            } catch { return fail(error) }
        } else if let credentials {
            session = Session(accepting: credentials, makeEphemeral: PeerLink.ephemeral, at: now)
        }
        flush()
        armTimer()
    }

    private static func ephemeral() -> X25519KeyPair { X25519KeyPair(secret: .random()) }

    /// A dial that came to nothing goes on with the next endpoint.
    private func attemptFailed(_ reason: CloseReason, _ detail: String) {
        guard phase != .closed else { return }
        guard phase == .connecting || phase == .handshaking, let target,
            nextEndpoint < target.endpoints.count
        else {
            if ending == nil { ending = (reason, detail) }
            return conclude()
        }
        ending = nil
        session = nil
        phase = .connecting
        partial.clear()
        dialNext()
    }

    // MARK: The end

    /// The session can't go on.
    func fail(_ error: SessionError) {
        end(error.closeReason, "\(error)")
    }

    /// Ends the link because of the peer or the connection. Nothing more is read.
    func end(_ reason: CloseReason, _ detail: String) {
        guard phase != .closing, phase != .closed else { return }
        if ending == nil { ending = (reason, detail) }
        if phase == .established {
            phase = .closing
            resetStreams(reason)
        }
        context?.close(promise: nil)
    }

    func connectionLost(_ detail: String) {
        let known = ending
        if phase == .established {
            phase = .closing
            resetStreams(known?.reason ?? .sessionLost)
        }
        attemptFailed(known?.reason ?? .sessionLost, known?.detail ?? detail)
    }

    /// Lets what is written leave, and the peer read it, before the socket is closed: bytes that lie
    /// unread in it would otherwise turn the close into a reset that overtakes them.
    func shutDown(_ context: ChannelHandlerContext, afterGoodbye: Bool) {
        guard afterGoodbye else { return context.close(promise: nil) }
        let channel = context.channel
        eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { channel.close(promise: nil) }
        context.close(mode: .output, promise: nil)
    }

    func resetStreams(_ reason: CloseReason) {
        let all = streams.values.sorted { $0.id < $1.id }
        streams = [:]
        waiting.removeAll()
        for stream in all {
            stream.isGone = true
            stream.end.receiveReset(reason)
        }
    }

    /// Says that the link is gone, once.
    func conclude() {
        guard phase != .closed else { return }
        phase = .closed
        timer?.cancel()
        timer = nil
        tally.session = counters.session
        session = nil
        let (reason, detail) = ending ?? (.sessionLost, "the connection is gone")
        let unanswered = pings.values
        pings = [:]
        for ping in unanswered { ping.answered(nil) }
        delegate?.linkClosed(self, reason, detail: detail)
        delegate = nil
    }

    // MARK: Time

    /// One timer, for the session's next deadline. A deadline that moved away is found out when it fires.
    func armTimer() {
        guard phase == .handshaking || phase == .established, let deadline = session?.nextDeadline
        else { return }
        if let timerDeadline, timer != nil, timerDeadline <= deadline { return }
        timer?.cancel()
        timerDeadline = deadline
        let span = deadline - Now.current().monotonic
        timer = eventLoop.assumeIsolated().scheduleTask(
            in: .nanoseconds(Int64(clamping: span.nanoseconds) + 1_000_000)
        ) { self.timerFired() }
    }

    private func timerFired() {
        timer = nil
        timerDeadline = nil
        guard session != nil, phase == .handshaking || phase == .established else { return }
        do throws(SessionError) {
            try session?.passTime(at: Now.current())
            scheduleFlushIfPending()
            armTimer()
        } catch { fail(error) }
    }
}

extension SocketAddress {
    fileprivate init(dialling endpoint: Endpoint) throws {
        try self.init(
            packedIPAddress: ByteBuffer(bytes: endpoint.address.bytes), port: Int(endpoint.port))
    }
}
