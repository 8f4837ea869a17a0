import Foundation
import SidecarProtocol
import Simulator
import Testing

@testable import MeshCommand

/// A sidecar's series, signed as it signs.
private struct SignedSeries {
    static let instance = InstanceID([UInt8](hex: "3f9a01c2d4e5f6070011223344556677")!)!
    /// 2026-01-01T00:00:00Z.
    static let start = WallTime(seconds: 1_767_225_600)

    var random: SeededRandom
    var domain: SimulatedDomain
    var credential: Credential
    private(set) var lines: [String] = []
    private(set) var chain = RecordChain.beginning

    init(domain name: String = "d", seed: UInt64 = 1) {
        random = SeededRandom(seed: seed)
        domain = SimulatedDomain(name: name, random: &random, at: SignedSeries.start)
        credential = SignedSeries.credential(&domain, &random)
    }

    static func credential(
        _ domain: inout SimulatedDomain, _ random: inout SeededRandom, of workload: String = "client",
        instance: InstanceID = SignedSeries.instance, at time: WallTime = SignedSeries.start
    ) -> Credential {
        domain.credential(
            for: try! WorkloadName(namespace: "default", name: workload), instance: instance,
            lifetime: Limits.leafLifetime, random: &random, at: time)
    }

    mutating func renew(of workload: String = "client", instance: InstanceID = SignedSeries.instance) {
        credential = SignedSeries.credential(&domain, &random, of: workload, instance: instance)
    }

    mutating func add(_ record: RecordFixture) { add(record.body) }

