// A number that says whether two keyspaces hold the same.

extension Keyspace {
    /// 40 hexadecimal digits of everything in every database; zeros: nothing. Order doesn't matter where it
    /// doesn't to users.
    package func digest() -> [UInt8] {
        var total = DigestSum()
        for (number, database) in databases.enumerated() {
            for index in 0..<database.items.count {
                let entry = database.items[index]
                var own = DigestSum()
                own.add([ByteString(DecimalText.bytes(of: Int64(number))), entry.key])
                own.add(Keyspace.digest(entry.value.value))
                own.add([
                    entry.value.expiry == Item.never
                        ? "-" : ByteString(DecimalText.bytes(of: entry.value.expiry))
                ])
                total.add(own)
            }
        }
        return total.text
    }

    /// Of one key's value alone.
    func digest(of key: ByteString) -> [UInt8] {
        guard let item = databases[selected].items[key] else { return DigestSum().text }
        return Keyspace.digest(item.value).text
    }

    private static func digest(_ value: Value) -> DigestSum {
        var sum = DigestSum()
        switch value {
        case .integer, .text, .raw: sum.add(["string", value.string ?? .empty])
        case .list(let list):
            for index in 0..<list.ring.count {
                sum.add(["list", ByteString(DecimalText.bytes(of: Int64(index))), list.ring[index]])
            }
        case .hash(let hash):
            for index in 0..<hash.table.count {
                sum.add(["hash", hash.table[index].key, hash.table[index].value])
            }
        case .set(let set): set.visit { sum.add(["set", $0]) }
        case .sorted(let sorted):
            for index in 0..<sorted.table.count {
                let score = ByteString(DecimalText.score(sorted.table[index].value))
                sum.add(["zset", sorted.table[index].key, score])
            }
        case .stream(let stream):
            sum.add(["stream", stream.last.bytes])
            for index in 0..<stream.count { sum.add([stream[index].id.bytes] + stream[index].words) }
        }
        return sum
    }
}

/// The sum of hashes under a fixed key.
private struct DigestSum {
    private var (high, low): (UInt64, UInt64) = (0, 0)

    mutating func add(_ parts: [ByteString]) {
        var bytes: [UInt8] = []
        for part in parts {
            bytes += DecimalText.bytes(of: Int64(part.count)) + [UInt8(ascii: ":")] + part.bytes
        }
        bytes.withUnsafeBytes {
            high &+= SeededHash(k0: 1, k1: 2).hash($0)
            low &+= SeededHash(k0: 3, k1: 4).hash($0)
        }
    }

    mutating func add(_ other: DigestSum) { add([ByteString(other.text)]) }

    var text: [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        var text = [UInt8](repeating: digits[0], count: 8)
        for word in [high, low] {
            for shift in stride(from: 60, through: 0, by: -4) {
                text.append(digits[Int(word >> UInt64(shift) & 15)])
            }
        }
        return text
    }
}
