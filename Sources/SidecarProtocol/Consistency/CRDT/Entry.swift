/// All that a store holds of one key.
///
/// Most keys are one string that nobody else writes; these are `plain`. The rest is behind a reference, which
/// is copied when it is changed while a copy of the store (a snapshot) still holds it.
struct Entry: Sendable {
    var plain: Register<ByteString>?
    private var box: Box?

    init() {}
    init(_ register: Register<ByteString>) { plain = register }

    /// A key of each type, where replicas gave it several; of those one is shown.
    struct Contents: Sendable {
        var string: Cell<ByteString>?
        var hash = CellCollection<ByteString>()
        var list = ListContent()
        var members = CellCollection<Presence>()
        var scores = CellCollection<Score>()
        /// A stream's entries by their ids.
        var entries = CellCollection<ByteString>()
        var expiry: Cell<Expiry>?
        /// The keyspace has removed the key since its time, which was this, had come; the deletion is left
        /// to the replica that set it.
        var hiddenAt: Expiry?
    }

    private final class Box: @unchecked Sendable {
        // Written only while one entry refers to it; see `change`.
        var contents: Contents
        init(_ contents: Contents) { self.contents = contents }
    }

    var isPlain: Bool { box == nil }

    var contents: Contents {
        if let box { return box.contents }
        var contents = Contents()
        contents.string = plain.map { .one($0) }
        return contents
    }

    mutating func change<Result>(_ body: (inout Contents) -> Result) -> Result {
        if box == nil {
            box = Box(contents)
            plain = nil
        } else if !isKnownUniquelyReferenced(&box), let old = box {
            box = Box(old.contents)
        }
        guard let box else {
            var contents = Contents()
            return body(&contents)
        }
        let result = body(&box.contents)
        if let register = box.contents.asPlain {
            plain = register
            self.box = nil
        }
        return result
    }

    /// The one is a copy of the other, and neither was changed since; or both are one value that equals.
    func isSame(as other: Entry) -> Bool {
        if let box { return box === other.box }
        return plain != nil && plain?.dot == other.plain?.dot && other.box == nil
    }

    var isEmpty: Bool { box.map { $0.contents.isEmpty } ?? (plain == nil) }

    /// The type that is shown; nil: there is nothing to show.
    var kind: ContentKind? { box.map { $0.contents.kind } ?? (plain == nil ? nil : .string) }

    var isHidden: Bool { box?.contents.hiddenAt != nil }
}

extension Entry.Contents {
    var kind: ContentKind? {
        if string?.isLive ?? false { return .string }
        if hash.live > 0 { return .hash }
        if !list.isEmpty { return .list }
        if members.live > 0 { return .set }
        if scores.live > 0 { return .sorted }
        if entries.live > 0 { return .stream }
        return nil
    }

    var isEmpty: Bool {
        string == nil && hash.isEmpty && list.isEmpty && members.isEmpty && scores.isEmpty && entries.isEmpty
            && expiry == nil
    }

    /// There is more than one type.
    var isContested: Bool {
        var count = string?.isLive ?? false ? 1 : 0
        if hash.live > 0 { count += 1 }
        if !list.isEmpty { count += 1 }
        if members.live > 0 { count += 1 }
        if scores.live > 0 { count += 1 }
        if entries.live > 0 { count += 1 }
        return count > 1
    }

    /// Something that is kept without being shown, and can go once everybody knows.
    var isUnsettled: Bool {
        (string.map { !$0.isLive } ?? false) || hash.hollow > 0 || scores.hollow > 0
            || (expiry != nil && kind == nil)
            || (string?.parts.sums.contains { $0.isHollow } ?? false)
    }

    fileprivate var asPlain: Register<ByteString>? {
        guard case .one(let register)? = string, expiry == nil, hiddenAt == nil, hash.isEmpty, list.isEmpty,
            members.isEmpty, scores.isEmpty, entries.isEmpty
        else { return nil }
        return register
    }

    func shownExpiry(_ replicas: ReplicaTable) -> Expiry {
        kind == nil ? .never : expiry?.winner(replicas)?.value ?? .never
    }

    /// Every sum of the key, for a change that removes them.
    func resets(_ replicas: ReplicaTable) -> [Reset] {
        (string?.resets(replicas) ?? []) + hash.resets(replicas) + scores.resets(replicas)
    }
}

// MARK: - Dots

extension Entry {
    /// Every dot that it holds, some more than once.
    func forEachDot(_ body: (LocalDot) -> Void) {
        if let plain { return body(plain.dot) }
        guard let box else { return }
        box.contents.string?.forEachDot(body)
        box.contents.expiry?.forEachDot(body)
        for cell in box.contents.hash.cells.values { cell.forEachDot(body) }
        for cell in box.contents.members.cells.values { cell.forEachDot(body) }
        for cell in box.contents.scores.cells.values { cell.forEachDot(body) }
        for cell in box.contents.entries.cells.values { cell.forEachDot(body) }
        for element in box.contents.list.elements {
            for step in element.place.steps { body(step.dot) }
            element.cell.forEachDot(body)
        }
    }
}

extension Cell {
    func forEachDot(_ body: (LocalDot) -> Void) {
        switch self {
        case .one(let register): body(register.dot)
        case .many(let parts):
            for register in parts.registers { body(register.dot) }
            for sum in parts.sums {
                body(sum.start)
                if sum.base != .none { body(sum.base) }
            }
        }
    }
}