    mutating func add(_ body: String) {
        chain = BLAKE2b.hash(Array(body.utf8), key: chain)
        lines.append(body + #","chain":"\#(chain.hex)"}"#)
    }

    mutating func add(_ count: Int) { for record in RecordFixture.some(count) { add(record) } }

    mutating func sign(
        _ mark: RecordSignature.Mark, at time: WallTime = SignedSeries.start, over other: [UInt8]? = nil,
        instance: InstanceID = SignedSeries.instance
    ) {
        let statement = RecordSignature(
            mark: mark, instance: instance, incarnation: 1, time: time, chain: other ?? chain)
        let certificates = ([credential.certificate] + credential.chain).map { "\"\($0.encoded.hex)\"" }
        add(
            #"{"time":"\#(WallClock.rfc3339(Int(time.seconds)).dropLast()).000Z","event":"signature","#
                + #""mark":"\#(mark.rawValue)","instance":"\#(instance)","incarnation":1,"#
                + #""certificates":[\#(certificates.joined(separator: ","))],"#
                + #""signature":"\#(statement.signature(by: credential.signingKey).hex)""#)
    }

    /// What a sidecar leaves that ended in order.
    static func whole(_ count: Int = 5) -> SignedSeries {
        var series = SignedSeries()
        series.sign(.begin)
        series.add(count)
        series.sign(.end)
        return series
    }
}

@Suite struct RecordsSignatureTests {
    private func verdict(
        _ series: SignedSeries, lines: [String]? = nil, bundle: TrustBundle? = nil, _ options: String...
    ) throws -> (findings: [String], series: JSON, exitCode: Int32) {
        let mesh = FakeMesh()
        _ = try mesh.write(RecordFixture.file(lines ?? series.lines), to: RecordsVerifyTests.name)
        let trusted = bundle ?? series.domain.bundle
        try mesh.write(bytes: trusted.encoded, to: "state/trust/bundle")
        let answer = try mesh.answer(["records", "verify", "web", "--json"] + options)
        let json = try #require(JSON(parsing: Array(answer.text.utf8)))["series"].list[0]
        let found = json["findings"].list.map { "\($0["line"].integer ?? 0) \($0["kind"].text ?? "")" }
        #expect(answer.exitCode == (found.isEmpty ? 0 : 1))
        return (found, json, answer.exitCode)
    }

    @Test("a series that its sidecar signed to the end is intact, and its author is named")
    func intact() throws {
        let (findings, json, _) = try verdict(.whole(), "--strict")
        #expect(findings.isEmpty && json["notes"].list.isEmpty)
        #expect(json["signers"].list.compactMap(\.text) == ["spiffe://d/ns/default/w/client"])
        #expect(json["signatures"].integer == 2 && json["closed"].bool == true)
    }

    @Test("renewed keys sign on, each proved by its own certificate")
    func renewed() throws {
        var series = SignedSeries()
        series.sign(.begin)
        for _ in 0..<3 {
            series.add(20)
            series.sign(.periodic)
            series.renew()
        }
        series.sign(.end)
        let (findings, json, _) = try verdict(series, "--strict")
        #expect(findings.isEmpty)
        #expect(json["certificates"].integer == 4 && json["signers"].list.count == 1)
    }

    @Test("lines written anew with a fitting chain are found by the next signature")
    func rewritten() throws {
        var series = SignedSeries()
        series.sign(.begin)
        let real = series
        series.add(5)
        let genuine = series.chain
        var forged = real
        forged.add(4)
        forged.sign(.end, over: genuine)
        #expect(try verdict(forged).findings == ["6 bad-signature"])
    }

    @Test("a changed signature is found, and one by another key")
    func changed() throws {
        var series = SignedSeries()
        series.sign(.begin)
        series.add(2)
        let own = series.credential
        var other = series
        other.renew()
        var mixed = series
        mixed.credential = Credential(
            certificate: own.certificate, chain: own.chain, bundle: own.bundle, staticKey: own.staticKey,
            signingKey: other.credential.signingKey, policyHead: own.policyHead,
            discoveryKey: own.discoveryKey)
        mixed.sign(.end)
        #expect(try verdict(mixed).findings == ["4 bad-signature"])
        series.sign(.end)
        var lines = series.lines
        lines[3] = lines[3].replacingOccurrences(of: #""incarnation":1"#, with: #""incarnation":2"#)
        #expect(try verdict(series, lines: lines).findings == ["4 bad-signature", "4 changed"])
    }

    @Test("64 lines may stand without a signature, 65 may not", arguments: [64, 65])
    func missing(_ count: Int) throws {
        let (findings, _, _) = try verdict(.whole(count))
        #expect(findings == (count == 64 ? [] : ["66 unsigned"]))
    }

    @Test("records that don't begin with a signature aren't a sidecar's")
    func beginning() throws {
        var series = SignedSeries()
        series.add(3)
        #expect(try verdict(series).findings == ["1 unsigned"])
    }

    @Test("who signed must be of the trust domain, or of one that the caller names")
    func untrusted() throws {
        var other = SignedSeries(seed: 9)
        let (findings, _, _) = try verdict(.whole(), bundle: other.domain.bundle)
        #expect(findings == ["1 untrusted", "7 untrusted"])
        let mesh = FakeMesh()
        let file = try mesh.write(bytes: SignedSeries.whole().domain.bundle.encoded, to: "other-bundle")
        #expect(
            try verdict(.whole(), bundle: other.domain.bundle, "--bundle", file).findings.isEmpty)
        // A certificate that had ended.
        other = SignedSeries()
        other.sign(.begin)
        other.sign(.end, at: SignedSeries.start + Limits.leafLifetime + .seconds(91))
        #expect(try verdict(other).findings == ["2 untrusted"])
        other = SignedSeries()
        other.sign(.begin)
        other.sign(.end, at: SignedSeries.start + Limits.leafLifetime + .seconds(89))
        #expect(try verdict(other).findings.isEmpty)
    }

    @Test("a signature of another instance, or over another's records, is found")
    func otherSigner() throws {
        let stranger = InstanceID([UInt8](repeating: 1, count: 16))!
        var series = SignedSeries()
        series.sign(.begin)
        series.add(1)
        series.renew(instance: stranger)
        series.sign(.end, instance: stranger)
        #expect(try verdict(series).findings == ["3 other-signer"])
        series = SignedSeries()
        series.renew(of: "someone")
        series.sign(.begin)
        series.add(1)
        series.add(RecordFixture(direction: "inbound"))
        series.sign(.end)
        #expect(try verdict(series).findings == ["4 other-signer", "4 other-signer"])
    }

    @Test("lines cut off behind a signature are a note, and with --strict a finding")
    func cutOff() throws {
        let whole = SignedSeries.whole()
        for lines in [Array(whole.lines.dropLast()), Array(whole.lines.prefix(1))] {
            let (findings, json, _) = try verdict(whole, lines: lines)
            #expect(findings.isEmpty && json["notes"].list.count == 1 && json["closed"].bool == false)
            #expect(
                try verdict(whole, lines: lines, "--strict").findings == ["\(lines.count + 1) unsigned-end"])
        }
    }

    @Test("without a trust bundle the signatures fit, and it is said that nobody is proved by them")
    func nobody() throws {
        let mesh = FakeMesh()
        _ = try mesh.write(RecordFixture.file(SignedSeries.whole().lines), to: RecordsVerifyTests.name)
        let answer = try mesh.answer("records", "verify", "web")
        #expect(answer.exitCode == 0 && answer.text.contains("who signed isn't proved"))
    }

    @Test("a gap and signatures are no flows, and no garbage")
    func asides() throws {
        let mesh = FakeMesh()
        var series = SignedSeries()
        series.sign(.begin)
        series.add(1)
        series.add(
            #"{"time":"2026-01-01T00:00:00.000Z","event":"gap","cause":"disk","lost":3,"#
                + #""from":"2026-01-01T00:00:00.000Z","until":"2026-01-01T00:00:01.000Z""#)
        series.sign(.end)
        _ = try mesh.write(RecordFixture.file(series.lines), to: RecordsVerifyTests.name)
        let edges = try mesh.answer("edges")
        #expect(edges.warning.isEmpty && edges.text.contains("default/client"))
        let tapped = series.lines.compactMap { TapLine(Array($0.utf8)) }
        #expect(tapped.count == 2)
        #expect(tapped[1].text(toldBy: "default/web").contains("gap  default/web: 3 records lost"))
    }
}
