// Questions of the workload's resolver, and the listeners behind their answers.

extension MeshNode {
    mutating func asked(_ query: QueryID, _ question: NameQuestion) {
        let namespace = configuration.workload.namespace
        if hasState, question.name == MeshNames.state {
            let address = NameAnswer.address(IPAddress(v4: ReservedAddress.state))
            return effects.append(.answer(query, question.kind == .a ? address : .noData))
        }
        switch MeshNames.read(question.name, namespace: namespace) {
        case .workload(let name): asked(query, question.kind, about: name)
        case .meshOther:
            effects.append(.answer(query, question.name == "mesh" ? .noData : .nameError))
        case .reverse(let address):
            guard question.kind == .ptr else { return effects.append(.answer(query, .noData)) }
            if hasState, address.v4 == ReservedAddress.state {
                return effects.append(.answer(query, .pointer(MeshNames.state)))
            }
            let workload = addresses?.v4(of: address).flatMap { addresses?.workload(at: $0) }
            let answer = workload.map { NameAnswer.pointer(MeshNames.spell($0, namespace: namespace)) }
            effects.append(.answer(query, answer ?? .nameError))
        case .outside:
            guard egress.isListed(question.name) else {
                return effects.append(.answer(query, .nameError))
            }
            // The userland stack speaks IPv4 only, so a name's IPv6 addresses are of no use.
            effects.append(.answer(query, question.kind == .a ? .resolve(question.name) : .noData))
        }
    }

    private mutating func asked(_ query: QueryID, _ kind: NameQuestion.Kind, about name: WorkloadName) {
        let isOwn = name == configuration.workload
        guard isOwn || callees[name] != nil else { return effects.append(.answer(query, .nameError)) }
        guard kind == .a || (kind == .aaaa && hasIPv6) else {
            return effects.append(.answer(query, .noData))
        }
        let held = HeldQuery(name: name, wantsV6: kind == .aaaa)
        guard let callee = callees[name], !isOwn, callee.verdicts == nil else {
            return answer(query, held)
        }
        guard callee.queries.count < Limits.heldQueriesMaximum else {
            return effects.append(.answer(query, .serverFailure))
        }
        callees[name]?.queries.append(query)
        queries[query] = held
        timers.set(.query(query), at: now.monotonic + Limits.queryHold)
        want(name)
    }

    private mutating func answer(_ query: QueryID, _ held: HeldQuery) {
        guard let addresses, let address = addresses.address(of: held.name) else {
            return effects.append(.answer(query, .serverFailure))
        }
        let answer =
            held.wantsV6
            ? VirtualAddresses.v6(of: address, domain: addresses.domain) : IPAddress(v4: address)
        effects.append(.answer(query, .address(answer)))
    }

    mutating func answerQueries(about name: WorkloadName) {
        let held = callees[name]?.queries ?? []
        callees[name]?.queries = []
        for query in held {
            guard let question = queries.removeValue(forKey: query) else { continue }
            timers.remove(.query(query))
            answer(query, question)
        }
    }

    /// Held long enough: the address is answered without a listener behind it.
    mutating func queryTimedOut(_ query: QueryID) {
        guard let held = queries.removeValue(forKey: query) else { return }
        callees[held.name]?.queries.removeAll { $0 == query }
        answer(query, held)
    }

    // MARK: Listeners

    /// Opens and closes the listeners of a callee so that they say what its verdicts say.
    mutating func refreshListeners(of name: WorkloadName) {
        guard let callee = callees[name] else { return }
        let wanted = isStopping ? [] : wantedListeners(of: callee)
        for address in listeningAddresses(of: callee) {
            for port in callee.listeners.subtracting(wanted).sorted() {
                effects.append(.unlisten(address, port))
            }
            for port in wanted.subtracting(callee.listeners).sorted() {
                effects.append(.listen(address, port))
            }
        }
        callees[name]?.listeners = wanted
    }

    func listeningAddresses(of callee: Callee) -> [IPAddress] {
        let v4 = IPAddress(v4: callee.address)
        guard hasIPv6, let addresses else { return [v4] }
        return [v4, VirtualAddresses.v6(of: callee.address, domain: addresses.domain)]
    }

    /// The IPv6 twin of a virtual address; nil where the datapath has no IPv6.
    package func ipv6Twin(of address: IPAddress) -> IPAddress? {
        guard hasIPv6, let domain = addresses?.domain, let number = address.v4 else { return nil }
        return VirtualAddresses.v6(of: number, domain: domain)
    }

    /// The namespaces have IPv6 between them: listeners that are open get their twins.
    mutating func openIPv6() {
        guard !hasIPv6, let addresses else { return }
        hasIPv6 = true
        for name in callees.keys.sorted() {
            guard let callee = callees[name] else { continue }
            let address = VirtualAddresses.v6(of: callee.address, domain: addresses.domain)
            for port in callee.listeners.sorted() { effects.append(.listen(address, port)) }
        }
    }

    private func wantedListeners(of callee: Callee) -> Set<ServicePort> {
        if let verdicts = callee.verdicts {
            return Set(
                verdicts.ports.filter { $0.verdict == .allow }.map(\.port).filter(callee.interest.covers))
        }
        // Without the callee's word, only ports that the config names have listeners: they wait for it.
        guard case .ports(let ports) = callee.interest else { return [] }
        return Set(ports.map { ServicePort($0, .tcp) })
    }

    /// Gives every callee of the configuration its address, and its listeners where it names ports.
    mutating func openCallees() {
        guard addresses != nil else { return }
        var hasNew = false
        for (name, interest) in configuration.interests where callees[name] == nil {
            guard let (address, isNew) = addresses?.assign(name) else { continue }
            hasNew = hasNew || isNew
            callees[name] = Callee(interest: interest, address: address)
        }
        if hasNew { persistAddresses() }
        for name in callees.keys.sorted() { refreshListeners(of: name) }
    }

    mutating func persistAddresses() {
        if let addresses { effects.append(.persistAddresses(addresses.encoded())) }
    }
}

extension CallInterest {
    func covers(_ port: ServicePort) -> Bool {
        switch self {
        case .anyPort: true
        case .ports(let ports): ports.contains(port.port)
        }
    }
}

extension WorkloadConfiguration {
    /// `calls`, gathered by callee; a call without a port covers those with one.
    var interests: [WorkloadName: CallInterest] {
        var interests: [WorkloadName: CallInterest] = [:]
        for call in calls where call.target != workload {
            switch (interests[call.target], call.port) {
            case (.anyPort?, _): break
            case (_, nil): interests[call.target] = .anyPort
            case (.ports(let ports)?, let port?):
                interests[call.target] = .ports(ports.contains(port) ? ports : ports + [port])
            case (nil, let port?): interests[call.target] = .ports([port])
            }
        }
        return interests
    }
}
