import SidecarProtocol
import Testing

@Suite struct CompiledPolicyTests {
    let fixture: PolicyFixture
    let now = PolicyTime(TrustFixture.now)

    init() throws { fixture = try PolicyFixture() }

    func compile(_ document: PolicyDocument) -> CompiledPolicy {
        CompiledPolicy(document, head: .initial(of: document.trustDomain))
    }

    func verdict(
        _ rules: [PolicyRule], _ question: PolicyQuestion, unmatched: PolicyDocument.Unmatched = .configs
    ) -> String {
        let verdict = compile(fixture.document(rules, unmatched: unmatched)).verdict(question, at: now)
        return "\(verdict.isAllowed) \(verdict.rule ?? "-")"
    }

    @Test("deny wins, and decisions name their rule")
    func denyWins() {
        let rules = [
            PolicyFixture.rule(.allow, "all"), PolicyFixture.rule(.deny, "no-db", to: "db", ports: [5432]),
        ]
        let question = PolicyFixture.question("web", "db", 5432)
        #expect(verdict(rules, question) == #"false policy 0 deny[1] "no-db""#)
        #expect(verdict(rules, PolicyFixture.question("web", "db", 5433)) == #"true policy 0 allow[0] "all""#)
    }

    @Test("what no rule matches is denied, or left to the configurations, as the policy says")
    func unmatched() {
        let question = PolicyFixture.question("a", "b", 1)
        #expect(verdict([], question) == "true -")
        #expect(verdict([], question, unmatched: .deny) == "false policy 0 no rule allows it")
    }

    @Test("labels, versions, topics, protocol and digests must all hold")
    func conditions() {
        var rule = PolicyFixture.rule(.deny)
        rule.from.labels = ["team": "red"]
        rule.to.versions = ["2"]
        rule.topics = ["svc/default/web"]
        rule.protocol = .tcp
        rule.from.executables = [[UInt8](repeating: 7, count: 32)]
        var question = PolicyFixture.question("a", "web", 80)
        question.from.labels = ["team": "red", "x": "y"]
        question.to.version = "2"
        question.to.topics = ["svc/default/web"]
        question.from.executable = .init(digest: [UInt8](repeating: 7, count: 32), attested: .issuer)
        #expect(rule.concerns(question))
        for change: (inout PolicyQuestion) -> Void in [
            { $0.from.labels["team"] = "blue" }, { $0.to.version = "1" }, { $0.to.topics = [] },
            { $0.port = ServicePort(80, .udp) }, { $0.from.executable?.attested = .own },
            { $0.from.executable?.digest[0] = 8 }, { $0.from.executable = nil },
        ] {
            var other = question
            change(&other)
            #expect(!rule.concerns(other))
        }
        rule.from.believesOwnWord = true
        question.from.executable?.attested = .own
        #expect(rule.concerns(question))
    }

