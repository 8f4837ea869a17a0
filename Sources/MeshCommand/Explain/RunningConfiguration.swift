// What a running sidecar decides by, from its admin socket's answers.

import SidecarProtocol

extension WorkloadConfiguration {
    /// Who a workload is and what it permits, from the answer to `GET /config`. Nil where that isn't one.
    init?(told json: JSON) {
        guard let name = json["workload"].text, let namespace = json["namespace"].text,
            let workload = try? WorkloadName(namespace: namespace, name: name),
            let isNamed = json["named"].bool
        else { return nil }
        self.init(workload: workload)
        self.isNamed = isNamed
        version = json["version"].text ?? ""
        for entry in json["serves"].list {
            guard let port = WorkloadConfiguration.port(entry["port"]),
                let flowProtocol = entry["protocol"].text.flatMap(FlowProtocol.init(named:))
            else { return nil }
            serves.append(ServicePort(port, flowProtocol))
        }
        for entry in json["accepts"].list {
            let ports = entry["ports"].list.map(WorkloadConfiguration.port)
            guard let text = entry["from"].text, !ports.contains(nil),
                let from = try? IdentityPattern(parsing: text, namespace: namespace, trustDomain: nil)
            else { return nil }
            accepts.append(Accept(from: from, ports: ports.compactMap { $0 }))
        }
        for entry in json["calls"].list {
            guard let text = entry.text,
                let call = try? Call(parsing: text, namespace: namespace, trustDomain: nil)
            else { return nil }
            calls.append(call)
        }
        for entry in json["egress"].list {
            guard let text = entry.text, let colon = text.lastIndex(of: ":"),
                let port = UInt16(text[text.index(after: colon)...])
            else { return nil }
            egress.append(Egress(host: String(text[..<colon]), port: port))
        }
    }

    private static func port(_ json: JSON) -> UInt16? {
        json.integer.flatMap { UInt16(exactly: $0) }.flatMap { $0 > 0 ? $0 : nil }
    }
}

extension Rehearsal.End {
    /// - Parameters:
    ///   - configuration: the answer to `GET /config`.
    ///   - status: the answer to `GET /status`.
    ///   - subject: what its certificate says, where that is known.
    ///   - policy: the one that this host holds; left out where the sidecar states another head.
    init?(
        configuration: JSON, status: JSON, subject: PolicySubject? = nil, policy: CompiledPolicy? = nil
    ) {
        guard let told = WorkloadConfiguration(told: configuration) else { return nil }
        let head = status["policy_head"]
        let standing: (notAfter: WallTime, head: PolicyHead)?
        if let end = status["certificate"]["not_after"].text.flatMap(WallClock.seconds(rfc3339:)),
            let epoch = head["epoch"].integer.flatMap({ UInt64(exactly: $0) }),
            let hash = head["hash"].text.flatMap({ [UInt8](hex: $0) }),
            let stated = PolicyHead(epoch: epoch, hash: hash)
        {
            standing = (WallTime(seconds: Int64(end)), stated)
        } else {
            standing = nil
        }
        self.init(
            configuration: told, standing: standing, subject: subject,
            policy: policy?.head == standing?.head ? policy : nil)
    }
}
