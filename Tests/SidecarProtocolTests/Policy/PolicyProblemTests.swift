import SidecarProtocol
import Testing

@Suite struct PolicyProblemTests {
    let fixture: PolicyFixture
    let now = TrustFixture.now

    init() throws { fixture = try PolicyFixture() }

    func problems(_ rules: PolicyRule...) -> [PolicyProblem.Kind] {
        fixture.document(rules).problems.map(\.kind)
    }

    @Test("a rule that can never match is refused when it is written, with its place")
    func neverMatches() throws {
        #expect(problems(PolicyFixture.rule(.deny, ports: [])) == [.emptyList("ports")])
        var rule = PolicyFixture.rule(.deny, "late")
        rule.window.notBefore = now + .seconds(2)
        rule.window.notAfter = now + .seconds(2)
        #expect(problems(rule) == [.emptyWindow])
        rule.window = .init(daily: .init(start: 60, end: 60))
        #expect(problems(rule) == [.emptyWindow])
        rule.window = .init(notAfter: now)
        #expect(problems(rule) == [.alreadyOver])
        rule.window = .init(notAfter: now + .milliseconds(1))
        #expect(problems(rule) == [])
        rule.to.versions = []
        #expect(problems(rule) == [.emptyList("to's versions")])
        rule = PolicyFixture.rule(.deny)
        rule.from.patterns = []
        #expect(problems(rule) == [.emptyList("from")])
        var document = fixture.document()
        document.locks = [PolicyLock(PolicyFixture.pattern("*/*"), until: now, reason: "")]
        #expect(document.problems.map(\.place) == ["locks[0]"])
        #expect(throws: PolicyError.problems(first: document.problems[0], count: 1)) {
            try document.signed(by: fixture.keys, certificate: fixture.certificate)
        }
    }

    @Test("a rule that says the same as an earlier one is refused, whatever its name and order")
    func duplicates() {
        let first = PolicyFixture.rule(.deny, "a", ports: [1, 2])
        #expect(problems(first, PolicyFixture.rule(.deny, "b", ports: [2, 1, 1])) == [.duplicate(of: 0)])
        #expect(problems(first, PolicyFixture.rule(.deny, "b", ports: [1])) == [])
        #expect(problems(first, PolicyFixture.rule(.allow, "b", ports: [3, 1])) == [])
    }

    @Test("an allow that a deny takes away wholly is refused, and one that keeps something isn't")
    func covered() {
        let deny = PolicyFixture.rule(.deny, from: "batch/*", ports: [80, 81])
        #expect(
            problems(deny, PolicyFixture.rule(.allow, from: "batch/job", to: "web", ports: [80]))
                == [.covered(by: 0)])
        #expect(problems(deny, PolicyFixture.rule(.allow, from: "batch/job", ports: [80, 82])) == [])
        #expect(problems(deny, PolicyFixture.rule(.allow, from: "batch/job")) == [])
        #expect(problems(deny, PolicyFixture.rule(.allow, from: "*/job", ports: [80])) == [])
        var windowed = deny
        windowed.window.notAfter = now + .seconds(9)
        #expect(problems(windowed, PolicyFixture.rule(.allow, from: "batch/job", ports: [80])) == [])
        var labelled = deny
        labelled.from.labels = ["team": "red"]
        var allow = PolicyFixture.rule(.allow, from: "batch/job", ports: [80])
        #expect(problems(labelled, allow) == [])
        allow.from.labels = ["team": "red", "tier": "x"]
        #expect(problems(labelled, allow) == [.covered(by: 0)])
    }

    @Test("covered rules and duplicates are found among many rules of one pair of patterns")
    func many() {
        var rules = (0..<200).map { PolicyFixture.rule(.deny, "d\($0)", ports: [UInt16($0)]) }
        rules.append(PolicyFixture.rule(.allow, "covered", to: "web", ports: [77]))
        rules.append(PolicyFixture.rule(.allow, "free", to: "web", ports: [201]))
        rules.append(PolicyFixture.rule(.deny, "again", ports: [5]))
        let problems = fixture.document(rules).problems
        #expect(problems.map(\.kind) == [.duplicate(of: 5), .covered(by: 77)])
        #expect(problems.map(\.place) == ["deny[202] \"again\"", "allow[200] \"covered\""])
    }
}
