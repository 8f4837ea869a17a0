// ZUNION, ZINTER, ZDIFF (t_zset.c): of sorted sets, and of sets, whose members score 1.

extension Keyspace {
    private enum Aggregate {
        case sum, min, max

        func combine(_ a: Double, _ b: Double) -> Double {
            switch self {
            case .sum:
                // Infinities of both signs are a zero.
                let sum = a + b
                return sum.isNaN ? 0 : sum
            case .min: return b < a ? b : a
            case .max: return b > a ? b : a
            }
        }
    }

    private enum Operand {
        case set(SetObject)
        case sorted(SortedObject)

        var count: Int {
            switch self {
            case .set(let set): set.count
            case .sorted(let sorted): sorted.count
            }
        }

        func score(of member: ByteString) -> Double? {
            switch self {
            case .set(let set): set.contains(member) ? 1 : nil
            case .sorted(let sorted): sorted.score(of: member)
            }
        }

        func visit(_ visit: (ByteString, Double) -> Void) {
            switch self {
            case .set(let set): set.visit { visit($0, 1) }
            case .sorted(let sorted):
                for index in 0..<sorted.count { visit(sorted.table[index].key, sorted.table[index].value) }
            }
        }

        func isSame(as other: Operand) -> Bool {
            switch (self, other) {
            case (.set(let a), .set(let b)): a === b
            case (.sorted(let a), .sorted(let b)): a === b
            case (.set, .sorted), (.sorted, .set): false
            }
        }
    }

    private struct Combination {
        var operands: [(operand: Operand?, weight: Double)] = []
        var aggregate = Aggregate.sum
        var withScores = false
        var limit = 0
    }

    /// `first`: the place of the number of keys. `stores`: the key before it gets the result.
    mutating func combineSorted(
        _ operation: SetOperation, countAt first: Int, stores: Bool = false, onlyCounts: Bool = false
    ) throws(CommandError) {
        var combination = try operands(countAt: first)
        try readOptions(
            &combination, operation, from: first + 1 + combination.operands.count, stores, onlyCounts)
        let result = combined(operation, combination, onlyCounts)
        if stores {
            result.pack(settings)
            if replaceWhole(.sorted(result), under: arguments[1], isEmpty: result.count == 0) {
                notify(.sorted, "z\(operation.rawValue)store", arguments[1])
            }
            reply.integer(result.count)
        } else if onlyCounts {
            reply.integer(result.count)
        } else {
            var found: [(Double, ByteString)] = []
            result.tree.forEach(in: 0..<result.count) { found.append(($0, $1)) }
            write(found, withScores: combination.withScores)
        }
    }

    private mutating func operands(countAt first: Int) throws(CommandError) -> Combination {
        let number = try integer(first)
        guard number >= 1 else {
            throw CommandError("at least 1 input key is needed for '\(commandName)' command")
        }
        guard number <= arguments.count - (first + 1) else { throw .syntax }
        var combination = Combination()
        for place in first + 1...first + Int(number) {
            switch valueToRead(arguments[place]) {
            case nil: combination.operands.append((nil, 1))
            case .set(let set): combination.operands.append((.set(set), 1))
            case .sorted(let sorted): combination.operands.append((.sorted(sorted), 1))
            case .integer, .text, .raw, .list, .hash, .stream: throw .wrongType
            }
        }
        return combination
    }

    private func readOptions(
        _ combination: inout Combination, _ operation: SetOperation, from start: Int, _ stores: Bool,
        _ onlyCounts: Bool
    ) throws(CommandError) {
        var place = start
        let weighs = operation != .difference && !onlyCounts
        while place < arguments.count {
            let left = arguments.count - place
            if weighs, left >= combination.operands.count + 1, arguments[place].isWord("weights") {
                for index in combination.operands.indices {
                    place += 1
                    combination.operands[index].weight = try double(
                        place, or: CommandError("weight value is not a float"))
                }
            } else if weighs, left >= 2, arguments[place].isWord("aggregate") {
                place += 1
                combination.aggregate = try aggregate(arguments[place])
            } else if !stores, !onlyCounts, arguments[place].isWord("withscores") {
                combination.withScores = true
            } else if onlyCounts, left >= 2, arguments[place].isWord("limit") {
                place += 1
                combination.limit = try count(place, atLeast: 0, or: "LIMIT can't be negative")
            } else {
                throw .syntax
            }
            place += 1
        }
    }

    private func aggregate(_ word: ByteString) throws(CommandError) -> Aggregate {
        if word.isWord("sum") { return .sum }
        if word.isWord("min") { return .min }
        if word.isWord("max") { return .max }
        throw .syntax
    }

    private func combined(
        _ operation: SetOperation, _ combination: Combination, _ onlyCounts: Bool
    ) -> SortedObject {
        let result = SortedObject(hash: hash)
        // Packed when it is stored, not before.
        result.isListpack = false
        switch operation {
        case .union: unite(combination, into: result)
        case .intersection: intersect(combination, into: result)
        case .difference:
            guard let first = combination.operands.first?.operand else { return result }
            let others = combination.operands.dropFirst().compactMap(\.operand)
            if others.contains(where: { $0.isSame(as: first) }) { return result }
            first.visit { member, score in
                if !others.contains(where: { $0.score(of: member) != nil }) {
                    result.set(member, score, limits: settings)
                }
            }
        }
        return result
    }

    private func unite(_ combination: Combination, into result: SortedObject) {
        for (operand, weight) in ordered(combination) {
            operand?.visit { member, score in
                var weighted = score * weight
                if weighted.isNaN { weighted = 0 }
                if let old = result.score(of: member) {
                    weighted = combination.aggregate.combine(old, weighted)
                }
                result.set(member, weighted, limits: settings)
            }
        }
    }

    private func intersect(_ combination: Combination, into result: SortedObject) {
        let ordered = ordered(combination)
        guard let least = ordered.first, let first = least.operand else { return }
        let limit = combination.limit == 0 ? Int.max : combination.limit
        first.visit { member, score in
            guard result.count < limit else { return }
            var total = score * least.weight
            if total.isNaN { total = 0 }
            for (operand, weight) in ordered.dropFirst() {
                guard let other = operand?.score(of: member) else { return }
                total = combination.aggregate.combine(total, other * weight)
            }
            result.set(member, total, limits: settings)
        }
    }

    /// The smallest first, as Redis takes them: floating-point sums depend on the order.
    private func ordered(_ combination: Combination) -> [(operand: Operand?, weight: Double)] {
        combination.operands.enumerated().sorted { a, b in
            let (m, n) = (a.element.operand?.count ?? 0, b.element.operand?.count ?? 0)
            return m == n ? a.offset < b.offset : m < n
        }.map(\.element)
    }
}
