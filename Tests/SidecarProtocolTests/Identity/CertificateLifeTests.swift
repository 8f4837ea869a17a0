import Testing

@testable import SidecarProtocol

@Suite("The life of a certificate")
struct CertificateLifeTests {
    private static let start = WallTime(seconds: 1_800_000_000)

    private func life(seconds: Int64, end: Int64? = nil) throws -> CertificateLife {
        let key = TrustFixture.signing(1)
        let contents = CertificateContents(
            kind: .root, trustDomain: "mesh.test", subject: nil, signingKey: key.publicKey,
            notBefore: Self.start - Limits.certificateBackdating,
            notAfter: Self.start + .seconds(UInt64(seconds)), serial: 1)
        return CertificateLife(
            of: try contents.signed(by: key), end: end.map { Self.start + .seconds(UInt64($0)) })
    }

    private func at(_ seconds: UInt64) -> WallTime { Self.start + .seconds(seconds) }

    @Test("it begins at the issue, whatever not-before was set back by")
    func begin() throws {
        #expect(try life(seconds: 3600).begin == Self.start)
        #expect(try life(seconds: 2).begin == Self.start)
    }

    @Test("it is half over at its half, and an alarm at 66 %, not before")
    func shares() throws {
        let life = try life(seconds: 1000)
        #expect(life.half == at(500))
        #expect(!life.isAlarming(at: at(659)) && life.isAlarming(at: at(660)))
        #expect(
            [0, 10, 500, 999, 1000, 2000].map { life.percentUsed(at: at($0)) } == [0, 1, 50, 99, 100, 100])
        #expect(life.percentUsed(at: Self.start - .seconds(10)) == 0)
    }

    @Test("the chain's end is its end, where that comes first")
    func chainEnd() throws {
        #expect(try life(seconds: 1000, end: 100).half == at(50))
        #expect(try life(seconds: 1000, end: 5000).end == at(1000))
        #expect(try life(seconds: 1000, end: 100).left(at: at(90)) == .seconds(10))
        #expect(try life(seconds: 1000, end: 100).left(at: at(110)) == .seconds(0))
    }

    @Test("a clock that was set back before the issue renews at once")
    func clock() throws {
        let life = try life(seconds: 1000)
        let early = Self.start - .seconds(301)
        #expect(life.renewal(at: early) == early)
        #expect(life.renewal(at: Self.start - .seconds(299)) == life.half)
    }

    @Test(
        "attempts come a tenth of the life apart, within bounds",
        arguments: [
            (1, 100), (2, 200), (100, 10_000), (3600, 30_000),
        ])
    func retry(seconds: Int64, milliseconds: UInt64) throws {
        #expect(try life(seconds: seconds).retry == .milliseconds(milliseconds))
    }

    @Test("a certificate until the last year there is overflows nothing")
    func last() throws {
        let key = TrustFixture.signing(1)
        let contents = CertificateContents(
            kind: .root, trustDomain: "mesh.test", subject: nil, signingKey: key.publicKey,
            notBefore: WallTime(milliseconds: 0),
            notAfter: WallTime(milliseconds: Int64(Limits.wallTimeMaximum)), serial: 1)
        let life = CertificateLife(of: try contents.signed(by: key))
        #expect(life.left(at: Self.start) > .seconds(1_000_000))
        #expect((0...100).contains(life.percentUsed(at: Self.start)))
        #expect(life.retry == Limits.renewalRetry)
    }
}
