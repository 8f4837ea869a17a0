// What is refused when a policy is written: rules that can never match, or never count.
//
// A reader takes such a policy nevertheless, since none of it does harm; whoever signs one is told.

package struct PolicyProblem: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// A list that names nothing: `ports: []`.
        case emptyList(String)
        /// The window ends before, or as, it begins.
        case emptyWindow
        /// The window, or lock, was over when the policy was issued.
        case alreadyOver
        /// The same as an earlier rule, at this index.
        case duplicate(of: Int)
        /// An allow rule of which a deny rule, at this index, takes away everything.
        case covered(by: Int)
        /// A signed label that is stated and can't be: names and values have 1 to 63, and 0 to 63 bytes.
        case impossible(String)
    }

    package var kind: Kind
    /// `allow[2] "web"`, `locks[0]`.
    package var place: String

    package init(_ kind: Kind, in place: String) {
        self.kind = kind
        self.place = place
    }

    package var description: String {
        switch kind {
        case .emptyList(let list):
            "\(place) can never match: its \(list) name nothing; leave them out for any"
        case .emptyWindow: "\(place) can never match: its window ends before it begins"
        case .alreadyOver: "\(place) can never match: it was over when the policy was issued"
        case .duplicate(let other): "\(place) says the same as rule \(other): remove one"
        case .covered(let other):
            "\(place) can never allow anything: the deny rule \(other) covers all of it, and deny wins"
        case .impossible(let field): "\(place) has an impossible \(field)"
        }
    }
}

extension PolicyDocument {
    /// Everything that can't be meant, rule by rule.
    package var problems: [PolicyProblem] {
        var problems: [PolicyProblem] = []
        for (index, rule) in rules.enumerated() {
            for kind in rule.problems(issuedAt: issuedAt) {
                problems.append(PolicyProblem(kind, in: rule.place(index)))
            }
        }
        for (index, lock) in locks.enumerated() where lock.until <= issuedAt {
            problems.append(PolicyProblem(.alreadyOver, in: "locks[\(index)]"))
        }
        return problems + duplicates + coveredRules
    }

    private var duplicates: [PolicyProblem] {
        var first: [[UInt8]: Int] = [:]
        var problems: [PolicyProblem] = []
        for (index, rule) in rules.enumerated() {
            let conditions = SHA256.hash(rule.ordered.conditions.item.encoded())
            if let other = first[conditions] {
                problems.append(PolicyProblem(.duplicate(of: other), in: rule.place(index)))
            } else {
                first[conditions] = index
            }
        }
        return problems
    }

    private var coveredRules: [PolicyProblem] {
        let denies = PolicyIndex(rules, action: .deny)
        guard !denies.isEmpty else { return [] }
        var problems: [PolicyProblem] = []
        for (index, rule) in rules.enumerated() where rule.action == .allow {
            if let deny = denies.first(covering: rule, in: rules) {
                problems.append(PolicyProblem(.covered(by: deny), in: rule.place(index)))
            }
        }
        return problems
    }
}

extension PolicyRule {
    /// As decisions and problems name it: `deny[3] "no-batch"`, by its place among all rules.
    func place(_ index: Int) -> String { "\(action.name)[\(index)] \"\(name)\"" }

    fileprivate func problems(issuedAt: WallTime) -> [PolicyProblem.Kind] {
        var problems: [PolicyProblem.Kind] = []
        if let field = impossibleField { problems.append(.impossible(field)) }
        for (list, isEmpty) in [
            ("ports", ports?.isEmpty), ("topics", topics?.isEmpty), ("from", from.patterns.isEmpty),
            ("to", to.patterns.isEmpty), ("from's versions", from.versions?.isEmpty),
            ("to's versions", to.versions?.isEmpty), ("from's executables", from.executables?.isEmpty),
            ("to's executables", to.executables?.isEmpty),
        ] where isEmpty == true {
            problems.append(.emptyList(list))
        }
        if let start = window.notBefore, let end = window.notAfter, end <= start {
            problems.append(.emptyWindow)
        } else if let daily = window.daily, daily.start == daily.end {
            problems.append(.emptyWindow)
        } else if let end = window.notAfter, end <= issuedAt {
            problems.append(.alreadyOver)
        }
        return problems
    }

    /// With its lists in order, so that two rules which say the same are equal.
    fileprivate var ordered: PolicyRule {
        var rule = self
        rule.ports = ports.map { Array(Set($0)).sorted() }
        rule.topics = topics.map { Array(Set($0)).sorted() }
        rule.from = from.ordered
        rule.to = to.ordered
        return rule
    }

    /// Whether this rule matches every flow that `other` matches, at every time.
    func covers(_ other: PolicyRule) -> Bool {
        guard from.covers(other.from), to.covers(other.to), window.covers(other.window),
            self.protocol == nil || self.protocol == other.protocol
        else { return false }
        return PolicyRule.covers(ports, other.ports) && PolicyRule.covers(topics, other.topics)
    }

    /// Nil stands for anything.
    fileprivate static func covers<Value: Equatable>(_ wider: [Value]?, _ narrower: [Value]?) -> Bool {
        guard let wider else { return true }
        return narrower?.allSatisfy { wider.contains($0) } ?? false
    }
}

extension PolicyRule.Party {
    fileprivate var ordered: PolicyRule.Party {
        var party = self
        party.patterns = Array(Set(patterns)).sorted { $0.description < $1.description }
        party.versions = versions.map { Array(Set($0)).sorted() }
        party.executables = executables.map { list in
            Array(Set(list)).sorted { $0.lexicographicallyPrecedes($1) }
        }
        return party
    }

    fileprivate func covers(_ other: PolicyRule.Party) -> Bool {
        guard other.patterns.allSatisfy({ narrow in patterns.contains { $0.covers(narrow) } }),
            labels.allSatisfy({ other.labels[$0.key] == $0.value }),
            PolicyRule.covers(versions, other.versions)
        else { return false }
        if executables == nil { return true }
        // A digest that only the workload states is believed by the wider rule too, or there is none.
        return PolicyRule.covers(executables, other.executables)
            && (believesOwnWord || !other.believesOwnWord)
    }
}

extension PolicyRule.Window {
    fileprivate func covers(_ other: PolicyRule.Window) -> Bool {
        if let notBefore {
            guard let start = other.notBefore, start >= notBefore else { return false }
        }
        if let notAfter {
            guard let end = other.notAfter, end <= notAfter else { return false }
        }
        return daily == nil || daily == other.daily
    }
}

extension IdentityPattern {
    fileprivate func covers(_ other: IdentityPattern) -> Bool {
        (namespace == .any || namespace == other.namespace) && (name == .any || name == other.name)
    }
}
