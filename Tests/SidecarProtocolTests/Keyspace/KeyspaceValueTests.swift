import Testing

@testable import SidecarProtocol

@Suite("Tables, trees and rings")
struct KeyspaceValueTests {
    private func key(_ number: Int) -> ByteString { ByteString("key:\(number)") }

    @Test("a table holds what a dictionary holds, while it grows and shrinks", arguments: 0..<5)
    func table(seed: UInt64) {
        var numbers = SeededNumbers(state: seed)
        var table = HashTable<Int>(hash: SeededHash(k0: seed, k1: 1))
        var model: [ByteString: Int] = [:]
        for step in 0..<20_000 {
            let key = key(numbers.below(step % 10_000 < 6_000 ? 3_000 : 40))
            if numbers.below(3) > 0, step % 10_000 < 6_000 {
                table.set(key, step)
                model[key] = step
            } else {
                #expect(table.remove(key) == model.removeValue(forKey: key))
            }
            #expect(table.count == model.count)
            if step % 97 == 0 { for (key, value) in model { #expect(table[key] == value) } }
        }
    }

    @Test("what stands in a table from the first SCAN to the last is returned, while others come and go")
    func scan() {
        var numbers = SeededNumbers(state: 9)
        var table = HashTable<Int>(hash: SeededHash(k0: 1, k1: 2))
        for number in 0..<500 { table.set(key(number), number) }
        var seen: Set<Int> = []
        var cursor: UInt64 = 0
        var fresh = 1000
        repeat {
            cursor = table.scan(cursor) { seen.insert(table[$0].value) }
            for _ in 0..<numbers.below(60) {
                // It grows threefold meanwhile, and then shrinks.
                if fresh < 4000 {
                    table.set(key(fresh), fresh)
                } else {
                    table.remove(key(1000 + numbers.below(3000)))
                }
                fresh += 1
            }
        } while cursor != 0
        #expect(seen.isSuperset(of: 0..<500))
    }

    @Test("a small table keeps the order of insertion")
    func order() {
        var table = HashTable<Int>(hash: SeededHash(k0: 1, k1: 2))
        for number in 0..<400 { table.set(key(number), number) }
        for number in stride(from: 0, to: 400, by: 3) { table.remove(key(number)) }
        let values = (0..<table.count).map { table[$0].value }
        #expect(values == values.sorted())
    }

    @Test("ranks of a tree are those of a sorted array", arguments: 0..<5)
    func tree(seed: UInt64) {
        var numbers = SeededNumbers(state: seed)
        var tree = ScoreTree()
        var model: [(Double, ByteString)] = []
        for step in 0..<3_000 {
            if model.isEmpty || numbers.below(5) < (step < 1_500 ? 4 : 1) {
                let entry = (Double(numbers.below(50)), key(step))
                tree.insert(entry.1, score: entry.0)
                let place = model.firstIndex { entry.0 < $0.0 || entry.0 == $0.0 && entry.1 < $0.1 }
                model.insert(entry, at: place ?? model.count)
            } else {
                let (score, member) = model.remove(at: numbers.below(model.count))
                tree.remove(member, score: score)
            }
            #expect(tree.count == model.count)
            if let (score, member) = model.last {
                #expect(tree.rank(of: member, score: score) == model.count - 1)
                let middle = model.count / 2
                #expect(tree[middle] == model[middle])
            }
        }
        var walked: [ByteString] = []
        tree.forEach(in: 0..<tree.count) { walked.append($1) }
        #expect(walked == model.map(\.1))
    }

    @Test("a ring does what an array does", arguments: 0..<5)
    func ring(seed: UInt64) {
        var numbers = SeededNumbers(state: seed)
        var ring = Ring()
        var model: [ByteString] = []
        for step in 0..<2_000 {
            switch numbers.below(7) {
            case 0, 1:
                ring.append(key(step))
                model.append(key(step))
            case 2:
                ring.prepend(key(step))
                model.insert(key(step), at: 0)
            case 3 where !model.isEmpty: #expect(ring.popFirst() == model.removeFirst())
            case 4 where !model.isEmpty: #expect(ring.popLast() == model.removeLast())
            case 5:
                let place = numbers.below(model.count + 1)
                ring.insert(key(step), at: place)
                model.insert(key(step), at: place)
            default:
                let start = numbers.below(model.count + 1)
                let end = min(model.count, start + numbers.below(3))
                ring.remove(start..<end)
                model.removeSubrange(start..<end)
            }
            #expect((0..<ring.count).map { ring[$0] } == model)
            #expect(ring.elementBytes == model.reduce(0) { $0 + $1.count })
        }
    }

    @Test(
        "patterns match as Redis's do",
        arguments: [
            ("*", "abc", true), ("a?c", "abc", true), ("a[b-d]c", "acc", true), ("a[^b]c", "abc", false),
            ("\\*", "*", true), ("a*c*e", "abcde", true), ("a*f", "abcde", false), ("", "", true),
            ("[", "[", false),
            ("h[ae]llo", "hillo", false), ("*b", "aab", true),
        ])
    func patterns(pattern: String, text: String, matches: Bool) {
        #expect(GlobPattern(ByteString(pattern)).matches(ByteString(text)) == matches)
    }
}
