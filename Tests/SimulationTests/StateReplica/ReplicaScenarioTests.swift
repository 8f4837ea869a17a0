import SidecarProtocol
import Simulator
import Testing

/// Worlds that failed once, and worlds of the faults that are known to break others' stores. One that a seed finds
/// is printed as Swift, and comes here with a name.
@Suite("Named scenarios of whole replicas")
struct ReplicaScenarioTests {
    struct Named: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let scenario: ReplicaScenario

        init(_ name: String, _ scenario: ReplicaScenario) {
            (testDescription, self.scenario) = (name, scenario)
        }
    }

    @Test("hold", arguments: found + known)
    func scenario(_ named: Named) {
        let outcome = named.scenario.run()
        #expect(outcome.violation == nil)
    }

    @Test("do what their names say")
    func coverage() {
        let counts = Self.known.map { $0.scenario.run().counts }
        #expect(counts.allSatisfy { $0.acknowledged > 0 })
        #expect(counts.contains { $0.reconciliations > 0 } && counts.contains { $0.refused > 0 })
        #expect(counts.contains { $0.clockRefusals > 0 })
    }

    /// What seeds found in the core, shrunk.
    private static let found: [Named] = [
        Named(
            "a removal reaches a replica that was started again behind a seal",
            ReplicaScenario(
                seed: 3,
                machines: [
                    .init(.always, starts: 0, drift: -56, ahead: -353, isReplaced: true, isLater: false),
                    .init(.always, starts: 0, drift: 124, ahead: -1530, isReplaced: true, isLater: true),
                ],
                lost: 71, doubled: 10, late: 60, timeout: 25818, milliseconds: 128337,
                steps: [
                    .at(18130, .request(1, 7_772_889_711_910_320_172)),
                    .at(20723, .crash(1, after: 15, power: nil, down: 433)),
                    .at(93715, .request(0, 8_006_747_437_646_653_353)),
                    .at(100812, .crash(1, after: 0, power: 11_126_078_697_144_436_169, down: 1380)),
                ])),
        Named(
            "two groups that formed apart, and sealed apart, keep what each has",
            ReplicaScenario(
                seed: 374,
                machines: [
                    .init(.always, starts: 0, drift: 118, ahead: 403, isReplaced: false, isLater: false),
                    .init(.always, starts: 25265, drift: 69, ahead: 1436, isReplaced: false, isLater: false),
                    .init(.always, starts: 3847, drift: -132, ahead: -747, isReplaced: true, isLater: false),
                    .init(.always, starts: 41198, drift: 35, ahead: -1441, isReplaced: false, isLater: false),
                ],
                lost: 0, doubled: 0, late: 196, timeout: 23859, milliseconds: 359190,
                steps: [
                    .at(18184, .block(from: 1, to: 0, milliseconds: 698185)),
                    .at(18184, .block(from: 1, to: 2, milliseconds: 698185)),
                    .at(18184, .block(from: 2, to: 3, milliseconds: 698185)),
                    .at(18184, .block(from: 3, to: 0, milliseconds: 698185)),
                    .at(54808, .ledger(1, 716_753_707_297_509_269)),
                    .at(58305, .stop(1, down: 1319)),
                    .at(93662, .crash(0, after: 0, power: nil, down: 1286)),
                ])),
    ]

    /// Elements for the ledger of every replica, every so often.
    private static func writes(
        _ machines: Int, every milliseconds: UInt64, until end: UInt64
    ) -> [ReplicaScenario.Timed] {
        stride(from: 1_000, to: end, by: Int(milliseconds)).flatMap { time in
            (0..<machines).flatMap { index -> [ReplicaScenario.Timed] in
                let salt = UInt64(time) &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index)
                return [
                    .at(UInt64(time), .ledger(index, salt)), .at(UInt64(time) + 3, .request(index, salt)),
                ]
            }
        }
    }

    private static func scenario(
        _ fsync: [ReplicaScenario.Fsync], late: UInt64 = 0, every span: UInt64 = 400,
        until end: UInt64 = 20_000,
        lasts: UInt64? = nil, _ faults: [ReplicaScenario.Timed]
    ) -> ReplicaScenario {
        ReplicaScenario(
            machines: fsync.map { .init($0) }, late: late, milliseconds: lasts ?? end + 2_000,
            steps: writes(fsync.count, every: span, until: end) + faults)
    }

    private static let known: [Named] = [
        Named(
            "the power fails between a write and its sync, over and over",
            scenario(
                [.always, .always],
                (1...30).map { .at(UInt64($0) * 600, .crash($0 % 2, after: $0, power: UInt64($0), down: 50)) }
            )
        ),
        Named(
            "one way is closed for ten minutes, while both sides write",
            scenario(
                [.always, .always], until: 30_000, lasts: 640_000,
                [.at(2_000, .block(from: 0, to: 1, milliseconds: 600_000))])),
        Named(
            "a clock is an hour ahead, and put right with all others",
            scenario([.always, .always, .always], [.at(5_000, .clock(1, by: 3_600_000))])),
        Named(
            "a clock that is within the bound goes back",
            scenario(
                [.always, .always],
                [.at(3_000, .clock(0, by: 200_000)), .at(9_000, .clock(0, by: -200_000))])),
        Named(
            "a disk fills up, and its replica is killed while it is full",
            scenario(
                [.always, .always], every: 100,
                [
                    .at(3_000, .full(0, bytes: 2_000, milliseconds: 9_000)),
                    .at(7_000, .crash(0, after: 0, power: 5, down: 500)),
                ])),
        Named(
            "a sync fails, and then the power",
            scenario(
                [.always, .always],
                (1...8).flatMap { round -> [ReplicaScenario.Timed] in
                    let time = UInt64(round) * 2_000
                    return [
                        .at(time, .failSync(0)),
                        .at(time + 1_700, .crash(0, after: round, power: UInt64(round), down: 10)),
                    ]
                })),
        Named(
            "one that syncs nothing loses its end, and takes a new epoch",
            scenario(
                [.none, .always],
                (1...6).map {
                    .at(UInt64($0) * 3_000, .crash(0, after: $0 * 3, power: UInt64($0), down: 900))
                })
        ),
        Named(
            "one stands still for half a minute",
            scenario([.always, .interval, .none], [.at(4_000, .pause(1, milliseconds: 30_000))])),
        Named(
            "one comes late, when the logs have been cut by snapshots and restarts",
            {
                var late = scenario(
                    [.always, .always, .always], until: 40_000,
                    [.at(20_000, .stop(0, down: 100)), .at(25_000, .stop(1, down: 100))])
                late.machines[2].starts = 30_000
                return late
            }()),
        Named(
            "one speaks of what later versions know",
            {
                var later = scenario(
                    [.always, .always], [.at(5_000, .crash(1, after: 9, power: 3, down: 100))])
                later.machines[0].isLater = true
                return later
            }()),
        Named(
            "everything comes late, twice and out of order",
            {
                var slow = scenario([.always, .always, .always], late: 300, [])
                (slow.lost, slow.doubled) = (200, 200)
                return slow
            }()),
    ]
}
