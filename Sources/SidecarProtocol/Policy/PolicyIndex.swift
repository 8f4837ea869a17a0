// The rules of a policy by whom they concern, so that a decision looks at few of them.
//
// Theory of operation
//
//   A pattern has two parts, each a name or `*`. So a caller is matched by four patterns at most, a
//   callee by four, and a flow by sixteen pairs of patterns: sixteen look-ups, in a table from pairs to
//   the rules that have them. Names are numbered first, so that a pair is two integers.
//
//   Where many rules share one pair (`*/*` to `*/*`, with ports or labels telling them apart), the pair
//   has a second table, from single conditions to rules. Each rule lies there under one kind of its
//   conditions, the one that the fewest other rules share; a flow is looked up under each condition that
//   it could meet. Rules that have none, or differ by their windows alone, are looked at one by one.

struct PolicyIndex: Sendable {
    /// A pair of patterns. A part is 0 for `*`, else the number of its text.
    private struct Pair: Hashable {
        var from: UInt64
        var to: UInt64
    }

    /// A condition that a rule states, and that a flow may meet.
    fileprivate enum Condition: Hashable {
        case port(UInt16)
        case fromLabel(String, String)
        case toLabel(String, String)
        case fromVersion(String)
        case toVersion(String)
        case fromExecutable([UInt8])
        case toExecutable([UInt8])
        case topic(String)
    }

    /// The rules of a pair that has many.
    private struct Table {
        var plain: [Int32] = []
        var byCondition: [Condition: [Int32]] = [:]
    }

    private var numbers: [String: UInt32] = [:]
    /// Where the rules of a pair lie in `entries`; by their numbers among the policy's rules, rising.
    private var ranges: [Pair: Range<Int32>] = [:]
    private var entries: [Int32] = []
    private var tables: [Pair: Table] = [:]

    var isEmpty: Bool { entries.isEmpty && tables.isEmpty }

    init(_ rules: [PolicyRule], action: PolicyRule.Action) {
        var groups: [Pair: [Int32]] = [:]
        for (index, rule) in rules.enumerated() where rule.action == action {
            for from in Set(rule.from.patterns) {
                for to in Set(rule.to.patterns) {
                    groups[Pair(from: number(from), to: number(to)), default: []].append(Int32(index))
                }
            }
        }
        ranges.reserveCapacity(groups.count)
        for (pair, group) in groups {
            if group.count > PolicyIndex.groupMaximum {
                tables[pair] = PolicyIndex.table(group, of: rules)
            } else {
                ranges[pair] = Int32(entries.count)..<Int32(entries.count + group.count)
                entries += group
            }
        }
    }

    /// Rules of one pair that are looked at one by one.
    private static let groupMaximum = 16

    // MARK: Building

    private mutating func number(_ pattern: IdentityPattern) -> UInt64 {
        UInt64(number(pattern.namespace)) << 32 | UInt64(number(pattern.name))
    }

    private mutating func number(_ part: IdentityPattern.Part) -> UInt32 {
        guard case .exactly(let text) = part else { return 0 }
        if let known = numbers[text] { return known }
        let next = UInt32(numbers.count + 1)
        numbers[text] = next
        return next
    }

    private static func table(_ group: [Int32], of rules: [PolicyRule]) -> Table {
        var counts: [Condition: Int] = [:]
        for index in group {
            for kind in rules[Int(index)].conditionKinds {
                for condition in kind { counts[condition, default: 0] += 1 }
            }
        }
        var table = Table()
        for index in group {
            let rarest = rules[Int(index)].conditionKinds.min { left, right in
                left.reduce(0) { max($0, counts[$1] ?? 0) } < right.reduce(0) { max($0, counts[$1] ?? 0) }
            }
            guard let rarest else {
                table.plain.append(index)
                continue
            }
            for condition in Set(rarest) { table.byCondition[condition, default: []].append(index) }
        }
        return table
    }

    // MARK: Looking up

