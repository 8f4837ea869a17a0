/// The replicas that a store knows, each by a small number that dots carry instead of its name.
struct ReplicaTable: Sendable {
    private(set) var names: [ReplicaID] = []
    private var places: [ReplicaID: Int] = [:]
    /// Places whose replicas were removed, which hold `nobody`.
    private var free: [Int] = []

    /// How often a place has become free.
    private(set) var removals = 0

    static let nobody = ReplicaID(hash: 0, epoch: 0)

    /// Among few, looking at each is quicker than a hash.
    private static let fewMaximum = 16

    func place(of replica: ReplicaID) -> Int? {
        guard names.count <= ReplicaTable.fewMaximum else { return places[replica] }
        guard replica != ReplicaTable.nobody else { return nil }
        return names.firstIndex(of: replica)
    }

    /// The place of a replica, which gets one if it has none. Nil: the table is full.
    mutating func intern(_ replica: ReplicaID) -> Int? {
        if let place = place(of: replica) { return place }
        if let place = free.popLast() {
            names[place] = replica
            places[replica] = place
            return place
        }
        guard names.count < Limits.storeReplicasMaximum else { return nil }
        names.append(replica)
        places[replica] = names.count - 1
        return names.count - 1
    }

    /// No dot of it is in use any more.
    mutating func remove(_ place: Int) {
        places[names[place]] = nil
        names[place] = ReplicaTable.nobody
        free.append(place)
        removals += 1
    }

    /// Of replicas.
    var count: Int { places.count }

    mutating func rename(_ place: Int, _ replica: ReplicaID) {
        places[names[place]] = nil
        names[place] = replica
        places[replica] = place
    }

    func dot(_ dot: LocalDot) -> Dot { Dot(names[dot.replica], dot.counter) }

    /// `none` for a dot of a replica that isn't known, which therefore is in no cell.
    func local(_ dot: Dot?) -> LocalDot {
        guard let dot, let place = place(of: dot.replica) else { return .none }
        return LocalDot(place, dot.counter)
    }

    /// Whether a value is shown rather than another that is concurrent: the later, and of two of the very
    /// same time that of the lower replica.
    func prefers<Value>(_ one: Register<Value>, to other: Register<Value>) -> Bool {
        if let decided = one.value.precedes(other.value) { return decided }
        if one.time != other.time { return one.time > other.time }
        return names[one.dot.replica] < names[other.dot.replica]
    }
}
