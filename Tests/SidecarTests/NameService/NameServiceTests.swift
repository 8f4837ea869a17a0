import NIOCore
import NIOEmbedded
import SidecarProtocol
import Testing

@testable import Sidecar

@Suite("Name service")
struct NameServiceTests {
    @Test("a question over TCP reaches the core, however it is cut, and its answer has its length before it")
    func stream() throws {
        let fixture = NameFixture()
        let message = [0, UInt8(NameFixture.question.count)] + NameFixture.question
        for byte in message { try fixture.channel.writeInbound(ByteBuffer(bytes: [byte])) }
        #expect(fixture.asked.map(\.1) == [NameQuestion(kind: .a, name: "web.mesh")])
        fixture.service.answer(fixture.asked[0].0, .address(IPAddress(v4: 0xC612_0102)))
        var answer = try #require(try fixture.channel.readOutbound(as: ByteBuffer.self))
        let length = answer.readInteger(as: UInt16.self)
        #expect(length.map(Int.init) == answer.readableBytes)
        let bytes = Array(answer.readableBytesView)
        #expect(bytes.prefix(2) == [0x12, 0x34])
        #expect(bytes.suffix(4) == [198, 18, 1, 2])
    }

    @Test("two questions in one read are two questions")
    func twoInOne() throws {
        let fixture = NameFixture()
        let message = [0, UInt8(NameFixture.question.count)] + NameFixture.question
        try fixture.channel.writeInbound(ByteBuffer(bytes: message + message))
        #expect(fixture.asked.count == 2 && fixture.asked[0].0 != fixture.asked[1].0)
    }

    @Test("what can't be read is answered as malformed, or dropped where there is no header")
    func malformed() throws {
        let fixture = NameFixture()
        fixture.service.received([1, 2, 3], .stream(fixture.channel))
        #expect(try fixture.channel.readOutbound(as: ByteBuffer.self) == nil)
        fixture.service.received(Array(NameFixture.question.prefix(14)), .stream(fixture.channel))
        let answer = try #require(try fixture.channel.readOutbound(as: ByteBuffer.self))
        #expect(Array(answer.readableBytesView)[5] & 0x0F == DNSCode.formatError)
        #expect(fixture.asked.isEmpty)
    }

    @Test("a question past the limit is dropped and counted")
    func limit() throws {
        let fixture = NameFixture()
        for _ in 0..<Limits.nameQueriesMaximum {
            fixture.service.received(NameFixture.question, .stream(fixture.channel))
        }
        #expect(fixture.asked.count == Limits.nameQueriesMaximum && fixture.service.refusedCount == 0)
        fixture.service.received(NameFixture.question, .stream(fixture.channel))
        #expect(fixture.asked.count == Limits.nameQueriesMaximum && fixture.service.refusedCount == 1)
        fixture.service.answer(fixture.asked[0].0, .nameError)
        fixture.service.received(NameFixture.question, .stream(fixture.channel))
        #expect(fixture.asked.count == Limits.nameQueriesMaximum + 1)
    }

    @Test("an answer that nobody waits for is dropped")
    func stray() throws {
        let fixture = NameFixture()
        fixture.service.answer(QueryID(number: 9), .nameError)
        #expect(try fixture.channel.readOutbound(as: ByteBuffer.self) == nil)
    }
}

/// A service with one TCP connection, and what it asked.
private final class NameFixture {
    let channel: EmbeddedChannel
    private(set) var service: NameService!
    private(set) var asked: [(QueryID, NameQuestion)] = []

    /// `web.mesh`, type A, with recursion desired.
    static let question: [UInt8] =
        [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + [3] + Array("web".utf8) + [4] + Array("mesh".utf8)
        + [0, 0, 1, 0, 1]

    init() {
        channel = EmbeddedChannel()
        service = NameService(loop: channel.eventLoop) { [unowned self] in asked.append(($0, $1)) }
        try! channel.pipeline.syncOperations.addHandler(StreamQuestions(service))
    }
}
