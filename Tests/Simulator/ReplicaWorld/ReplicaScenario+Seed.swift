import SidecarProtocol

extension ReplicaScenario {
    /// - Parameter length: so many steps.
    package init(seed: UInt64, length: Int = 150) {
        var maker = Maker(SeededRandom(seed: seed))
        self = maker.scenario(seed, length)
    }

    /// Makes steps from a seed's numbers.
    private struct Maker {
        var random: SeededRandom
        var has: Faults
        var count = 0
        var time: UInt64 = 1_000
        var steps: [Timed] = []
        var leavers = 0

        init(_ random: SeededRandom) {
            self.random = random
            has = Faults(rawValue: self.random.next())
        }

        mutating func scenario(_ seed: UInt64, _ length: Int) -> ReplicaScenario {
            count = Int(2 + below(3))
            let machines = (0..<count).map { machine($0) }
            for _ in 0..<length {
                time += gap()
                if random.chance(perMille: 850) { addRequest() } else { addFault() }
            }
            return ReplicaScenario(
                seed: seed, machines: machines, lost: has.contains(.loss) ? below(100) : 0,
                doubled: has.contains(.doubles) ? below(100) : 0, late: has.contains(.late) ? below(200) : 0,
                timeout: has.contains(.timeouts) ? 5_000 + below(30_000) : 0, milliseconds: time + 1_000,
                steps: steps)
        }

        mutating func below(_ bound: UInt64) -> UInt64 { random.next() % bound }
        mutating func some() -> Int { Int(below(UInt64(count))) }

        private mutating func machine(_ index: Int) -> Machine {
            let fsync: Fsync = has.contains(.weak) ? [.always, .interval, .none][Int(below(3))] : .always
            return Machine(
                fsync, starts: index > 0 && has.contains(.join) ? below(60_000) : 0,
                drift: Int64(below(401)) - 200, ahead: Int64(below(4_000)) - 2_000,
                isReplaced: below(2) == 0, isLater: has.contains(.later) && below(2) == 0)
        }

        /// Mostly moments; sometimes so long that everything is quiet.
        private mutating func gap() -> UInt64 {
            switch below(100) {
            case 0..<60: below(30)
            case 60..<85: below(1_000)
            case 85..<98: below(8_000)
            default: below(has.contains(.long) ? 120_000 : 20_000)
            }
        }

        private mutating func addRequest() {
            let step: Step =
                switch below(10) {
                case 0...3: .ledger(some(), random.next())
                case 4: .add(some(), random.next())
                case 5: .remove(some(), random.next())
                default: .request(some(), random.next())
                }
            steps.append(.at(time, step))
        }

        private mutating func addFault() {
            switch below(12) {
            case 0: if has.contains(.kill) { crash(power: nil) }
            case 1: if has.contains(.power) { crash(power: random.next()) }
            case 2: if has.contains(.power) || has.contains(.kill) { crash(power: nil) }
            case 3: steps.append(.at(time, .stop(some(), down: below(5_000))))
            case 4:
                if has.contains(.pause) {
                    steps.append(.at(time, .pause(some(), milliseconds: below(9_000))))
                }
            case 5, 6: if has.contains(.partition) { partition() }
            case 7: if has.contains(.clocks) { clock() }
            case 8: if has.contains(.full) { fill() }
            case 9:
                if has.contains(.failSync), below(3) == 0 { steps.append(.at(time, .failSync(some()))) }
            case 10:
                if has.contains(.leave), below(4) == 0, leavers < count - 2 {
                    leavers += 1
                    leave(count - leavers)
                }
            default: steps.append(.at(time, .hangUp(some())))
            }
        }

        /// It is forgotten where all that is known of the others is in order: a newcomer whose clock is behind,
        /// or one whose disk forgets, may be taken for one of long ago, and refused.
        private mutating func leave(_ index: Int) {
            steps.append(.at(time, .leave(index)))
            guard !has.contains(.clocks), !has.contains(.weak), !has.contains(.join) else { return }
            for later in [2_000, 20_000] + [below(90_000)] {
                steps.append(.at(time + later, .forget(index, by: 0)))
            }
        }

        private mutating func crash(power: UInt64?) {
            let down = below(20) == 0 ? below(60_000) : below(1_500)
            let after = below(3) == 0 ? 0 : Int(below(40))
            steps.append(.at(time, .crash(some(), after: after, power: power, down: down)))
        }

        /// Of one way, of one replica, or of two halves; now and then for ten minutes and more.
        private mutating func partition() {
            let isLong = has.contains(.long) && below(8) == 0
            let span = isLong ? 600_000 + below(300_000) : below(20_000)
            let side = below(1 << UInt64(count))
            let isOneWay = below(3) == 0
            for from in 0..<count {
                for to in 0..<count where from != to && side >> UInt64(from) & 1 != side >> UInt64(to) & 1 {
                    if isOneWay, side >> UInt64(from) & 1 == 1 { continue }
                    let isSlow = has.contains(.late) && below(4) == 0
                    let step: Step =
                        isSlow
                        ? .slow(from: from, to: to, milliseconds: span)
                        : .block(from: from, to: to, milliseconds: span)
                    steps.append(.at(time, step))
                }
            }
            if isLong { time += below(2) * span }
        }

        private mutating func clock() {
            switch below(6) {
            case 0: steps.append(.at(time, .drift(some(), Int64(below(1_001)) - 500)))
            case 1 where has.contains(.far):
                steps.append(.at(time, .clock(some(), by: Int64(below(7_200_000)) - 3_600_000)))
            default: steps.append(.at(time, .clock(some(), by: Int64(below(200_000)) - 100_000)))
            }
        }

        private mutating func fill() {
            let step = Step.full(some(), bytes: Int(below(16_000)), milliseconds: below(20_000))
            steps.append(.at(time, step))
        }
    }

    /// Kinds of faults that a scenario has or hasn't; each bit of a random number is one.
    private struct Faults: OptionSet {
        let rawValue: UInt64

        static let power = Faults(rawValue: 1)
        static let kill = Faults(rawValue: 1 << 1)
        static let pause = Faults(rawValue: 1 << 2)
        static let partition = Faults(rawValue: 1 << 3)
        static let clocks = Faults(rawValue: 1 << 4)
        static let full = Faults(rawValue: 1 << 5)
        static let failSync = Faults(rawValue: 1 << 6)
        static let loss = Faults(rawValue: 1 << 7)
        static let doubles = Faults(rawValue: 1 << 8)
        static let late = Faults(rawValue: 1 << 9)
        static let timeouts = Faults(rawValue: 1 << 10)
        static let later = Faults(rawValue: 1 << 11)
        static let weak = Faults(rawValue: 1 << 12)
        /// Of four scenarios one has each of these.
        static let far = Faults(rawValue: 3 << 13)
        static let leave = Faults(rawValue: 3 << 15)
        static let join = Faults(rawValue: 3 << 17)
        static let long = Faults(rawValue: 3 << 19)
    }
}
