// One number for all that a store shows or may come to show: equal wherever the version vectors are.

extension ReplicatedStore {
    /// Over every key, in no order. What only waits to be forgotten doesn't count, since replicas forget at
    /// different times.
    package func stateHash() -> UInt64 {
        var sum: UInt64 = 0
        for entry in entries.entries { sum &+= hash(of: entry.value, entry.key) }
        return sum
    }

    /// - Parameter withHollow: counts what only waits to be forgotten too.
    func hash(of entry: Entry, _ key: ByteString, withHollow: Bool = false) -> UInt64 {
        var base = StableHash()
        base.combine(key.bytes)
        if let register = entry.plain {
            base.combine(0)
            return hash(.one(register), base)
        }
        let contents = entry.contents
        guard contents.kind != nil || withHollow else { return 0 }
        var sum: UInt64 = 0
        func add<Value>(_ kind: UInt64, _ name: ByteString?, _ cell: Cell<Value>) {
            guard cell.isLive || withHollow else { return }
            var seed = base
            seed.combine(kind)
            if let name { seed.combine(name.bytes) }
            sum &+= hash(cell, seed, withHollow: withHollow)
        }
        if let cell = contents.string { add(0, nil, cell) }
        for (name, cell) in contents.hash.cells { add(1, name, cell) }
        for (name, cell) in contents.members.cells { add(3, name, cell) }
        for (name, cell) in contents.scores.cells { add(4, name, cell) }
        for (name, cell) in contents.entries.cells { add(6, name, cell) }
        if let cell = contents.expiry { add(5, nil, cell) }
        for element in contents.list.elements {
            var seed = base
            seed.combine(2)
            for step in element.place.steps {
                seed.combine(UInt64(bitPattern: step.digit))
                combine(step.dot, &seed)
                seed.combine(step.offset)
            }
            sum &+= hash(element.cell, seed)
        }
        return sum
    }

    private func hash<Value>(
        _ cell: Cell<Value>, _ seed: StableHash, withHollow: Bool = false
    ) -> UInt64 {
        var sum: UInt64 = 0
        if case .one(let register) = cell { return hash(register, seed) }
        let parts = cell.parts
        for register in parts.registers { sum &+= hash(register, seed) }
        for total in parts.sums where !total.isHollow || withHollow {
            var hash = seed
            combine(total.start, &hash)
            hash.combine(total.last)
            hash.combine(Value.subtract(total.total, total.floorTotal))
            // A hollow one and one that has come to nothing show different things.
            if total.isHollow { hash.combine(1) }
            sum &+= hash.value
        }
        return sum
    }

    private func hash<Value>(_ register: Register<Value>, _ seed: StableHash) -> UInt64 {
        var hash = seed
        combine(register.dot, &hash)
        hash.combine(register.time.raw)
        register.value.combine(into: &hash)
        return hash.value
    }

    private func combine(_ dot: LocalDot, _ hash: inout StableHash) {
        let name = replicas.names[dot.replica]
        hash.combine(name.hash)
        hash.combine(UInt64(name.epoch))
        hash.combine(dot.counter)
    }
}
