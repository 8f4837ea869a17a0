// What a signed policy of many rules costs: its reading, its verification, its index, memory, and each decision.
// Tests/Benchmarks/rules runs it and shows what it prints, a line of JSON for each shape of rules.
//
//   PolicyProbe [RULES [DECISIONS]]

import CLinuxShims
import Glibc
import SidecarProtocol

/// Kinds of rules that a policy may have many of.
enum Shape: String, CaseIterable {
    /// Each between two names of its own: the index finds one pair.
    case names
    /// All from everybody to everybody, told apart by ports and labels: the index finds one condition.
    case conditions
    /// Wildcards on either side, versions, labels, ports and windows.
    case mixed

    func rule(_ index: Int) -> PolicyRule {
        switch self {
        case .names:
            return PolicyRule(
                .deny, name: "r\(index)", from: party("team\(index % 997)", "c\(index)"),
                to: party("shop\(index % 991)", "s\(index)"))
        case .conditions:
            var rule = PolicyRule(.deny, name: "r\(index)", from: .anyone, to: .anyone)
            rule.ports = [UInt16(1 + index % 50_000)]
            rule.from.labels = ["team": "t\(index)"]
            return rule
        case .mixed: return mixed(index)
        }
    }

    private func mixed(_ index: Int) -> PolicyRule {
        let team = "team\(index % 997)"
        var rule = PolicyRule(
            index % 4 == 0 ? .allow : .deny, name: "r\(index)",
            from: index % 3 == 0 ? party(team, nil) : party(team, "c\(index % 20_011)"),
            to: index % 5 == 0 ? .anyone : party("shop\(index % 991)", nil))
        if index % 2 == 0 { rule.ports = [UInt16(1 + index % 60_013), 443] }
        if index % 7 == 0 { rule.from.labels = ["tier": "t\(index % 31)"] }
        if index % 11 == 0 { rule.to.versions = ["\(index % 13)"] }
        if index % 13 == 0 { rule.window.daily = .init(start: UInt16(index % 1440), end: 1439) }
        return rule
    }

    private func party(_ namespace: String, _ name: String?) -> PolicyRule.Party {
        PolicyRule.Party([
            IdentityPattern(namespace: .exactly(namespace), name: name.map { .exactly($0) } ?? .any)
        ])
    }

    /// A flow that the rule of this number is about.
    func question(_ index: Int) -> PolicyQuestion {
        let caller = self == .mixed ? "c\(index % 20_011)" : "c\(index)"
        var from = subject("team\(index % 997)", caller)
        from.labels = self == .mixed ? ["tier": "t\(index % 31)"] : ["team": "t\(index)"]
        var to = subject("shop\(index % 991)", "s\(index)")
        to.version = "\(index % 13)"
        let port = self == .mixed ? 1 + index % 60_013 : 1 + index % 50_000
        return PolicyQuestion(from: from, to: to, port: ServicePort(UInt16(port), .tcp))
    }

    private func subject(_ namespace: String, _ name: String) -> PolicySubject {
        guard let workload = try? WorkloadName(namespace: namespace, name: name) else {
            fatalError("\(namespace)/\(name) is a lawful name")
        }
        return PolicySubject(workload)
    }
}

func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

func milliseconds<Result>(_ body: () throws -> Result) rethrows -> (Result, Double) {
    let start = nanoseconds()
    let result = try body()
    return (result, Double(nanoseconds() - start) / 1e6)
}

/// Resident memory in MB, without what the allocator keeps for later.
func residentMegabytes() -> Double {
    mesh_trim_allocator()
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, 256, file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(separator: " ")
    guard fields.count > 1, let pages = Double(fields[1]) else { return 0 }
    return pages * Double(sysconf(Int32(_SC_PAGESIZE))) / 1e6
}

/// A domain of one root, and its policy key.
struct Signer {
    let bundle: TrustBundle
    let certificate: Certificate
    let keys = SigningKeyPair(seed: [UInt8](repeating: 7, count: 32))
    static let now = WallTime(seconds: 1_800_000_000)

