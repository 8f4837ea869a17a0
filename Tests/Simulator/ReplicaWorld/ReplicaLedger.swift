import SidecarProtocol

/// What is known of the clients' changes that one can tell right from wrong.
///
/// `ledger` is a set of unique elements, each of which stands for an amount, and `total` a counter: one
/// transaction adds the element and its amount. So wherever a replica stands, its total is the sum over its
/// ledger. `bag` is a set of unique elements, each added once, and removed for good.
package struct ReplicaLedger {
    /// Elements that a replica has said to be there, whose word holds through a crash; by replica.
    var acknowledged: [Set<String>]
    /// Elements of the bag that a replica has said to have removed.
    var removed: [Set<String>]
    /// Elements whose transaction was refused.
    var refused: Set<String> = []
    var bag: [String] = []

    init(count: Int) {
        acknowledged = Array(repeating: [], count: count)
        removed = acknowledged
    }

    static func amount(of element: String) -> Int { Int((UInt64(element, radix: 36) ?? 0) % 9) + 1 }

    static func element(_ number: UInt64) -> String { String(number, radix: 36) }

    static func requests(adding element: String) -> [[String]] {
        [
            ["MULTI"], ["SADD", "ledger", element], ["INCRBY", "total", String(amount(of: element))],
            ["EXEC"],
        ]
    }

    /// What a replica shows.
    struct View {
        var ledger: Set<String> = []
        var total = 0
        var bag: Set<String> = []

        init(_ shown: [Mutation]) {
            for mutation in shown {
                switch mutation {
                case .addMember("ledger", let element):
                    ledger.insert(String(decoding: element.bytes, as: UTF8.self))
                case .addMember("bag", let element):
                    bag.insert(String(decoding: element.bytes, as: UTF8.self))
                case .setString("total", let text):
                    total = Int(String(decoding: text.bytes, as: UTF8.self)) ?? -1
                default: break
                }
            }
        }

        var mistake: String? {
            let sum = ledger.reduce(0) { $0 + ReplicaLedger.amount(of: $1) }
            return sum == total ? nil : "part of a transaction: the ledger says \(sum), the total \(total)"
        }
    }

    /// What is wrong with what replica `index` shows, `view`, since it is to hold what it has said.
    func mistake(_ view: View, of index: Int) -> String? {
        if let mistake = view.mistake { return mistake }
        if let lost = acknowledged[index].subtracting(view.ledger).min() {
            return "lost: \(lost), which replica \(index) has acknowledged"
        }
        if let back = removed[index].intersection(view.bag).min() {
            return "back: \(back), which replica \(index) has removed"
        }
        if let kept = refused.intersection(view.ledger).min() {
            return "kept: \(kept), which was refused"
        }
        return nil
    }
}

/// One connection's requests that aren't answered yet, and the answers as they come.
struct ReplicaClient {
    enum Request: Hashable {
        case any
        /// The EXEC of the element's transaction.
        case ledger(String)
        case remove(String)
        case forget(Int)
    }

    let id: ClientID
    private var asked: [Request] = []
    private var input: [UInt8] = []

    init(id: ClientID) { self.id = id }

    mutating func ask(_ requests: [Request]) { asked += requests }

    enum Answer: Equatable {
        case done, refused, other
    }

    /// - Returns: requests and their answers, in order; nil: bytes that are no answer, or one too many.
    mutating func receive(_ bytes: [UInt8]) -> [(Request, Answer)]? {
        input += bytes
        var answers: [(Request, Answer)] = []
        var start = 0
        while start < input.count {
            guard let end = ReplicaClient.end(of: input, from: start) else { return nil }
            if end > input.count { break }
            guard !asked.isEmpty else { return nil }
            answers.append((asked.removeFirst(), ReplicaClient.answer(input[start..<end])))
            start = end
        }
        input.removeFirst(start)
        return answers
    }

    private static func answer(_ reply: ArraySlice<UInt8>) -> Answer {
        switch reply.first {
        case UInt8(ascii: "-"): .refused
        case UInt8(ascii: ":"): reply.dropFirst().first == UInt8(ascii: "1") ? .done : .other
        // Both changes of a transaction.
        case UInt8(ascii: "*"): reply.starts(with: "*2\r\n:1\r\n".utf8) ? .done : .other
        default: .other
        }
    }

    /// Where the RESP2 reply ends that begins at `start`; beyond the input where it isn't whole; nil: it is none.
    private static func end(of input: [UInt8], from start: Int) -> Int? {
        guard start < input.count else { return input.count + 1 }
        guard let line = input[start...].firstIndex(of: UInt8(ascii: "\n")) else { return input.count + 1 }
        let count = Int(String(decoding: input[(start + 1)..<(line - 1)], as: UTF8.self))
        switch input[start] {
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ":"): return line + 1
        case UInt8(ascii: "$"):
            guard let count else { return nil }
            return count < 0 ? line + 1 : line + 1 + count + 2
        case UInt8(ascii: "*"):
            guard let count else { return nil }
            var end = line + 1
            for _ in 0..<max(count, 0) {
                guard let next = self.end(of: input, from: end) else { return nil }
                if next > input.count { return next }
                end = next
            }
            return end
        default: return nil
        }
    }
}
