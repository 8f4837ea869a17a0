import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import SidecarProtocol
@testable import Transport

@Suite("Links over 127.0.0.1", .timeLimit(.minutes(2)))
struct PeerLinkTests {
    @Test("both ends learn each other's certificate")
    func establishes() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        try pair.run {
            #expect(
                pair.caller.peer?.certificate.identity?.description == "spiffe://mesh.test/ns/default/w/web")
            #expect(
                pair.callee?.peer?.certificate.identity?.description
                    == "spiffe://mesh.test/ns/default/w/client")
        }
        try pair.until("a round trip") { pair.caller.roundTrip != nil && pair.callee?.roundTrip != nil }
    }

    @Test(
        "a ping is answered with its own time, up to so many at once; a link that ends answers the rest with none"
    )
    func pings() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let answers = PingAnswers()
        try pair.run {
            for _ in 0...Limits.linkPingsMaximum { pair.caller.ping { answers.all.append($0) } }
            // One too many.
            #expect(answers.all == [nil])
        }
        try pair.until("the answers") { answers.all.count == Limits.linkPingsMaximum + 1 }
        try pair.run {
            #expect(answers.all.dropFirst().allSatisfy { $0.map { $0 > .milliseconds(0) } == true })
            pair.callee?.ping { answers.all.append($0) }
            pair.caller.ping { answers.all.append($0) }
            pair.caller.close(.finished)
        }
        try pair.until("the ends") { answers.all.count == Limits.linkPingsMaximum + 3 }
        try pair.run {
            pair.caller.ping { #expect($0 == nil) }
        }
    }

    /// Linux 6.15 and later.
    private static let limitsRetransmission: Bool = {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var milliseconds: Int32 = 1_000
        let option = PeerLink.tcpRetransmissionMaximum.rawValue
        let size = socklen_t(MemoryLayout<Int32>.size)
        return setsockopt(socket, Int32(IPPROTO_TCP), option, &milliseconds, size) == 0
    }()

    @Test(
        "at both ends TCP waits no longer than the limit before it sends again",
        .enabled(if: limitsRetransmission, "this kernel has no TCP_RTO_MAX_MS"))
    func retransmission() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        try pair.run {
            for link in [pair.caller, pair.callee] {
                let options = link?.context?.channel.syncOptions
                let option = ChannelOptions.Types.SocketOption(
                    level: .tcp, name: PeerLink.tcpRetransmissionMaximum)
                let milliseconds = try options?.getOption(option)
                #expect(milliseconds == Int(Limits.retransmissionSpan.milliseconds))
            }
        }
    }

    @Test("the next endpoint is dialled where one doesn't answer")
    func nextEndpoint() throws {
        let pair = try LinkPair(endpoints: { port in
            [Endpoint(IPAddress(v4: 0x7F00_0001), 1), Endpoint(IPAddress(v4: 0x7F00_0001), port)]
        })
        defer { pair.stop() }
        try pair.until("established") { !pair.callerNotes.established.isEmpty }
    }

    @Test("a dial without any answer says so, once")
    func unreachable() throws {
        let pair = try LinkPair(endpoints: { _ in [Endpoint(IPAddress(v4: 0x7F00_0001), 1)] })
        defer { pair.stop() }
        try pair.until("closed") { !pair.callerNotes.closed.isEmpty }
        try pair.run {
            #expect(pair.callerNotes.closed.map(\.0) == [.unreachable])
            #expect(pair.callerNotes.closed[0].1.contains("127.0.0.1:1"))
        }
    }

    @Test("a target without endpoints is unreachable")
    func noEndpoint() throws {
        let pair = try LinkPair(endpoints: { _ in [] })
        defer { pair.stop() }
        try pair.until("closed") { pair.callerNotes.closed.map(\.0) == [.unreachable] }
    }

    @Test("a callee that is another workload is closed as untrusted")
    func otherWorkload() throws {
        let pair = try LinkPair(named: "db")
        defer { pair.stop() }
        try pair.until("closed") { !pair.callerNotes.closed.isEmpty && !pair.calleeNotes.closed.isEmpty }
        try pair.run {
            #expect(pair.callerNotes.closed.map(\.0) == [.untrusted])
            #expect(pair.calleeNotes.established.isEmpty)
        }
    }

    @Test("payload, both halves' ends and control frames arrive")
    func exchange() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        let id = try pair.openStream(to: far, from: near)
        try pair.run {
            pair.caller.send(.calls(.ports([80])))
            #expect(pair.caller.write(ByteBuffer(string: "ping"), on: id))
            pair.caller.finish(id)
        }
        try pair.until("the request") { far.bytes == Array("ping".utf8) && far.hasEnded }
        try pair.run {
            #expect(pair.calleeNotes.frames == [.calls(.ports([80]))])
            pair.callee?.send(.accepted(id))
            _ = pair.callee?.write(ByteBuffer(string: "pong"), on: id)
            pair.callee?.finish(id)
        }
        try pair.until("the answer") { near.bytes == Array("pong".utf8) && near.hasEnded }
        try pair.run {
            #expect(pair.callerNotes.frames == [.accepted(id)])
            #expect(pair.caller.streamCount == 0 && pair.callee?.streamCount == 0)
        }
    }

    @Test("many streams carry a lot at once, each its own bytes")
    func manyStreams() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let count = 40
        let (near, far) = ((0..<count).map { _ in KeptEnd() }, (0..<count).map { _ in KeptEnd() })
        let ids = try (0..<count).map { try pair.openStream(to: far[$0], from: near[$0]) }
        let payloads = (0..<count).map { stream in
            var payload = ByteBuffer()
            for block in 0..<300 {
                payload.writeInteger(UInt32(stream * 1_000 + block))
                payload.writeRepeatingByte(UInt8(stream), count: 996)
            }
            return payload
        }
        try pair.run {
            for (id, payload) in zip(ids, payloads) {
                _ = pair.caller.write(payload, on: id)
                pair.caller.finish(id)
            }
        }
        try pair.until("all streams") { far.allSatisfy(\.hasEnded) }
        try pair.run {
            for (stream, end) in far.enumerated() {
                let isRight = end.bytes == Array(payloads[stream].readableBytesView)
                #expect(isRight, "stream \(stream)")
            }
        }
    }

    @Test("a reader that takes nothing holds its writer back; taking lets it go on")
    func backPressure() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        far.takes = { _ in }
        let id = try pair.openStream(to: far, from: near)
        let window = Limits.streamWindowInitialBytes
        let isOpen = try pair.run {
            pair.caller.write(ByteBuffer(repeating: 1, count: window + 10_000), on: id)
        }
        #expect(!isOpen)
        try pair.until("a window's worth") { far.bytes.count == window }
        try pair.run {
            #expect(near.sendableCount == 0)
            pair.callee?.consumed(window, on: id)
        }
        try pair.until("the rest") { far.bytes.count == window + 10_000 && near.sendableCount == 1 }
    }

    @Test("a small request isn't held up by a bulk stream without credit")
    func noHeadOfLineBlocking() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        far.takes = { _ in }
        let bulk = try pair.openStream(to: far, from: near)
        try pair.run { _ = pair.caller.write(ByteBuffer(repeating: 1, count: 4 << 20), on: bulk) }
        let (nearSmall, farSmall) = (KeptEnd(), KeptEnd())
        let small = try pair.openStream(to: farSmall, from: nearSmall)
        try pair.run { _ = pair.caller.write(ByteBuffer(string: "small"), on: small) }
        try pair.until("the small request") { farSmall.bytes == Array("small".utf8) }
    }

    @Test("a reset reaches the other end with its reason, and the core hears of it first")
    func reset() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        let id = try pair.openStream(to: far, from: near)
        try pair.until("attached") { pair.callee?.streamCount == 1 }
        try pair.run { pair.caller.reset(id, .workloadReset) }
        try pair.until("reset") { far.reset == .workloadReset }
        try pair.run {
            #expect(pair.calleeNotes.frames == [.reset(id, .workloadReset)])
            #expect(near.reset == nil)
            #expect(pair.caller.streamCount == 0 && pair.callee?.streamCount == 0)
        }
    }

    @Test("a stream whose permit is revoked sends nothing more, and both ends are reset")
    func revoked() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        _ = try pair.openStream(to: far, from: near)
        try pair.run {
            let permit = try linkPermit()
            let id = try #require(
                pair.caller.openStream(
                    FlowOpen(port: ServicePort(80, .tcp), sourcePort: 1), permit: permit, end: near))
            permit.revoke()
            _ = pair.caller.write(ByteBuffer(string: "secret"), on: id)
            #expect(near.reset == .policy)
        }
        try pair.until("the peer's reset") { pair.calleeNotes.frames.count == 1 }
        try pair.run { #expect(far.bytes.isEmpty) }
    }

    @Test("datagrams arrive whole and in order")
    func datagrams() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        let id = try pair.openStream(to: far, from: near, protocol: .udp)
        let sizes = [1, 0, 1_400, Limits.datagramBytesMaximum]
        try pair.run {
            for size in sizes { pair.caller.writeDatagram(ByteBuffer(repeating: 7, count: size), on: id) }
            pair.caller.writeDatagram(
                ByteBuffer(repeating: 7, count: Limits.datagramBytesMaximum + 1), on: id)
        }
        try pair.until("all datagrams") { far.datagrams.map(\.count) == sizes }
        try pair.run { #expect(pair.caller.counters.datagramsDropped == 1) }
    }

    @Test("of datagrams that find no room the oldest are dropped, and counted")
    func datagramQueue() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        let id = try pair.openStream(to: far, from: near, protocol: .udp)
        let excess = 10
        try pair.run {
            // Within one turn nothing leaves: the output fills up, then the queue.
            while !pair.caller.isOutputFull {
                pair.caller.writeDatagram(ByteBuffer(repeating: 0, count: 60_000), on: id)
            }
            for number in 0..<UInt8(Limits.waitingDatagramsMaximum + excess) {
                pair.caller.writeDatagram(ByteBuffer(bytes: [number]), on: id)
            }
            #expect(pair.caller.counters.datagramsDropped == UInt64(excess))
        }
        try pair.until("the newest") {
            far.datagrams.last == [UInt8(Limits.waitingDatagramsMaximum + excess - 1)]
        }
        try pair.run { #expect(far.datagrams.filter { $0.count == 1 }.first == [UInt8(excess)]) }
    }

    @Test("a renewed certificate reaches the peer while bytes flow")
    func renewal() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        let id = try pair.openStream(to: far, from: near)
        let renewed = try pair.domain.credential("client", key: 51, serial: 77)
        try pair.run {
            _ = pair.caller.write(ByteBuffer(repeating: 1, count: 200_000), on: id)
            pair.caller.renew(renewed)
            pair.caller.finish(id)
        }
        try pair.until("renewed") { pair.calleeNotes.renewed.map(\.certificate.serial) == [77] }
        try pair.until("all bytes") { far.hasEnded && far.bytes.count == 200_000 }
    }

    @Test("closing tells the peer why, and resets every stream at both ends")
    func closing() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        _ = try pair.openStream(to: far, from: near)
        try pair.until("attached") { pair.callee?.streamCount == 1 }
        try pair.run {
            pair.caller.close(.revocation)
            #expect(near.reset == .revocation)
            #expect(pair.callerNotes.closed.isEmpty)
        }
        try pair.until("closed") { !pair.callerNotes.closed.isEmpty && !pair.calleeNotes.closed.isEmpty }
        try pair.run {
            #expect(pair.calleeNotes.frames == [.goodbye(.revocation)])
            #expect(far.reset == .revocation)
            #expect(pair.callerNotes.closed.map(\.0) == [.revocation])
            #expect(pair.calleeNotes.closed.map(\.0) == [.revocation])
        }
    }

    @Test("a connection that is cut resets every stream as lost")
    func connectionLost() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let (near, far) = (KeptEnd(), KeptEnd())
        _ = try pair.openStream(to: far, from: near)
        try pair.until("attached") { pair.callee?.streamCount == 1 }
        try pair.run { pair.callee?.context?.channel.close(promise: nil) }
        try pair.until("closed") { !pair.callerNotes.closed.isEmpty && !pair.calleeNotes.closed.isEmpty }
        try pair.run {
            #expect(near.reset == .sessionLost && far.reset == .sessionLost)
            #expect(pair.callerNotes.closed.map(\.0) == [.sessionLost])
        }
    }

    @Test("garbage from a stranger is closed without an answer")
    func garbage() throws {
        let pair = try LinkPair.established()
        defer { pair.stop() }
        let address = try #require(pair.listener?.localAddress)
        let answer = NIOLoopBoundBox.makeBoxSendingValue(ByteBuffer(), eventLoop: pair.loop)
        let stranger = try ClientBootstrap(group: pair.loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Listening { answer.value.writeImmutableBuffer($0) })
                }
            }
            .connect(to: address).wait()
        try stranger.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.1\r\n\r\n")).wait()
        try stranger.closeFuture.wait()
        try pair.run {
            #expect(answer.value.readableBytes == 0)
            #expect(pair.calleeNotes.closed.map(\.0) == [.protocolError])
        }
    }
}

private final class Listening: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    private let body: @Sendable (ByteBuffer) -> Void
    init(_ body: @escaping @Sendable (ByteBuffer) -> Void) { self.body = body }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) { body(unwrapInboundIn(data)) }
}

/// Touched on the links' event loop only.
private final class PingAnswers: @unchecked Sendable {
    var all: [MonotonicTime.Span?] = []
}
