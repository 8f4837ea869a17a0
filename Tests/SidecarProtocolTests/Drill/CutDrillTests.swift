import SidecarProtocol
import Testing

@Suite("The course of a drill")
struct CutDrillTests {
    private var now = MonotonicTime(nanoseconds: 1 << 40)

    /// Opens the flows of one round and lets them flow.
    private mutating func flow(_ drill: inout CutDrill, _ count: Int) throws {
        let step = drill.next(isPermitted: true, at: now)
        #expect(step == .open(count))
        for flow in 0..<UInt64(count) {
            drill.opened(flow)
            for side in CutDrill.Side.allCases { drill.moved(1, flow: flow, at: side, now) }
        }
        let settled = drill.next(isPermitted: true, at: now)
        #expect(settled == .wait)
        now = now + .milliseconds(5)
    }

    @Test("samples are the time until both ends are cut, in turn from either side")
    mutating func rounds() throws {
        var drill = CutDrill(samples: 10, at: now)
        let early = drill.next(isPermitted: false, at: now)
        #expect(early == .wait)
        for (side, count) in [(CutDrill.Side.caller, 8), (.callee, 2)] {
            try flow(&drill, count)
            let withdraw = drill.next(isPermitted: true, at: now)
            #expect(withdraw == .withdraw(side))
            drill.withdrew(at: now)
            for flow in 0..<UInt64(count) {
                drill.cut(flow, at: side, now + .milliseconds(1))
                drill.moved(1, flow: flow, at: side.other, now + .milliseconds(2))
                let open = drill.next(isPermitted: false, at: now)
                #expect(open == .wait && drill.samples.count == (side == .caller ? 0 : 8))
                drill.cut(flow, at: side.other, now + .milliseconds(3))
            }
            now = now + .milliseconds(3)
            let taken = drill.next(isPermitted: false, at: now)
            #expect(taken == .wait)
            now = now + .milliseconds(10)
            let after = drill.next(isPermitted: false, at: now)
            #expect(after == (side == .caller ? .restore(side) : .finish))
        }
        #expect(drill.samples == [UInt64](repeating: 3_000_000, count: 10))
        #expect(drill.lastByteMaximum == 2_000_000 && drill.bytesAfterCut == 0)
    }

    @Test("a byte that moves at an end after its cut is counted")
    mutating func bytesAfter() throws {
        var drill = CutDrill(samples: 1, at: now)
        try flow(&drill, 1)
        drill.withdrew(at: now)
        drill.cut(0, at: .caller, now)
        drill.moved(7, flow: 0, at: .callee, now)
        #expect(drill.bytesAfterCut == 0)
        drill.moved(7, flow: 0, at: .caller, now)
        #expect(drill.bytesAfterCut == 7)
    }

    @Test("a step that takes longer than its time fails with its name")
    mutating func patience() throws {
        var drill = CutDrill(samples: 1, at: now)
        let never = drill.next(isPermitted: false, at: now + Limits.drillPatience)
        #expect(never == .fail("the canary flows were not permitted for 5000 ms"))
        drill = CutDrill(samples: 1, at: now)
        try flow(&drill, 1)
        drill.withdrew(at: now)
        let open = drill.next(isPermitted: true, at: now + Limits.drillPatience)
        #expect(open == .fail("the canary flows were not cut at both ends for 5000 ms"))
    }

    @Test("a flow that was refused before it moved is opened again")
    mutating func tooEarly() {
        var drill = CutDrill(samples: 1, at: now)
        _ = drill.next(isPermitted: true, at: now)
        drill.opened(0)
        drill.cut(0, at: .caller, now)
        let step = drill.next(isPermitted: true, at: now)
        #expect(step == .wait)
        let again = drill.next(isPermitted: true, at: now)
        #expect(again == .open(1))
    }

    @Test("as many samples as the limit, and no more; none is one")
    func limits() {
        let most = Limits.drillSamplesMaximum
        #expect(CutDrill(samples: most, at: now).wanted == most)
        #expect(CutDrill(samples: most + 1, at: now).wanted == most)
        #expect(CutDrill(samples: 0, at: now).wanted == 1)
    }

    @Test("figures are samples of the nearest rank")
    func figures() throws {
        #expect(DrillFigures([]) == nil)
        let one = try #require(DrillFigures([5]))
        #expect((one.p50, one.p99, one.maximum) == (5, 5, 5))
        let many = try #require(DrillFigures((1...1000).reversed()))
        #expect((many.p50, many.p99, many.maximum, many.samples) == (500, 990, 1000, 1000))
    }

    @Test("canaries trust each other and nobody else, and each permission is their own config's")
    func pair() throws {
        let wall = WallTime(seconds: 1_800_000_000)
        let seed = (0..<CanaryPair.seedByteCount).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 / 256) }
        let pair = try CanaryPair(seed: seed, at: wall)
        let bundle = pair.caller.credential.bundle
        #expect(bundle == pair.callee.credential.bundle)
        for canary in [pair.caller, pair.callee] {
            let chain = CertificateChain(
                leaf: canary.credential.certificate, issuer: canary.credential.chain[0])
            let verified = try bundle.verify(chain, at: wall)
            #expect(verified.instance == canary.instance)
            #expect(verified.identity.workload == canary.configuration.workload)
        }
        #expect(pair.caller.instance != pair.callee.instance)
        let other = try CanaryPair(seed: seed.reversed(), at: wall)
        #expect(other.caller.credential.bundle.id != bundle.id)
        #expect(pair.caller.withdrawn.calls.map(\.port) == [2])
        #expect(pair.callee.withdrawn.accepts.map(\.ports) == [[2]])
    }
}
