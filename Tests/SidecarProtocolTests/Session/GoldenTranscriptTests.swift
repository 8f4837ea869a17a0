import Foundation
import Testing

@testable import SidecarProtocol

/// The wire of each released version, byte for byte. With keys, ephemerals and times that are fixed, a
/// session says the same bytes in every run; a change of the wire shows here before it meets a peer that
/// doesn't speak it.
///
/// A file holds a step a line: who sends (`>` the dialler, `<` the acceptor) and the bytes in hexadecimal.
/// After a change that is meant, raise `Preamble.versions`, add a file, and keep the old ones.
@Suite("Golden transcripts of the wire")
struct GoldenTranscriptTests {
    @Test("a session of version 1 is what v0.1 put on the wire")
    func session() throws {
        try expect(try Self.session(), equals: "session-v1")
    }

    @Test("documents of version 1 are what v0.1 signed")
    func documents() throws {
        let domain = try TestDomain()
        let credential = try domain.credential("web", key: 60)
        let announcement = try Announcement(
            topic: TopicID([UInt8](repeating: 3, count: 16))!, certificate: credential.certificate,
            incarnation: 7, sequence: 8, timeToLive: .seconds(60),
            endpoints: [Endpoint(IPAddress(v4: 0x7F00_0001), 7000)], versions: 1...1
        ).signed(by: credential.signingKey)
        let tombstone = Tombstone(certificate: credential.certificate, incarnation: 7, sequence: 9)
            .signed(by: credential.signingKey)
        let lines = [
            ("bundle", domain.bundle.encoded), ("issuer", domain.issuer.encoded),
            ("leaf", credential.certificate.encoded), ("announcement", announcement),
            ("tombstone", tombstone),
        ]
        try expect(lines.map { "\($0.0) \($0.1.hex)" }, equals: "documents-v1")
    }

    @Test("policies and beacons are what their first version signed, and are still taken")
    func policies() throws {
        let fixture = try PolicyFixture()
        let policy = try fixture.sign(fixture.full())
        let beacon = FreshnessBeacon.signed(
            of: fixture.trust.bundle.id, at: TrustFixture.now, by: TrustFixture.signing(0x60))
        let part = PolicyMessage.part(
            PolicyPart(head: policy.head, offset: 0, total: 3, bytes: [1, 2, 3]))
        let lines = [
            ("policy", policy.encoded), ("beacon", beacon), ("part", part.item.encoded()),
            ("request", PolicyMessage.request(policy.head, offset: 7).item.encoded()),
        ]
        try expect(lines.map { "\($0.0) \($0.1.hex)" }, equals: "policy-v1")
        try fixture.trust.bundle.verify(policy, at: TrustFixture.now)
    }

    @Test("what v0.1 said is still understood")
    func understood() throws {
        let pair = try Self.pair()
        let steps = try Self.lines("session-v1").map { line in
            (from: line.hasPrefix(">") ? 0 : 1, bytes: try #require([UInt8](hex: line.dropFirst(2))))
        }
        // The acceptor hears the dialler's recorded bytes, and not those of the dialler beside it.
        for step in steps where step.from == 0 {
            pair.ends[1].wire += step.bytes
            pair.pumpAcceptor()
        }
        #expect(pair.ends[1].error == nil)
        #expect(pair.ends[1].peer?.certificate.subjectText.hasSuffix("/w/client") == true)
        #expect(
            pair.ends[1].events.contains {
                if case .control(.open(_, webOpen)) = $0 { true } else { false }
            })
    }

    // MARK: What is said

    private static func pair() throws -> SessionPair {
        let domain = try TestDomain()
        return try SessionPair(
            caller: domain.credential("client", key: 50), callee: domain.credential("web", key: 60))
    }

    /// Handshake, control frames, small and large payload, a datagram, both kinds of end, new keys.
    private static func session() throws -> [String] {
        let pair = try pair()
        var lines: [String] = []
        pair.tamper = { receiver, bytes in lines.append("\(receiver == 1 ? ">" : "<") \(bytes.hex)") }
        pair.pump()
        let head = PolicyHead(epoch: 3, hash: [UInt8](repeating: 5, count: 32))!
        pair.ends[0].session.send(.head(head))
        pair.ends[0].session.send(.calls(.ports([80, 443])))
        pair.ends[1].session.send(
            .verdicts(
                Verdicts(
                    head: head, decisionEpoch: 4,
                    ports: [.init(port: webOpen.port, verdict: .allow, rule: "accepts[0] default/client")])))
        pair.pump()
        let web = pair.openStream()
        pair.ends[1].session.send(.accepted(web))
        pair.send(Array("GET / HTTP/1.1\r\n\r\n".utf8), on: web, from: 0)
        pair.send([UInt8](repeating: 7, count: 3_000), on: web, from: 1)
        pair.pump()
        let dns = pair.openStream(dnsOpen)
        pair.sendDatagram([1, 2, 3], on: dns, from: 0)
        pair.ends[0].session.finish(web)
        pair.pump()
        pair.ends[1].session.send(.reset(dns, .policy))
        pair.pump()
        pair.ends[0].session.beginRekey(at: pair.now.monotonic)
        pair.pump()
        pair.ends[1].session.send(.goodbye(.shutdown))
        pair.pump()
        #expect(pair.ends.allSatisfy { $0.error == nil })
        return lines
    }

    // MARK: Files

    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Transcripts")

    private static func lines(_ name: String) throws -> [String] {
        try String(contentsOf: folder.appendingPathComponent(name + ".txt"), encoding: .utf8)
            .split(separator: "\n").map(String.init)
    }

    private func expect(_ lines: [String], equals name: String) throws {
        if ProcessInfo.processInfo.environment["MESH_WRITE_TRANSCRIPTS"] == "1" {
            try (lines.joined(separator: "\n") + "\n").write(
                to: Self.folder.appendingPathComponent(name + ".txt"), atomically: true, encoding: .utf8)
        }
        let golden = try Self.lines(name)
        #expect(lines.count == golden.count)
        for (number, (line, expected)) in zip(lines, golden).enumerated() {
            #expect(line == expected, "step \(number) of \(name)")
        }
    }
}
