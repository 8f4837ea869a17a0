// What the sidecars that run here know of certificates: whom a policy's labels, versions and digests mean.

import SidecarProtocol

struct PolicySubjects {
    private var byInstance: [String: PolicySubject] = [:]
    private var byWorkload: [WorkloadName: [PolicySubject]] = [:]

    init() {}

    init(_ instances: [Instance]) {
        let answers = AdminClient.ask(instances.map { ($0.socket, .get("/certificates")) })
        for (instance, answer) in zip(instances, answers) {
            guard let json = (try? answer.get())?.json else { continue }
            if let subject = PolicySubjects.subject(json["leaf"]) {
                byInstance[instance.id] = subject
                add(subject)
            }
            for peer in json["peers"].list {
                if let subject = PolicySubjects.subject(peer["leaf"]) { add(subject) }
            }
        }
    }

    private static func subject(_ leaf: JSON) -> PolicySubject? {
        guard let bytes = leaf.text.flatMap({ [UInt8](hex: $0) }),
            let certificate = try? Certificate(canonical: bytes)
        else { return nil }
        return PolicySubject(certificate)
    }

    private mutating func add(_ subject: PolicySubject) {
        if byWorkload[subject.workload]?.contains(subject) != true {
            byWorkload[subject.workload, default: []].append(subject)
        }
    }

    /// Nil where the instance hasn't told.
    func subject(ofInstance id: String) -> PolicySubject? { byInstance[id] }

    /// The workloads of that name, as their certificates say; by name alone where none is known.
    func subjects(of workload: WorkloadName) -> [PolicySubject] {
        byWorkload[workload] ?? [PolicySubject(workload)]
    }

    /// One end of a flow as a record tells of it; nil for what isn't of the mesh.
    func subject(of end: JSON) -> PolicySubject? {
        guard let text = end["identity"].text,
            let workload = (try? SPIFFEIdentity(parsing: text))?.workload
        else { return nil }
        let version = end["version"].text ?? ""
        let known = subjects(of: workload)
        if let found = known.first(where: { $0.version == version }) { return found }
        var subject = known.first ?? PolicySubject(workload)
        subject.version = version
        return subject
    }
}