    /// The first rule that concerns the flow and holds at all of `times`, or at one of them.
    func first(
        _ question: PolicyQuestion, in rules: [PolicyRule], holdsAt isOpen: (PolicyRule.Window) -> Bool
    ) -> Int? {
        let from = variants(question.from.workload)
        let to = variants(question.to.workload)
        var found = Int32.max
        func look(_ candidates: some Collection<Int32>) {
            for index in candidates {
                if index >= found { return }
                let rule = rules[Int(index)]
                if rule.holdsBesidesNames(question), rule.window.isAlways || isOpen(rule.window) {
                    found = index
                    return
                }
            }
        }
        var conditions: [Condition]?
        for from in from {
            for to in to {
                let pair = Pair(from: from, to: to)
                if let range = ranges[pair] {
                    look(entries[Int(range.lowerBound)..<Int(range.upperBound)])
                } else if !tables.isEmpty, let table = tables[pair] {
                    look(table.plain)
                    let met = conditions ?? question.conditions
                    conditions = met
                    for condition in met {
                        if let group = table.byCondition[condition] { look(group) }
                    }
                }
            }
        }
        return found == .max ? nil : Int(found)
    }

    /// The first rule that covers all of `rule`.
    func first(covering rule: PolicyRule, in rules: [PolicyRule]) -> Int? {
        guard let from = rule.from.patterns.first, let to = rule.to.patterns.first else { return nil }
        var found = Int32.max
        func look(_ candidates: some Collection<Int32>) {
            for index in candidates where index < found {
                if rules[Int(index)].covers(rule) { found = index }
            }
        }
        // A rule that covers this one has each of its conditions, and so lies under one of them.
        let conditions = Set(rule.conditionKinds.joined())
        for from in variants(from) {
            for to in variants(to) {
                let pair = Pair(from: from, to: to)
                if let range = ranges[pair] {
                    look(entries[Int(range.lowerBound)..<Int(range.upperBound)])
                } else if let table = tables[pair] {
                    look(table.plain)
                    for condition in conditions {
                        if let group = table.byCondition[condition] { look(group) }
                    }
                }
            }
        }
        return found == .max ? nil : Int(found)
    }

    /// The patterns that match a name, as far as any rule has them.
    private func variants(_ workload: WorkloadName) -> [UInt64] {
        variants(namespace: numbers[workload.namespace], name: numbers[workload.name])
    }

    /// The patterns that are as wide as this one, or wider.
    private func variants(_ pattern: IdentityPattern) -> [UInt64] {
        func known(_ part: IdentityPattern.Part) -> UInt32? {
            if case .exactly(let text) = part { numbers[text] } else { nil }
        }
        return variants(namespace: known(pattern.namespace), name: known(pattern.name))
    }

    private func variants(namespace: UInt32?, name: UInt32?) -> [UInt64] {
        var variants: [UInt64] = [0]
        if let name { variants.append(UInt64(name)) }
        if let namespace {
            variants.append(UInt64(namespace) << 32)
            if let name { variants.append(UInt64(namespace) << 32 | UInt64(name)) }
        }
        return variants
    }
}

// MARK: - Conditions

extension PolicyRule {
    /// Kinds of conditions, of which each must hold, and holds where one of its conditions is met.
    fileprivate var conditionKinds: [[PolicyIndex.Condition]] {
        var kinds: [[PolicyIndex.Condition]] = []
        if let ports { kinds.append(ports.map { .port($0) }) }
        if let topics { kinds.append(topics.map { .topic($0) }) }
        for (name, value) in from.labels { kinds.append([.fromLabel(name, value)]) }
        for (name, value) in to.labels { kinds.append([.toLabel(name, value)]) }
        if let versions = from.versions { kinds.append(versions.map { .fromVersion($0) }) }
        if let versions = to.versions { kinds.append(versions.map { .toVersion($0) }) }
        if let digests = from.executables { kinds.append(digests.map { .fromExecutable($0) }) }
        if let digests = to.executables { kinds.append(digests.map { .toExecutable($0) }) }
        return kinds
    }
}

extension PolicyQuestion {
    /// Every condition that this flow could meet.
    fileprivate var conditions: [PolicyIndex.Condition] {
        var conditions: [PolicyIndex.Condition] = [.port(port.port)]
        for (name, value) in from.labels { conditions.append(.fromLabel(name, value)) }
        for (name, value) in to.labels { conditions.append(.toLabel(name, value)) }
        conditions.append(.fromVersion(from.version))
        conditions.append(.toVersion(to.version))
        if let executable = from.executable { conditions.append(.fromExecutable(executable.digest)) }
        if let executable = to.executable { conditions.append(.toExecutable(executable.digest)) }
        for topic in to.topics { conditions.append(.topic(topic)) }
        return conditions
    }
}
