// A new configuration, taken over while flows live.

extension WorkloadConfiguration {
    /// The keys in which `other` differs and that can't change while the workload runs.
    package func fixedKeysChanged(in other: WorkloadConfiguration) -> [String] {
        var keys: [String] = []
        if workload.name != other.workload.name || isNamed != other.isNamed { keys.append("workload") }
        if workload.namespace != other.workload.namespace { keys.append("namespace") }
        if version != other.version { keys.append("version") }
        if user != other.user { keys.append("user") }
        if datapath != other.datapath { keys.append("datapath") }
        if consistency != other.consistency { keys.append("consistency") }
        if state.fsync != other.state.fsync { keys.append("fsync") }
        if state.conditional != other.state.conditional { keys.append("conditional") }
        if state.memory != other.state.memory { keys.append("memory") }
        if sockets != other.sockets { keys.append("sockets") }
        if listen != other.listen { keys.append("listen") }
        if advertise != other.advertise { keys.append("advertise") }
        return keys
    }

    /// The keys in which `other` differs and that change live.
    package func liveKeysChanged(in other: WorkloadConfiguration) -> [String] {
        var keys: [String] = []
        if serves != other.serves { keys.append("serves") }
        if accepts != other.accepts { keys.append("accepts") }
        if calls != other.calls { keys.append("calls") }
        if egress != other.egress { keys.append("egress") }
        if records != other.records { keys.append("records") }
        if telemetry != other.telemetry { keys.append("otlp") }
        return keys
    }
}

extension MeshNode {
    /// The shell has checked that no fixed key changed.
    mutating func adopt(_ configuration: WorkloadConfiguration) {
        let servesBefore = self.configuration.serves
        let wasUnrecordable = isUnrecordable
        authorizer.adopt(configuration)
        redecide()
        adoptEgress(of: configuration)
        if isUnrecordable != wasUnrecordable { adaptEgressToRecords() }
        dropUncalled()
        changeInterests()
        openCallees()
        downPorts.formIntersection(configuration.serves)
        sendAllVerdicts()
        if servesBefore != configuration.serves { register() }
    }

    private mutating func dropUncalled() {
        let interests = configuration.interests
        for name in callees.keys.sorted() where interests[name] == nil {
            guard let callee = callees[name] else { continue }
            for flow in callee.waiting { cut(flow, .policy, tellPeer: false) }
            for address in listeningAddresses(of: callee) {
                for port in callee.listeners.sorted() { effects.append(.unlisten(address, port)) }
            }
            for query in callee.queries {
                queries[query] = nil
                timers.remove(.query(query))
                effects.append(.answer(query, .nameError))
            }
            if let topic = callee.topic { effects.append(.unsubscribe(topic)) }
            timers.remove(.redial(name))
            callees[name] = nil
            releaseLink(callee.link)
        }
    }

    /// Closes a session that neither side wants any more.
    private mutating func releaseLink(_ id: LinkID?) {
        guard let id, let link = links[id] else { return }
        if link.interest == nil { close(id, .finished) }
    }

    private mutating func changeInterests() {
        for (name, interest) in configuration.interests {
            guard let callee = callees[name], callee.interest != interest else { continue }
            callees[name]?.interest = interest
            guard let link = callee.link, links[link]?.peer != nil else { continue }
            effects.append(.send(link, .calls(interest)))
        }
    }
}