    init() throws {
        let root = SigningKeyPair(seed: [UInt8](repeating: 8, count: 32))
        bundle = try IssuerDomain.localBundle(rootKey: root, at: Signer.now)
        certificate = try CertificateContents(
            kind: .policy, trustDomain: bundle.trustDomain, subject: nil, signingKey: keys.publicKey,
            notBefore: Signer.now - .seconds(3600), notAfter: Signer.now + .seconds(3600), serial: 2
        ).signed(by: root)
    }

    func policy(_ shape: Shape, rules: Int) throws -> [UInt8] {
        var document = PolicyDocument(
            trustDomain: bundle.id, epoch: 1, issuedAt: Signer.now, mode: .enforce, unmatched: .configs)
        document.rules = (0..<rules).map(shape.rule)
        return try document.sealed(by: keys, certificate: certificate).encoded
    }
}

/// Each decision's time in ns, rising; half of the flows are those of a rule, half concern none.
func decide(_ policy: CompiledPolicy, _ shape: Shape, rules: Int, count: Int) -> (
    times: [UInt64], denied: Int
) {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    var denied = 0
    // Made before, so that only decisions are timed.
    let questions = (0..<4096).map { number -> PolicyQuestion in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let index = Int(state >> 33) % rules
        return shape.question(number % 2 == 0 ? index : rules + index)
    }
    let time = PolicyTime(Signer.now)
    var times = [UInt64](repeating: 0, count: count)
    for number in 0..<count {
        let question = questions[number & 4095]
        let start = nanoseconds()
        let verdict = policy.verdict(question, at: time)
        times[number] = nanoseconds() - start
        if !verdict.isAllowed { denied += 1 }
    }
    return (times.sorted(), denied)
}

func measure(_ shape: Shape, rules: Int, decisions: Int) throws -> String {
    let signer = try Signer()
    let encoded = try signer.policy(shape, rules: rules)
    let before = residentMegabytes()
    let (signed, reading) = try milliseconds { try SignedPolicy(canonical: encoded) }
    let (_, verifying) = try milliseconds { try signer.bundle.verify(signed) }
    let (compiled, compiling) = milliseconds { CompiledPolicy(signed) }
    let after = residentMegabytes()
    let (times, denied) = decide(compiled, shape, rules: rules, count: decisions)
    func microseconds(_ share: Double) -> Double {
        Double(times[min(times.count - 1, Int(share * Double(times.count)))]) / 1000
    }
    let members: [(String, Double)] = [
        ("rules", Double(rules)), ("bytes", Double(encoded.count)), ("reading_ms", reading),
        ("verifying_ms", verifying), ("compiling_ms", compiling), ("memory_mb", after - before),
        ("decision_us_n", Double(times.count)), ("decision_us_p50", microseconds(0.5)),
        ("decision_us_p99", microseconds(0.99)), ("decision_us_p999", microseconds(0.999)),
        ("decision_us_max", microseconds(1)), ("denied", Double(denied)),
    ]
    let text = members.map { "\"\($0)\": \(rounded($1))" }.joined(separator: ", ")
    return "{\"shape\": \"\(shape.rawValue)\", \(text)}"
}

/// With three digits, whole numbers without.
func rounded(_ value: Double) -> String {
    value == value.rounded() ? "\(Int(value))" : "\((value * 1000).rounded() / 1000)"
}

let words = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let rules = words.first ?? Limits.policyRulesMaximum
let decisions = words.count > 1 ? words[1] : 200_000
guard rules > 0, decisions > 0, rules <= Limits.policyRulesMaximum else {
    print("usage: PolicyProbe [RULES, at most \(Limits.policyRulesMaximum) [DECISIONS]]")
    exit(2)
}
for shape in Shape.allCases { print(try measure(shape, rules: rules, decisions: decisions)) }
