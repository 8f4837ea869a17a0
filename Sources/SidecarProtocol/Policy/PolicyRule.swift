// One rule of a policy, and when it matches.

package struct PolicyRule: Hashable, Sendable {
    package enum Action: UInt64, Hashable, Sendable {
        case allow = 0
        case deny = 1

        package var name: String { self == .allow ? "allow" : "deny" }
    }

    /// One end of a flow. All of what is stated must hold.
    package struct Party: Hashable, Sendable {
        /// One of these; a whole namespace is `namespace/*`, everybody `*/*`.
        package var patterns: [IdentityPattern]
        /// All of these, as the certificate states them.
        package var labels: [String: String] = [:]
        /// One of these; nil: any.
        package var versions: [String]?
        /// SHA-256 of the executable, one of these; nil: any.
        package var executables: [[UInt8]]?
        /// `self`: a digest that only the workload's own sidecar has stated matches too.
        package var believesOwnWord = false

        package init(_ patterns: [IdentityPattern]) { self.patterns = patterns }

        package static let anyone = Party([IdentityPattern(namespace: .any, name: .any)])
    }

    /// When a rule holds, by UTC. All of what is stated must hold.
    package struct Window: Hashable, Sendable {
        /// Minutes after midnight: from `start`, until before `end`; over midnight where that is earlier.
        package struct Daily: Hashable, Sendable {
            package var start: UInt16
            package var end: UInt16

            package init(start: UInt16, end: UInt16) {
                self.start = start
                self.end = end
            }
        }

        package var notBefore: WallTime?
        package var notAfter: WallTime?
        package var daily: Daily?

        package init(notBefore: WallTime? = nil, notAfter: WallTime? = nil, daily: Daily? = nil) {
            self.notBefore = notBefore
            self.notAfter = notAfter
            self.daily = daily
        }

        static let always = Window()
    }

    package var action: Action
    /// For people; records print it.
    package var name: String
    package var from: Party
    package var to: Party
    /// One of these; nil: any.
    package var ports: [UInt16]?
    package var `protocol`: FlowProtocol?
    /// The callee's certificate grants one of these; nil: any.
    package var topics: [String]?
    package var window = Window.always

    package init(_ action: Action, name: String, from: Party, to: Party) {
        self.action = action
        self.name = name
        self.from = from
        self.to = to
    }
}

/// Who stands at one end of a flow, by its certificate.
package struct PolicySubject: Hashable, Sendable {
    package var workload: WorkloadName
    package var labels: [String: String] = [:]
    package var version = ""
    package var executable: CertificateContents.Executable?
    package var topics: [String] = []
    package var instance: InstanceID?
    package var issuerKeyID: [UInt8] = []
    package var serial: UInt64?

    /// Somebody of whom nothing but the name is known.
    package init(_ workload: WorkloadName) { self.workload = workload }

    /// Nil for a certificate that isn't a workload's.
    package init?(_ certificate: Certificate) {
        guard let workload = certificate.identity?.workload else { return nil }
        self.workload = workload
        labels = certificate.labels
        version = certificate.workloadVersion
        executable = certificate.executable
        topics = certificate.topics
        instance = certificate.contents.instance
        issuerKeyID = certificate.issuerKeyID
        serial = certificate.serial
    }
}

/// What a policy is asked.
package struct PolicyQuestion: Hashable, Sendable {
    package var from: PolicySubject
    package var to: PolicySubject
    package var port: ServicePort

    package init(from: PolicySubject, to: PolicySubject, port: ServicePort) {
        self.from = from
        self.to = to
        self.port = port
    }
}

// MARK: - Matching

extension PolicyRule {
    /// Whether the rule concerns the flow, at whatever time.
    package func concerns(_ question: PolicyQuestion) -> Bool {
        from.patterns.contains { $0.matches(question.from.workload) }
            && to.patterns.contains { $0.matches(question.to.workload) }
            && holdsBesidesNames(question)
    }

    /// `concerns`, where the index has compared the names already.
    func holdsBesidesNames(_ question: PolicyQuestion) -> Bool {
        if let ports, !ports.contains(question.port.port) { return false }
        if let wanted = self.protocol, wanted != question.port.protocol { return false }
        if let topics, !topics.contains(where: { question.to.topics.contains($0) }) { return false }
        return from.holds(for: question.from) && to.holds(for: question.to)
    }
}

extension PolicyRule.Party {
    /// Everything but the patterns.
    fileprivate func holds(for subject: PolicySubject) -> Bool {
        for (name, value) in labels where subject.labels[name] != value { return false }
        if let versions, !versions.contains(subject.version) { return false }
        guard let executables else { return true }
        guard let executable = subject.executable,
            believesOwnWord || executable.attested == .issuer
        else { return false }
        return executables.contains(executable.digest)
    }
}

extension PolicyRule.Window {
    package var isAlways: Bool { self == .always }

    package func contains(_ time: WallTime) -> Bool {
        if let notBefore, time < notBefore { return false }
        if let notAfter, time >= notAfter { return false }
        return daily?.contains(time.minuteOfDay) ?? true
    }
}

extension PolicyRule.Window.Daily {
    func contains(_ minute: UInt16) -> Bool {
        start <= end ? (start..<end).contains(minute) : minute >= start || minute < end
    }
}

extension WallTime {
    static let millisecondsOfMinute: Int64 = 60_000
    static let millisecondsOfDay: Int64 = 86_400_000

    /// 0 to 1,439, by UTC.
    var minuteOfDay: UInt16 {
        UInt16(millisecondOfDay / WallTime.millisecondsOfMinute)
    }

    /// Since the last midnight by UTC, before 1970 too.
    var millisecondOfDay: Int64 {
        let rest = milliseconds % WallTime.millisecondsOfDay
        return rest < 0 ? rest + WallTime.millisecondsOfDay : rest
    }
}
