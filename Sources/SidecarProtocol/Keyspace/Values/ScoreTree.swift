// Members in the order of their scores, and of their bytes where scores are equal.
//
// Theory of operation
//
//   A weight-balanced tree (Adams; Δ = 3, Γ = 2 of Hirai and Yamamoto) in one array: each node knows the size
//   of its subtree, so that a rank is found, and found by, in O(log n). Nodes refer to each other by index,
//   0 is the empty tree, and removed nodes are used again.

struct ScoreTree: Sendable {
    struct Node: Sendable {
        var score: Double
        var member: ByteString
        fileprivate var left: Int32 = 0
        fileprivate var right: Int32 = 0
        fileprivate var size: Int32
    }

    private var nodes: ContiguousArray<Node> = [Node(score: 0, member: "", size: 0)]
    private var root: Int32 = 0
    /// The first of the nodes that are free, chained by `left`.
    private var free: Int32 = 0

    init() {}

    var count: Int { Int(nodes[Int(root)].size) }

    // MARK: Reading

    /// The node at `rank`, 0 ..< count.
    subscript(rank: Int) -> (score: Double, member: ByteString) {
        var rank = rank
        var node = Int(root)
        while true {
            let left = Int(nodes[Int(nodes[node].left)].size)
            if rank == left { return (nodes[node].score, nodes[node].member) }
            if rank < left {
                node = Int(nodes[node].left)
            } else {
                rank -= left + 1
                node = Int(nodes[node].right)
            }
        }
    }

    /// How many stand before the first for which `isBefore` is false. `isBefore` is true up to some point.
    func countBefore(where isBefore: (Double, ByteString) -> Bool) -> Int {
        var rank = 0
        var node = Int(root)
        while node != 0 {
            if isBefore(nodes[node].score, nodes[node].member) {
                rank += Int(nodes[Int(nodes[node].left)].size) + 1
                node = Int(nodes[node].right)
            } else {
                node = Int(nodes[node].left)
            }
        }
        return rank
    }

    func rank(of member: ByteString, score: Double) -> Int {
        countBefore { ScoreTree.isBefore($0, $1, score, member) }
    }

    /// Visits `ranks`, which lie within 0 ..< count, in order.
    func forEach(in ranks: Range<Int>, _ visit: (Double, ByteString) -> Void) {
        walk(root, 0, ranks, visit)
    }

    private func walk(_ node: Int32, _ first: Int, _ ranks: Range<Int>, _ visit: (Double, ByteString) -> Void)
    {
        guard node != 0, first < ranks.upperBound else { return }
        let own = first + Int(nodes[Int(nodes[Int(node)].left)].size)
        if ranks.lowerBound < own { walk(nodes[Int(node)].left, first, ranks, visit) }
        if ranks.contains(own) { visit(nodes[Int(node)].score, nodes[Int(node)].member) }
        if ranks.upperBound > own + 1 { walk(nodes[Int(node)].right, own + 1, ranks, visit) }
    }

    @inline(__always)
    static func isBefore(_ a: Double, _ x: ByteString, _ b: Double, _ y: ByteString) -> Bool {
        a < b || a == b && x < y
    }

    // MARK: Changing

    /// Adds a member that isn't there.
    mutating func insert(_ member: ByteString, score: Double) {
        let node = Node(score: score, member: member, size: 1)
        var index = free
        if index != 0 {
            free = nodes[Int(index)].left
            nodes[Int(index)] = node
        } else {
            index = Int32(truncatingIfNeeded: nodes.count)
            nodes.append(node)
        }
        root = inserting(index, into: root)
    }

    /// Removes a member that is there with this score.
    mutating func remove(_ member: ByteString, score: Double) {
        root = removing(member, score, from: root)
        if root == 0 { self = ScoreTree() }
    }

    private mutating func inserting(_ new: Int32, into node: Int32) -> Int32 {
        guard node != 0 else { return new }
        let (a, b) = (Int(new), Int(node))
        if ScoreTree.isBefore(nodes[a].score, nodes[a].member, nodes[b].score, nodes[b].member) {
            let child = inserting(new, into: nodes[b].left)
            nodes[b].left = child
        } else {
            let child = inserting(new, into: nodes[b].right)
            nodes[b].right = child
        }
        return balanced(node)
    }

    private mutating func removing(_ member: ByteString, _ score: Double, from node: Int32) -> Int32 {
        guard node != 0 else { return 0 }
        let index = Int(node)
        if ScoreTree.isBefore(score, member, nodes[index].score, nodes[index].member) {
            let child = removing(member, score, from: nodes[index].left)
            nodes[index].left = child
            return balanced(node)
        }
        if ScoreTree.isBefore(nodes[index].score, nodes[index].member, score, member) {
            let child = removing(member, score, from: nodes[index].right)
            nodes[index].right = child
            return balanced(node)
        }
        let (left, right) = (nodes[index].left, nodes[index].right)
        nodes[index].member = ""
        nodes[index].left = free
        free = node
        if left == 0 { return right }
        if right == 0 { return left }
        var least: Int32 = 0
        let rest = withoutLeast(right, &least)
        nodes[Int(least)].left = left
        nodes[Int(least)].right = rest
        return balanced(least)
    }

    private mutating func withoutLeast(_ node: Int32, _ least: inout Int32) -> Int32 {
        guard nodes[Int(node)].left != 0 else {
            least = node
            return nodes[Int(node)].right
        }
        let child = withoutLeast(nodes[Int(node)].left, &least)
        nodes[Int(node)].left = child
        return balanced(node)
    }

    private func weight(_ node: Int32) -> Int32 { nodes[Int(node)].size + 1 }

    private mutating func balanced(_ node: Int32) -> Int32 {
        let index = Int(node)
        let (left, right) = (nodes[index].left, nodes[index].right)
        if weight(right) > 3 * weight(left) {
            if weight(nodes[Int(right)].left) >= 2 * weight(nodes[Int(right)].right) {
                nodes[index].right = turnedRight(right)
            }
            return turnedLeft(node)
        }
        if weight(left) > 3 * weight(right) {
            if weight(nodes[Int(left)].right) >= 2 * weight(nodes[Int(left)].left) {
                nodes[index].left = turnedLeft(left)
            }
            return turnedRight(node)
        }
        measure(node)
        return node
    }

    private mutating func turnedLeft(_ node: Int32) -> Int32 {
        let right = nodes[Int(node)].right
        nodes[Int(node)].right = nodes[Int(right)].left
        nodes[Int(right)].left = node
        measure(node)
        measure(right)
        return right
    }

    private mutating func turnedRight(_ node: Int32) -> Int32 {
        let left = nodes[Int(node)].left
        nodes[Int(node)].left = nodes[Int(left)].right
        nodes[Int(left)].right = node
        measure(node)
        measure(left)
        return left
    }

    private mutating func measure(_ node: Int32) {
        let index = Int(node)
        nodes[index].size = nodes[Int(nodes[index].left)].size + nodes[Int(nodes[index].right)].size + 1
    }
}
