/// The cells of a hash, a set or a sorted set, by field or member.
struct CellCollection<Value: CellValue>: Sendable {
    private(set) var cells: [ByteString: Cell<Value>] = [:]
    /// Cells of which nothing shows.
    private(set) var hollow = 0

    var live: Int { cells.count - hollow }
    var isEmpty: Bool { cells.isEmpty }

    subscript(name: ByteString) -> Cell<Value>? { cells[name] }

    /// Changes one cell, which is made if there is none, and taken away once it is empty.
    mutating func change(_ name: ByteString, _ body: (inout Cell<Value>) -> Void) {
        guard let place = cells.index(forKey: name) else {
            var cell = Cell<Value>.many(.init())
            body(&cell)
            if !cell.isEmpty { insert(name, cell) }
            return
        }
        if !cells.values[place].isLive { hollow -= 1 }
        body(&cells.values[place])
        if cells.values[place].isEmpty {
            cells.remove(at: place)
        } else if !cells.values[place].isLive {
            hollow += 1
        }
    }

    /// A cell of a name that has none.
    mutating func insert(_ name: ByteString, _ cell: Cell<Value>) {
        cells[name] = cell
        if !cell.isLive { hollow += 1 }
    }

    /// Takes away what the context covers, of every cell.
    ///
    /// - Returns: The names of which something is gone, sorted, where `reports`.
    mutating func removeAll(_ context: Context, reports: Bool) -> [ByteString] {
        var changed: [ByteString] = []
        let old = cells
        cells = [:]
        hollow = 0
        for (name, cell) in old {
            if case .one(let register) = cell {
                if !context.covers(register.dot) {
                    cells[name] = cell
                    continue
                }
            } else {
                var left = cell
                left.remove(context)
                if !left.isEmpty { insert(name, left) }
            }
            if reports { changed.append(name) }
        }
        if reports { changed.sort() }
        return changed
    }

    var names: [ByteString] { cells.keys.sorted() }

    /// Every cell's sums, for a removal of all.
    func resets(_ replicas: ReplicaTable) -> [Reset] {
        var resets: [Reset] = []
        for (_, cell) in cells {
            if case .many = cell { resets += cell.resets(replicas) }
        }
        return resets
    }
}