    @Test("each kind of revocation stops a flow at either end, with its reason")
    func revocations() {
        var document = fixture.document()
        document.revocations = fixture.full().revocations
        let policy = compile(document)
        for change: (inout PolicySubject) -> Void in [
            { $0.workload = PolicyFixture.subject("old").workload },
            { $0.instance = TrustFixture.instance(4) },
            { $0.issuerKeyID = [UInt8](repeating: 3, count: 16) }, { $0.serial = 12 },
        ] {
            var question = PolicyFixture.question("a", "b", 1)
            #expect(policy.verdict(question, at: now).isAllowed)
            change(&question.to)
            #expect(policy.isRevoked(question.to))
            #expect(policy.verdict(question, at: now).reason == .revocation)
            (question.from, question.to) = (question.to, question.from)
            #expect(policy.verdict(question, at: now).reason == .revocation)
        }
        let question = PolicyFixture.question("old", "b", 1)
        #expect(
            policy.verdict(question, at: now).rule == "policy 0 revocations[0] identity default/old: left")
    }

    @Test("a lock holds until both clocks say that it is over, an allow only while both say so")
    func clocks() {
        var document = fixture.document([PolicyFixture.rule(.allow, "w")], unmatched: .deny)
        document.rules[0].window.notAfter = now.clock + .seconds(60)
        document.locks = [
            PolicyLock(PolicyFixture.pattern("db"), until: now.clock + .seconds(10), reason: "drill")
        ]
        let policy = compile(document)
        func reason(_ to: String, _ clock: UInt64, _ steady: UInt64) -> CloseReason {
            policy.verdict(
                PolicyFixture.question("a", to, 1),
                at: PolicyTime(
                    clock: now.clock + .seconds(clock), steady: now.clock + .seconds(steady))
            ).reason
        }
        #expect(reason("db", 9, 9) == .lock)
        #expect(reason("db", 10, 9) == .lock)
        #expect(reason("db", 9, 10) == .lock)
        #expect(reason("db", 10, 10) == .finished)
        #expect(reason("web", 59, 59) == .finished)
        #expect(reason("web", 60, 59) == .policy)
        #expect(reason("web", 59, 60) == .policy)
    }

    @Test("a daily window goes over midnight, and its ends are boundaries")
    func daily() {
        let midnight = WallTime(milliseconds: now.clock.milliseconds / 86_400_000 * 86_400_000)
        var document = fixture.document([PolicyFixture.rule(.deny, "night")])
        document.rules[0].window.daily = .init(start: 22 * 60, end: 6 * 60)
        let policy = compile(document)
        func isAllowed(_ minutes: UInt64) -> Bool {
            policy.verdict(
                PolicyFixture.question("a", "b", 1), at: PolicyTime(midnight + .seconds(minutes * 60))
            ).isAllowed
        }
        #expect(!isAllowed(0) && !isAllowed(359) && isAllowed(360) && isAllowed(1319) && !isAllowed(1320))
        #expect(policy.boundary(after: midnight) == midnight + .seconds(6 * 3600))
        #expect(policy.boundary(after: midnight + .seconds(6 * 3600)) == midnight + .seconds(22 * 3600))
        #expect(policy.boundary(after: midnight + .seconds(22 * 3600)) == midnight + .seconds(30 * 3600))
        document.locks = [
            PolicyLock(PolicyFixture.pattern("x"), until: midnight + .seconds(100), reason: "")
        ]
        #expect(compile(document).boundary(after: midnight) == midnight + .seconds(100))
        #expect(compile(fixture.document()).boundary(after: midnight) == nil)
    }

    @Test("the index finds what a search through all rules finds")
    func indexIsExact() {
        var numbers = SeededNumbers(state: 99)
        let names = ["a", "b", "*"]
        for round in 0..<40 {
            let count = round % 2 == 0 ? 12 : 300
            let rules = (0..<count).map { _ in randomRule(&numbers, names) }
            let policy = compile(fixture.document(rules))
            for _ in 0..<60 {
                let question = randomQuestion(&numbers)
                func first(_ action: PolicyRule.Action) -> Int? {
                    rules.firstIndex {
                        $0.action == action && $0.concerns(question) && $0.window.contains(now.clock)
                    }
                }
                let expected =
                    first(.deny).map { "policy 0 deny[\($0)] \"r\"" }
                    ?? first(.allow).map { "policy 0 allow[\($0)] \"r\"" }
                #expect(policy.verdict(question, at: now).rule == expected)
            }
        }
    }

    private func randomRule(_ numbers: inout SeededNumbers, _ names: [String]) -> PolicyRule {
        func name() -> String { names[numbers.below(3)] }
        var rule = PolicyFixture.rule(
            numbers.below(2) == 0 ? .allow : .deny, from: "\(name())/\(name())", to: "\(name())/\(name())")
        if numbers.below(2) == 0 { rule.to.patterns.append(PolicyFixture.pattern("\(name())/\(name())")) }
        if numbers.below(2) == 0 { rule.ports = [UInt16(numbers.below(4)), UInt16(numbers.below(4))] }
        if numbers.below(3) == 0 { rule.from.labels = ["l\(numbers.below(2))": "v\(numbers.below(2))"] }
        if numbers.below(3) == 0 { rule.to.versions = ["\(numbers.below(3))"] }
        if numbers.below(4) == 0 { rule.protocol = .udp }
        if numbers.below(4) == 0 {
            rule.window.notAfter = now.clock + .milliseconds(UInt64(numbers.below(2)))
        }
        return rule
    }

    private func randomQuestion(_ numbers: inout SeededNumbers) -> PolicyQuestion {
        func subject() -> PolicySubject {
            let names = ["a", "b", "c"]
            var subject = PolicyFixture.subject(names[numbers.below(3)], namespace: names[numbers.below(3)])
            subject.labels = ["l0": "v\(numbers.below(2))", "l1": "v\(numbers.below(2))"]
            subject.version = "\(numbers.below(3))"
            return subject
        }
        return PolicyQuestion(
            from: subject(), to: subject(),
            port: ServicePort(UInt16(numbers.below(5)), numbers.below(3) == 0 ? .udp : .tcp))
    }
}
