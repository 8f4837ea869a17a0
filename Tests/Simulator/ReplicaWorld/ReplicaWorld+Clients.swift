import SidecarProtocol

// The clients of the replicas.

extension ReplicaWorld {
    private func ask(
        _ index: Int, _ client: Int, _ requests: [[String]], last: ReplicaClient.Request = .any
    ) {
        let machine = machines[index]
        guard machine.isReady, machine.stop == nil, client < machine.clients.count else { return }
        counts.requests += requests.count
        var expected = [ReplicaClient.Request](repeating: .any, count: requests.count)
        expected[requests.count - 1] = last
        machine.clients[client].ask(expected)
        let id = machine.clients[client].id
        let bytes = requests.flatMap { SimulatedReplica.request($0) }
        touch(index) { $0.send(bytes, from: id) }
    }

    func request(_ index: Int, _ salt: UInt64) {
        var random = RandomRequests(seed: salt)
        // The first client is left to the ledger: none of its requests waits for a key.
        ask(index, 1 + Int(salt >> 32) % (ReplicaWorld.clientCount - 1), random.batch())
    }

    func addToLedger(_ index: Int, _ salt: UInt64) {
        let element = ReplicaLedger.element(salt)
        ask(index, 0, ReplicaLedger.requests(adding: element), last: .ledger(element))
    }

    func addToBag(_ index: Int, _ salt: UInt64) {
        let element = ReplicaLedger.element(salt)
        guard machines[index].isReady else { return }
        ledger.bag.append(element)
        ask(index, 0, [["SADD", "bag", element]])
    }

    func removeFromBag(_ index: Int, _ salt: UInt64) {
        guard !ledger.bag.isEmpty else { return }
        let recent = ledger.bag.suffix(12)
        let element = recent[recent.startIndex + Int(salt % UInt64(recent.count))]
        ask(index, 0, [["SREM", "bag", element]], last: .remove(element))
    }

    func forget(_ index: Int, by other: Int) {
        guard machines[index].hasLeft else { return }
        let name = machines[index].replica.name.description.prefix { $0 != "." }
        ask(other, 0, [["CRDT.FORGET", String(name)]], last: .forget(index))
    }

    func hangUp(_ index: Int) {
        let machine = machines[index]
        guard machine.isReady, machine.stop == nil else { return }
        let client = Int(machine.turns % UInt64(machine.clients.count))
        let id = machine.clients[client].id
        touch(index) { $0.hangUp(id) }
        guard machine.isReady, client < machine.clients.count else { return }
        machine.clients[client] = ReplicaClient(id: machine.replica.connect())
    }

    func takeAnswers(of machine: SimulatedMachine) {
        for client in machine.clients.indices {
            let bytes = machine.replica.takeReplyBytes(machine.clients[client].id)
            guard !bytes.isEmpty else { continue }
            trace.mix(bytes)
            guard let answers = machine.clients[client].receive(bytes) else {
                violate("no answer: \(String(decoding: bytes, as: UTF8.self))")
                return
            }
            for (request, answer) in answers { note(request, answer, of: machine) }
        }
    }

    private func note(
        _ request: ReplicaClient.Request, _ answer: ReplicaClient.Answer, of machine: SimulatedMachine
    ) {
        switch (request, answer) {
        case (.ledger(let element), .done):
            counts.acknowledged += 1
            if machine.keepsWord { ledger.acknowledged[machine.index].insert(element) }
        case (.ledger(let element), .refused):
            counts.refused += 1
            ledger.refused.insert(element)
        case (.remove(let element), .done):
            if machine.keepsWord { ledger.removed[machine.index].insert(element) }
        case (.forget(let index), .other): machines[index].isForgotten = true
        default: break
        }
    }
}
